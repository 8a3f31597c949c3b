"""Frames of every shape to the one that is wanted, at the level they had."""

from collections.abc import Sequence

import av
import numpy as np
import pytest

from engines.conversion import Conversion
from tests.engines.sound import loudness, strongest_frequency, tone


def frame(pcm: bytes, rate: int, layout: str, channels: int) -> av.AudioFrame:
    """The same sound in each channel."""
    packed = np.repeat(np.frombuffer(pcm, "<i2"), channels).reshape(1, -1)
    made = av.AudioFrame.from_ndarray(packed, "s16", layout)
    made.sample_rate = rate
    return made


def converted(frames: Sequence[av.AudioFrame], rate: int, channels: int) -> bytes:
    conversion = Conversion(rate, channels)
    return b"".join([*(piece for each in frames for piece in conversion.push(each)), *conversion.finish()])


@pytest.mark.parametrize("given", [1, 2])
@pytest.mark.parametrize("wanted", [1, 2])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_every_ear_hears_it_as_loud_as_it_was(given: int, wanted: int, rate: int) -> None:
    """libswresample makes stereo of mono 3 dB quieter."""
    pcm = tone(440, 1.0, 44100)
    sound = converted([frame(pcm, 44100, "mono" if given == 1 else "stereo", given)], rate, wanted)
    assert len(sound) / 2 / wanted / rate == pytest.approx(1.0, abs=0.001)
    for channel in range(wanted):
        ear = np.frombuffer(sound, "<i2")[channel::wanted].tobytes()
        assert loudness(ear) == pytest.approx(loudness(pcm), rel=0.01)
        assert strongest_frequency(ear, rate) == pytest.approx(440, abs=1)


def test_what_has_the_shape_is_untouched() -> None:
    pcm = tone(440, 0.1, 16000)
    assert converted([frame(pcm, 16000, "mono", 1)] * 2, 16000, 1) == 2 * pcm


def test_a_stream_may_change_its_shape() -> None:
    pcm = tone(440, 1.0, 44100)
    frames = [frame(pcm, 44100, "stereo", 2), frame(tone(440, 1.0, 16000), 16000, "mono", 1)] * 2
    sound = converted(frames, 16000, 1)
    assert len(sound) / 2 / 16000 == pytest.approx(4.0, abs=0.01)
    assert strongest_frequency(sound, 16000) == pytest.approx(440, abs=1)


def test_surround_is_heard() -> None:
    sound = converted([frame(tone(440, 1.0, 48000), 48000, "5.1", 6)], 44100, 2)
    assert len(sound) / 4 / 44100 == pytest.approx(1.0, abs=0.001)
    assert loudness(sound) > 0.05


def test_nothing_is_nothing() -> None:
    assert converted([], 16000, 1) == b""
