"""A clone across the processes: asked of the fleet, made by a child, spoken by the engine that made it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engines import registry
from engines.fleet import Fleet
from engines.registry import EngineSpec
from engines.tts.espeak import factory
from engines.tts.hearing import hear
from protocol.errors import Code, VoiceError
from protocol.requests import Reference, Speak, VoicePrompt
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, nothing_left, until

SPEECH = Reference(scripted.tone(1.0), 16_000)


@asynccontextmanager
async def running(*specs: EngineSpec) -> AsyncIterator[Fleet]:
    with nothing_left():
        fleet = Fleet(specs, limits=QUICK)
        try:
            await fleet.start()
            yield fleet
        finally:
            await fleet.aclose()


async def test_a_prompt_names_its_engine() -> None:
    async with running(scripted.synthesizer(clones=True)) as fleet:
        assert await fleet.clone(SPEECH) == VoicePrompt("tones", b"32000 bytes at 16000")
        assert await fleet.clone(SPEECH, engine="tones") == VoicePrompt("tones", b"32000 bytes at 16000")


async def test_an_engine_that_cannot_is_not_asked() -> None:
    async with running(scripted.synthesizer()) as fleet:
        with pytest.raises(VoiceError) as caught:
            await fleet.clone(SPEECH)
        assert caught.value.code is Code.NOT_INSTALLED
    async with running(scripted.synthesizer(clones=True)) as fleet:
        with pytest.raises(VoiceError) as caught:
            await fleet.clone(SPEECH, engine="omnivoice")
        assert caught.value.code is Code.NOT_INSTALLED


async def test_what_the_engine_says_of_a_reference_comes_through() -> None:
    async with running(scripted.synthesizer(clones=True)) as fleet:
        with pytest.raises(VoiceError) as caught:
            await fleet.clone(Reference(bytes(32_000), 16_000))
        assert caught.value.facts["field"] == "ref_audio"


async def test_a_prompt_that_is_none_is_a_failure_of_the_engine() -> None:
    async with running(scripted.synthesizer(clones=True, fail="few")) as fleet:
        with pytest.raises(VoiceError) as caught:
            await fleet.clone(SPEECH)
        assert caught.value.code is Code.ENGINE_FAILED


async def test_a_process_that_falls_is_asked_again_once() -> None:
    async with running(scripted.synthesizer(clones=True)) as fleet:
        (pid,) = fleet.pids()
        os.kill(pid, signal.SIGKILL)
        asked = asyncio.ensure_future(fleet.clone(SPEECH))
        assert (await asked).data == b"32000 bytes at 16000"
        await until(lambda: fleet.ready)


async def test_a_process_that_keeps_falling_is_given_up() -> None:
    async with running(scripted.synthesizer(clones=True, fail="exit")) as fleet:
        with pytest.raises(VoiceError) as caught:
            await fleet.clone(SPEECH)
        assert caught.value.code is Code.ENGINE_RESTARTED


async def test_espeak_clones_through_its_process() -> None:
    """A woman's voice, spoken on in Vietnamese by the fleet."""
    spec = registry.find("espeak-ng")
    assert spec is not None
    text = "The quick brown fox jumps over the lazy dog near the river bank."
    woman = b"".join(chunk.pcm for chunk in factory({}).speak(Speak(text, "en-us/female-2")))
    async with running(spec) as fleet:
        prompt = await fleet.clone(Reference(woman, 22050))
        request = Speak("Xin chào, rất vui được gặp bạn hôm nay.", "vi/male-1", prompt=prompt.data)
        sound = b"".join([chunk.pcm async for chunk in fleet.speak(request, engine=prompt.engine)])
    before, after = hear(woman, 22050), hear(sound, 22050)
    assert before is not None
    assert after is not None
    assert after.pitch == pytest.approx(before.pitch, rel=0.06)
