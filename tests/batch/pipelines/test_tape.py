"""Speech on tape: silences as asked, no clicks, and speakers as loud as each other."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from batch.pipelines.tape import Tape, trimmed
from engines.encode_file import FileEncoder
from tests.engines.sound import Samples, samples, tone

RATE = 22050


@pytest.fixture
def tape(tmp_path: Path) -> Iterator[Tape]:
    with closing(Tape(tmp_path / "tape", RATE)) as tape:
        yield tape


def played(tape: Tape, tmp_path: Path) -> Samples:
    told: list[float] = []
    with FileEncoder(tmp_path / "out.wav", "wav", tape.rate) as encoder:
        tape.encode(encoder, told.append)
    assert told == sorted(told)
    sound: Samples
    sound, rate = soundfile.read(tmp_path / "out.wav", dtype="float64")
    assert rate == tape.rate
    assert len(sound) == tape.samples
    return sound


def level(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound**2)))


def test_silence_around_speech_goes_and_is_put_back_as_asked(tape: Tape, tmp_path: Path) -> None:
    for _ in range(2):
        tape.speak(bytes(RATE) + tone(300, 0.5, RATE) + bytes(2 * RATE), RATE)
        tape.pause(0.25)
    sound = played(tape, tmp_path)
    assert tape.seconds == pytest.approx(2 * (0.5 + 0.03 + 0.25), abs=0.01)
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    (gap,) = np.diff(loud)[np.diff(loud) > 1000]
    assert gap / RATE == pytest.approx(0.28, abs=0.015)
    tape.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "out.wav"]


def test_edges_do_not_click() -> None:
    """Sound that begins and ends at its loudest is faded."""
    sound = samples(trimmed(np.full(RATE // 2, 20_000, "<i2").tobytes(), RATE))
    assert np.abs(np.diff(sound, prepend=0.0, append=0.0)).max() < 0.02


@pytest.mark.parametrize("pcm", [b"", bytes(2000), np.full(500, 30, "<i2").tobytes()])
def test_silence_is_nothing_to_say(pcm: bytes) -> None:
    assert trimmed(pcm, RATE) == b""


def test_a_click_is_kept_whole() -> None:
    assert len(trimmed(np.array([20_000], "<i2").tobytes(), RATE)) == 2


def test_speakers_are_evened_out_and_none_clips(tape: Tape, tmp_path: Path) -> None:
    for speaker, peak in ((0, 3000), (1, 30_000), (0, 3000), (2, 9000)):
        tape.speak(tone(300, 1.0, RATE, peak), RATE, speaker)
        tape.pause(0.2)
    sound = played(tape, tmp_path)
    step = round(1.2 * RATE)
    levels = [level(sound[at : at + round(0.9 * RATE)]) for at in range(1000, 4 * step, step)]
    assert max(levels) < 1.02 * min(levels)
    assert np.abs(sound).max() <= 0.98


def test_a_single_speaker_is_left_as_he_is(tape: Tape, tmp_path: Path) -> None:
    tape.speak(tone(300, 1.0, RATE, 3000), RATE)
    assert np.abs(played(tape, tmp_path)).max() == pytest.approx(3000 / 32768, rel=0.01)


def test_a_silent_speaker_does_not_matter(tape: Tape, tmp_path: Path) -> None:
    tape.speak(tone(300, 1.0, RATE, 3000), RATE)
    tape.add(bytes(200), 1)
    tape.add(b"", 2)
    tape.speak(b"", RATE, 3)
    assert np.abs(played(tape, tmp_path)).max() == pytest.approx(3000 / 32768, rel=0.01)


def test_a_tape_of_silence(tape: Tape, tmp_path: Path) -> None:
    tape.pause(-1.0)
    tape.pause(5.0)
    assert len(played(tape, tmp_path)) == 5 * RATE


def test_other_rates_are_resampled(tape: Tape) -> None:
    tape.speak(tone(300, 1.0, 48_000), 48_000)
    assert tape.seconds == pytest.approx(1.0, abs=0.05)
