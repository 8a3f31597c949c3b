"""A kept voice as bytes: the same again, and nothing else is taken for one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from engines.tts.omnivoice_prompt import KeptVoice, from_bytes, to_bytes
from protocol.errors import Code, VoiceError

CODEBOOKS, CODES = 8, 1024
VOICE = KeptVoice(np.arange(80, dtype=np.int16).reshape(8, 10), "Xin chào.", 0.07)


def refused(data: bytes) -> bool:
    try:
        from_bytes(data, CODEBOOKS, CODES)
    except VoiceError as error:
        return error.code is Code.BAD_REQUEST and error.facts["field"] == "prompt"
    return False


def test_there_and_back() -> None:
    again = from_bytes(to_bytes(VOICE), CODEBOOKS, CODES)
    assert (again.codes == VOICE.codes).all() and (again.text, again.loudness) == (VOICE.text, VOICE.loudness)
    assert to_bytes(again) == to_bytes(VOICE)


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((4, 10), np.int16),  # another model's
        np.zeros((8, 0), np.int16),
        np.zeros((8, 1501), np.int16),  # longer than a reference may be
        np.zeros((8, 10), np.float32),
        np.full((8, 10), 1024, np.int16),  # no such code
        np.full((8, 10), -1, np.int16),
        np.zeros(80, np.int16),
    ],
)
def test_codes_that_cannot_be_are_refused(codes: np.ndarray) -> None:
    assert refused(to_bytes(dataclasses.replace(VOICE, codes=codes)))


def test_what_is_said_of_it_must_be_right() -> None:
    assert refused(to_bytes(dataclasses.replace(VOICE, loudness=float("nan"))))
    assert refused(to_bytes(dataclasses.replace(VOICE, text="a" * 2001)))
    assert refused(bytes(save({"codes": VOICE.codes})))
    assert refused(bytes(save({"codes": VOICE.codes}, metadata={"voice": '{"engine": "other", "version": 1}'})))
    assert refused(b'{"engine": "espeak-ng", "version": 1, "pitch": 100, "spread": 3, "pace": 4}')


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused(data: bytes) -> None:
    assert refused(data)


@given(st.integers(0, len(to_bytes(VOICE)) - 1), st.integers(1, 255))
def test_damage_is_refused_or_harmless(place: int, change: int) -> None:
    data = bytearray(to_bytes(VOICE))
    data[place] ^= change
    if not refused(bytes(data)):
        codes = from_bytes(bytes(data), CODEBOOKS, CODES).codes
        assert codes.shape[0] == CODEBOOKS and codes.min() >= 0 and codes.max() < CODES
