"""Sounds nobody records: too short, too loud, silent, at odd rates. Every tool answers with as much sound as it got."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import numpy as np
import pytest

from batch.pipelines.analyze import judged
from batch.pipelines.deecho import decay_in, echo_in
from batch.pipelines.revoice import voice_in
from engines.base import SoundTool
from engines.sound import deecho, enhance, music, revoice
from engines.sound.timbre import BANDS, Timbre
from protocol.errors import VoiceError

VOICE = asdict(Timbre(120.0, 4.0, (-40.0,) * BANDS))
MADE: dict[str, tuple[SoundTool, Mapping[str, object]]] = {
    "enhance": (enhance.factory({}), {"denoise": True, "clarity": True, "strength": 3, "reach": 0.0}),
    "deecho": (
        deecho.factory({}),
        {"intensity": 5, "reverb_s": 0.3, "delay_s": 0.3, "gain": 0.5, "again": False},
    ),
    "revoice": (revoice.factory({}), {"source": VOICE, "target": VOICE, "semitones": 3.0, "wider": 2.0}),
}


def sounds() -> Iterator[bytes]:
    """Of one channel."""
    rng = np.random.default_rng(3)
    for count in (0, 1, 401, 1000):
        yield bytes(2 * count)
        yield rng.integers(-32768, 32768, count).astype("<i2").tobytes()
        yield np.full(count, 32767, "<i2").tobytes()
        yield np.where(np.arange(count) % 50 < 25, 32767, -32768).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [8_000, pytest.param(48_000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", MADE)
def test_as_much_sound_comes_back(name: str, rate: int) -> None:
    tool, order = MADE[name]
    for pcm in sounds():
        assert len(tool.treat(pcm, rate, 1, order).pcm) == len(pcm)


@pytest.mark.parametrize("rate", [8_000, pytest.param(48_000, marks=pytest.mark.nightly)])
def test_what_is_heard_can_always_be_judged(rate: int) -> None:
    for pcm in sounds():
        told = MADE["deecho"][0].treat(pcm, rate, 1, {"listen": True}).facts
        echo, decay = echo_in([told]), decay_in([told])
        assert echo is None or math.isfinite(echo.gain)
        assert math.isfinite(decay)
        voice = voice_in([MADE["revoice"][0].treat(pcm, rate, 1, {"listen": True}).facts])
        assert voice is None or all(map(math.isfinite, (voice.pitch, voice.spread, *voice.bands)))
        reach = MADE["enhance"][0].treat(pcm, rate, 1, {"listen": True}).facts["reach"]
        assert isinstance(reach, float) and 0 <= reach <= rate / 2 + 200
        try:
            heard, _ = judged([music.factory({}).treat(pcm, rate, 1, {}).facts])
        except VoiceError:
            continue
        assert math.isfinite(heard.bpm)
