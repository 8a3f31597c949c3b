"""Loudness against the standard's own test signals, and the limiter against its limit."""

import numpy as np
import pytest

from engines.sound.levels import PEAK_DB, Levelled, Loudness
from engines.sound.spectra import pcm_of
from tests.engines.sound_tools.speech import RATE, said


def loudness(pcm: bytes, rate: int, channels: int) -> Loudness:
    measured = Loudness(rate, channels)
    for at in range(0, len(pcm), 9600):
        measured.add(pcm[at : at + 9600])
    return measured


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_a_sine_in_both_ears_is_as_loud_as_ebu_tech_3341_says(rate: int, level: float) -> None:
    sine = 10 ** (level / 20) * np.sin(2 * np.pi * 1000 * np.arange(5 * rate) / rate)
    pcm = pcm_of(np.stack([sine, sine]).astype(np.float32))
    assert loudness(pcm, rate, 2).lufs == pytest.approx(level, abs=0.15)


@pytest.mark.parametrize("target", [-16.0, -23.0])
def test_speech_is_brought_to_a_target_and_peaks_are_held(target: float) -> None:
    quiet = pcm_of(0.1 * said()[None])
    before = loudness(quiet, RATE, 1)
    levelled = Levelled(RATE, 1, before.gain_db(target))
    louder = b"".join(levelled.push(quiet[at : at + 6400]) for at in range(0, len(quiet), 6400)) + levelled.flush()
    assert len(louder) == len(quiet)
    after = loudness(louder, RATE, 1)
    assert after.lufs == pytest.approx(target, abs=1.0)
    assert after.peak <= 10 ** (PEAK_DB / 20) + 1e-3


def test_silence_has_no_loudness_and_gets_no_louder() -> None:
    silence = loudness(bytes(2 * RATE), RATE, 1)
    assert silence.lufs == -np.inf and silence.gain_db() == 0.0
