"""Every voice as loud as the others, and no click at either end."""

import numpy as np

from engines.tts.loudness import FADE_S, LOUDNESS, faded, gain_for, levelled, loudness, pcm_of

RATE = 16_000


def speech(peak: float, pauses: bool = True) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    noise = np.random.default_rng(5).normal(0.0, peak / 4, 2 * RATE).astype(np.float32)
    if pauses:
        noise[RATE // 2 : RATE] = 0.0
    return noise


def test_pauses_do_not_count() -> None:
    assert abs(loudness(speech(0.4), RATE) - loudness(speech(0.4, pauses=False), RATE)) < 0.005


def test_a_loud_and_a_quiet_voice_become_alike() -> None:
    for peak in (0.05, 0.3, 1.0):
        sound = speech(peak)
        assert abs(loudness(levelled(sound, gain_for(sound, RATE)), RATE) / LOUDNESS - 1) < 0.05


def test_silence_stays_silence() -> None:
    silence = np.zeros(RATE, np.float32)
    assert gain_for(silence, RATE) == 1.0 and loudness(np.zeros(0, np.float32), RATE) == 0.0
    assert not levelled(silence, 3.0).any()


def test_peaks_are_bent_and_never_clipped() -> None:
    ramp = np.linspace(-3, 3, 1001).astype(np.float32)
    bent = levelled(ramp, 1.0)
    assert np.abs(bent).max() < 1.0 and (np.diff(bent) >= 0).all()
    assert (bent[np.abs(ramp) < 0.7] == ramp[np.abs(ramp) < 0.7]).all()


def test_the_ends_come_from_silence_and_go_to_it() -> None:
    ones = np.ones(RATE, np.float32)
    whole = faded(ones, RATE)
    assert whole[0] == 0.0 and whole[-1] == 0.0
    assert (whole[round(FADE_S * RATE) : -round(FADE_S * RATE)] == 1.0).all()
    assert (faded(ones, RATE, first=False, last=False) == ones).all()
    assert len(faded(np.ones(1, np.float32), RATE)) == 1


def test_sound_becomes_samples() -> None:
    assert pcm_of(np.array([0.0, 1.0, -1.0, 2.0], np.float32)) == np.array([0, 32767, -32767, 32767], "<i2").tobytes()
