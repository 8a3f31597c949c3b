"""Enhancement by what it does to speech whose noise is known."""

import numpy as np
import pytest

from engines.sound.bandwidth import RATE as WIDE
from engines.sound.enhance import factory
from engines.sound.spectra import pcm_of, samples_of, sound_of, spectra_of
from protocol.errors import Code, VoiceError
from tests.engines.sound_tools.speech import RATE, Sound, noisy, ratio_to, said

TOOL = factory({})


def enhanced(sound: Sound, rate: int = RATE, **order: object) -> Sound:
    asked = {"denoise": False, "clarity": False, "strength": 2, "reach": 0.0, **order}
    return np.ravel(samples_of(TOOL.treat(pcm_of(sound[None]), rate, 1, asked).pcm, 1))


def share_db(sound: Sound, rate: int, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / rate)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].sum() / power.sum()))


def test_spectra_come_back_as_they_were() -> None:
    sound = said()
    assert np.abs(sound_of(spectra_of(sound, 512), len(sound)) - sound).max() < 1e-6


@pytest.mark.parametrize(
    ("ratio_db", "pink", "gain_db"),
    [(0.0, False, 6.5), (5.0, False, 5.0), (10.0, False, 3.5), (0.0, True, 3.5), (5.0, True, 3.5), (10.0, True, 3.0)],
)
def test_speech_stands_higher_above_steady_noise(ratio_db: float, pink: bool, gain_db: float) -> None:
    clean = said()
    heard = noisy(clean, ratio_db, pink=pink)
    assert ratio_to(clean, enhanced(heard, denoise=True)) - ratio_to(clean, heard) > gain_db


def test_strength_is_how_far_pauses_are_lowered() -> None:
    clean = said()
    heard = noisy(clean, 5.0)
    pause = slice(len(clean) - RATE // 3, len(clean) - RATE // 10)
    noise = 10 * np.log10((heard[pause] ** 2).mean())
    left = [10 * np.log10((enhanced(heard, denoise=True, strength=n)[pause] ** 2).mean()) - noise for n in (1, 2, 3)]
    assert left[0] < -7 and left[1] < left[0] - 4 and left[2] < left[1] - 2


def test_clean_speech_is_left_nearly_alone() -> None:
    clean = said()
    assert ratio_to(clean, enhanced(clean, denoise=True, strength=1)) > 15


def test_both_ears_are_treated_alike() -> None:
    """What is to the left stays there."""
    heard = noisy(said(), 10.0)
    both = np.stack([heard, 0.25 * heard])
    left, right = samples_of(
        TOOL.treat(pcm_of(both), RATE, 2, {"denoise": True, "clarity": True, "strength": 3, "reach": 0.0}).pcm, 2
    )
    assert np.abs(0.25 * left - right).max() < 3e-4


def test_clarity_brings_consonants_forward_and_takes_rumble_away() -> None:
    clean = said()
    rumble = 0.1 * np.sin(2 * np.pi * 30 * np.arange(len(clean)) / RATE).astype(np.float32)
    gains = [
        share_db(enhanced(clean, clarity=True, strength=strength), RATE, 2000, 5000) - share_db(clean, RATE, 2000, 5000)
        for strength in (1, 2, 3)
    ]
    assert 1.0 < gains[0] < gains[1] < gains[2] < 8.0
    assert share_db(enhanced(clean + rumble, clarity=True), RATE, 0, 50) < share_db(clean + rumble, RATE, 0, 50) - 15


def test_a_narrow_recording_gets_an_upper_band() -> None:
    """From a telephone's 4 kHz: what there was stays, what lies above is quieter and moves with it."""
    narrow = said(rate=8000)
    heard = TOOL.treat(pcm_of(narrow[None]), 8000, 1, {"listen": True}).facts["reach"]
    assert isinstance(heard, float) and 3000 < heard <= 4000
    wide = enhanced(narrow, 8000, reach=heard)
    assert len(wide) == len(narrow) * WIDE // 8000
    assert share_db(wide, WIDE, 4200, 20_000) - share_db(wide, WIDE, 0, 4000) > -35
    assert share_db(wide, WIDE, 4200, 20_000) < -6
    below = np.abs(np.fft.rfft(wide))[: len(narrow) // 2][: round(0.8 * len(narrow) / 2)]
    before = np.abs(np.fft.rfft(narrow))[: len(below)] * WIDE / 8000
    assert np.abs(below - before).mean() / before.mean() < 0.05


def test_silence_stays_silence() -> None:
    assert not enhanced(np.zeros(RATE, np.float32), denoise=True, clarity=True).any()
    assert not enhanced(np.zeros(0, np.float32), denoise=True).any()


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(VoiceError) as caught:
        TOOL.treat(b"\0\0\0", RATE, 1, {"denoise": True, "clarity": False, "strength": 2})
    assert caught.value.code is Code.BAD_REQUEST
