"""Tempo without a change of pitch."""

import numpy as np
import pytest

from engines.tts.stretch import Stretch
from tests.engines.sound import loudness, samples, strongest_frequency, tone

RATE = 22050


def stretched(pcm: bytes, tempo: float, size: int = 1324) -> bytes:
    stretch = Stretch(RATE, tempo)
    parts = [stretch.push(pcm[at : at + 2 * size]) for at in range(0, len(pcm), 2 * size)]
    return b"".join([*parts, stretch.push(b""), stretch.flush()])


@pytest.mark.parametrize("tempo", [0.1, 0.2, 0.25, 0.45, 0.7, 1.3, 1.7, 3.0])
def test_length_follows_and_pitch_stays(tempo: float) -> None:
    pcm = tone(300, 2.0, RATE)
    out = stretched(pcm, tempo)
    assert len(out) / len(pcm) == pytest.approx(1 / tempo, rel=0.05)
    assert strongest_frequency(out, RATE) == pytest.approx(300, abs=6)
    assert loudness(out) == pytest.approx(loudness(pcm), rel=0.1)


def test_cuts_make_no_difference_to_the_ear() -> None:
    pcm = tone(300, 1.0, RATE)
    small, large = samples(stretched(pcm, 0.5, 100)), samples(stretched(pcm, 0.5, 5000))
    assert len(small) == len(large)
    assert np.abs(small - large).max() < 0.001


def test_nothing_in_nothing_out() -> None:
    assert stretched(b"", 0.5) == b""
