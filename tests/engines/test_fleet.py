"""A server's engines together: started, asked, missing, stopped."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engines.base import Task
from engines.fleet import Fleet
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Priority, Speak
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, Notes, children, gone, nothing_left, until

ENGLISH = scripted.recognizer(name="english", model="small-ears", languages=("en",), detects_language=False)
MANY = replace(scripted.recognizer(name="many", model="big-ears", languages=("en", "vi", "zh")), preference=5)
BROKEN = EngineSpec("broken", Task.RECOGNIZE, "no.module:here", install="pip install broken")


@asynccontextmanager
async def running(*specs: EngineSpec, notes: Notes | None = None) -> AsyncIterator[Fleet]:
    with nothing_left():
        fleet = Fleet(specs, observer=notes, limits=QUICK)
        try:
            await fleet.start()
            yield fleet
        finally:
            await fleet.aclose()


def wanted(fleet: Fleet, language: str, model: str = "auto") -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        fleet.recognizer(language, model)
    return caught.value


async def test_everything_at_once() -> None:
    specs = [ENGLISH, MANY, scripted.synthesizer(processes=2), scripted.detector()]
    async with running(*specs) as fleet:
        assert fleet.ready
        assert set(fleet.pids()) <= children()
        assert len(fleet.pids()) == 5
        assert [able.model for able in fleet.capabilities] == ["big-ears", "small-ears", "tones", "loudness"]
        heard: list[float] = []
        lane = fleet.detector.open(heard.append)
        lane.push(scripted.tone(0.032))
        answer = fleet.recognizer("en").recognize(Decode(scripted.tone(1.0)), priority=Priority.FINAL)
        assert (await answer).text == scripted.words_of(1.0)
        assert [chunk async for chunk in fleet.speak(Speak("word", "high"))]
        await until(lambda: heard == pytest.approx([0.97]))
        lane.close()
    assert not fleet.ready


async def test_the_best_recogniser_for_a_language_and_a_model() -> None:
    async with running(ENGLISH, MANY) as fleet:

        def model(language: str, name: str = "auto") -> str:
            return fleet.recognizer(language, name).capabilities.model

        assert model("auto") == "big-ears"
        assert model("en") == "big-ears"
        assert model("en-US") == model("EN_gb") == "big-ears"
        assert model("vi") == "big-ears"
        assert model("en", "small-ears") == "small-ears"
        assert model("auto", "small-ears") == "small-ears"
        assert model("auto", "scripted-recognizer") == "big-ears"


async def test_what_is_missing_is_named_with_the_command_that_adds_it() -> None:
    async with running(ENGLISH) as fleet:
        error = wanted(fleet, "vi")
        assert (error.code, error.facts["install"]) == (Code.NOT_INSTALLED, "voxline models pull small")
        error = wanted(fleet, "en", "medium")
        assert (error.code, error.facts["install"]) == (Code.NOT_INSTALLED, "voxline models pull medium")
        error = wanted(fleet, "en", "pocketsphinx")
        assert (error.code, error.facts["install"]) == (Code.NOT_INSTALLED, "pip install pocketsphinx")
        error = wanted(fleet, "klingon")
        assert (error.code, error.facts["allowed"]) == (Code.NOT_FOUND, ["en"])
        error = wanted(fleet, "en", "../../etc/passwd")
        assert (error.code, error.facts["allowed"]) == (Code.NOT_FOUND, ["small-ears"])
        with pytest.raises(VoiceError) as caught:
            _ = fleet.detector
        assert caught.value.facts["install"] == "pip install silero-vad onnxruntime"
        with pytest.raises(VoiceError) as caught:
            await anext(fleet.speak(Speak("x", "low")))
        assert (caught.value.code, caught.value.facts["install"]) == (Code.NOT_INSTALLED, "pip install espeakng-loader")


async def test_a_fleet_of_nothing() -> None:
    async with running() as fleet:
        assert wanted(fleet, "auto").code is Code.NOT_INSTALLED
        assert fleet.capabilities == []


async def test_a_synthesiser_by_its_name_and_by_its_voice() -> None:
    async with running(scripted.synthesizer()) as fleet:
        assert [chunk async for chunk in fleet.speak(Speak("word", "low"), engine="tones")]
        assert [chunk async for chunk in fleet.speak(Speak("word", "no such voice"))]
        with pytest.raises(VoiceError) as caught:
            await anext(fleet.speak(Speak("word", "low"), engine="another"))
        assert caught.value.code is Code.NOT_INSTALLED


async def test_a_start_that_fails_says_why_and_leaves_nothing() -> None:
    with pytest.raises(VoiceError) as caught:
        async with running(scripted.detector(), BROKEN):
            pass
    assert (caught.value.code, caught.value.facts["install"]) == (Code.ENGINE_FAILED, "pip install broken")


async def test_an_optional_engine_that_fails_is_left_out() -> None:
    async with running(ENGLISH, replace(BROKEN, optional=True)) as fleet:
        assert fleet.ready
        assert [able.model for able in fleet.capabilities] == ["small-ears"]


async def test_a_start_that_is_cut_short_leaves_nothing() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), running(ENGLISH, scripted.recognizer(warm_s=60)):
            pass


async def test_killed_children_are_replaced_and_nobody_s_work_is_lost() -> None:
    """kill -9 of every engine in mid-session: each request is answered all the same."""
    notes = Notes()
    async with running(MANY, scripted.synthesizer(), scripted.detector(), notes=notes) as fleet:
        heard: list[float] = []
        lane = fleet.detector.open(heard.append)
        scheduler = fleet.recognizer("en")
        for turn in range(1, 4):
            before = fleet.pids()
            slow = Decode(scripted.tone(1.0), prompt="[[slow:0.2]]")
            answer = asyncio.ensure_future(scheduler.recognize(slow, priority=Priority.FINAL))
            await asyncio.sleep(0)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            lane.push(scripted.tone(0.032))
            stream = fleet.speak(Speak("word", "low"))
            assert (await answer).text == scripted.words_of(1.0)
            assert [chunk async for chunk in stream]
            await until(lambda: len(heard) == turn)  # noqa: B023 (it is waited for in the same turn)
            await until(lambda: fleet.ready)
            assert time.monotonic() - began < 5.0
            assert all(gone(pid) for pid in before)
        assert len(notes.restarts) == 9
        lane.close()


async def test_closing_twice_and_before_the_start() -> None:
    with nothing_left():
        fleet = Fleet([ENGLISH], limits=QUICK)
        await fleet.aclose()
        await fleet.start()
        await fleet.aclose()
        await fleet.aclose()
