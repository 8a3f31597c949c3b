"""The guard against telephone keys."""

import numpy as np
import pytest

from engines.vad.tones import KeypadTones
from tests.checkpoints.nano_whisper.held_out import held_out_sentences, speak

RATE, WINDOW = 16000, 512
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)


def tones(*hertz: float, level: float = 0.2) -> np.ndarray:
    times = np.arange(8 * WINDOW) / RATE
    return np.asarray(level * sum(np.sin(2 * np.pi * f * times + f) for f in hertz), np.float32).reshape(-1, WINDOW)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("level", [0.005, 0.4])
def test_every_key_is_known_at_any_level(row: int, column: int, level: float) -> None:
    assert KeypadTones()(tones(row, column, level=level)).all()


def test_keys_are_known_in_noise_and_with_one_tone_weaker() -> None:
    noise = np.random.default_rng(0).standard_normal((8, WINDOW)).astype(np.float32)
    assert KeypadTones()(tones(770, 1336) + 0.02 * noise).all()
    assert KeypadTones()(tones(770) + tones(1336, level=0.08)).all()


@pytest.mark.parametrize("hertz", [(350, 440), (480, 620), (425,), (697,), (1209,), (697, 941), (50,), (2100,)])
def test_other_tones_are_none(hertz: tuple[int, ...]) -> None:
    assert not KeypadTones()(tones(*hertz)).any()


def test_nothing_is_no_key() -> None:
    assert not KeypadTones()(np.zeros((3, WINDOW), np.float32)).any()
    assert not KeypadTones()(np.zeros((0, WINDOW), np.float32)).any()


def test_speech_is_none() -> None:
    for voice, language in (("en-us", "en"), ("en-us+f3", "en"), ("vi", "vi"), ("vi+f3", "vi")):
        for sentence in held_out_sentences(language, 6):
            speech = speak(sentence, voice)
            assert not KeypadTones()(speech[: len(speech) // WINDOW * WINDOW].reshape(-1, WINDOW)).any()
