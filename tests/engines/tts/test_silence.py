"""Silence around and inside a clause."""

import numpy as np

from engines.tts.loudness import Sound
from engines.tts.silence import without_silence

RATE = 16_000


def noise(seconds: float) -> Sound:
    return np.random.default_rng(3).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def quiet(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE), np.float32)


def test_the_ends_are_cut_off() -> None:
    sound = np.concatenate([quiet(1), noise(1), quiet(2)])
    assert abs(len(without_silence(sound, RATE)) / RATE - 1.06) < 0.03


def test_a_long_pause_is_shortened_and_a_short_one_kept() -> None:
    sound = np.concatenate([noise(0.5), quiet(3), noise(0.5), quiet(0.3), noise(0.5)])
    kept = without_silence(sound, RATE)
    assert abs(len(kept) / RATE - (1.5 + 0.5 + 0.3)) < 0.05
    assert np.count_nonzero(kept) == np.count_nonzero(sound)


def test_nothing_is_left_of_silence() -> None:
    assert len(without_silence(quiet(1), RATE)) == 0 and len(without_silence(quiet(0), RATE)) == 0
