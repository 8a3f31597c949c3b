"""An engine nobody needs gives its memory back, and is started again by who needs it next, who is told so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engines.fleet import Fleet, State
from engines.registry import EngineSpec
from engines.scheduler import Scheduler
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Priority, Speak
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, Notes, gone, hosting, nothing_left, until

IDLE_S = 0.2
EARS = replace(scripted.recognizer(languages=("en",)), idle_s=IDLE_S)
VOICE = replace(scripted.synthesizer(), idle_s=IDLE_S)
SOUND = Decode(scripted.tone(0.9))
SAID = scripted.words_of(0.9)


@asynccontextmanager
async def running(*specs: EngineSpec) -> AsyncIterator[Fleet]:
    with nothing_left():
        fleet = Fleet(specs, limits=QUICK)
        try:
            await fleet.start()
            yield fleet
        finally:
            await fleet.aclose()


def state(fleet: Fleet) -> State:
    return fleet.offers[0].state


def refusal(scheduler: Scheduler) -> VoiceError | None:
    try:
        scheduler.check()
    except VoiceError as error:
        return error
    return None


async def test_a_process_that_has_nothing_to_do_is_ended_and_the_next_call_starts_another() -> None:
    notes = Notes()
    async with hosting(EARS, notes) as host:
        for _ in range(2):
            first = host.pid
            assert first is not None and host.resident_bytes > 1 << 20 and host.load_s > 0
            assert (await host.recognize([SOUND]))[0].text == SAID
            await until(lambda: host.resting)
            await until(lambda: gone(first))  # noqa: B023 (it is waited for in the same turn)
            assert not host.alive and host.resident_bytes == 0
            assert host.capabilities.languages == ("en",)  # what it can do is still known
            assert (await host.recognize([SOUND]))[0].text == SAID
            assert host.pid != first
        assert notes.restarts == []  # nothing was wrong with it


async def test_a_process_at_work_is_not_idle() -> None:
    async with hosting(EARS) as host:
        (answer,) = await host.recognize([replace(SOUND, prompt="[[slow:0.8]]")])
        assert answer.text == SAID and host.generation == 1


async def test_a_session_is_told_that_the_model_is_loading_and_let_in_when_it_is_there() -> None:
    async with running(EARS) as fleet:
        scheduler = fleet.recognizer("en")
        assert state(fleet) is State.LOADED and refusal(scheduler) is None
        await until(lambda: state(fleet) is State.ON_DEMAND)
        assert fleet.ready and fleet.pids() == []
        assert fleet.offers[0].memory_bytes == 0 and fleet.offers[0].load_s > 0  # what it will cost
        for _ in range(2):
            error = refusal(scheduler)
            assert error is not None and error.code is Code.MODEL_LOADING
            assert isinstance(error.facts["retry_after"], int) and error.facts["retry_after"] >= 1
            assert state(fleet) is State.LOADING
        await until(lambda: refusal(scheduler) is None)
        assert (await scheduler.recognize(SOUND, priority=Priority.FINAL)).text == SAID


async def test_who_was_let_in_before_waits_for_it() -> None:
    async with running(EARS) as fleet:
        scheduler = fleet.recognizer("en")
        scheduler.admit()
        await until(lambda: state(fleet) is State.ON_DEMAND)
        answers = [scheduler.recognize(SOUND, priority=Priority.FINAL) for _ in range(3)]
        assert [answer.text for answer in await asyncio.gather(*answers)] == [SAID] * 3


async def test_speech_is_told_so_too_and_batch_work_waits() -> None:
    async with running(VOICE) as fleet:
        await until(lambda: state(fleet) is State.ON_DEMAND)
        with pytest.raises(VoiceError) as caught:
            await anext(fleet.speak(Speak("one two", "low")))
        assert caught.value.code is Code.MODEL_LOADING and caught.value.facts["retry_after"]
        patient = fleet.speak(Speak("one two", "low"), priority=Priority.BATCH)
        assert [chunk async for chunk in patient]
        assert [chunk async for chunk in fleet.speak(Speak("one two", "low"))]


@pytest.mark.parametrize("waking", [False, True])
async def test_a_server_that_stops_meanwhile_leaves_nothing(waking: bool) -> None:
    async with running(EARS, VOICE) as fleet:
        await until(lambda: fleet.pids() == [])
        if waking:
            assert refusal(fleet.recognizer("en")) is not None


async def test_one_that_does_not_start_again_is_an_error_and_not_for_ever() -> None:
    """Its model was removed, say. Who asks is told that it loads, until it does or the caller gives up."""
    limits = replace(QUICK, wait_s=0.5)
    async with hosting(EARS, limits=limits) as host:
        await until(lambda: host.resting)
        host.spec = host._supervisor.spec = replace(EARS, factory="no.module:here")
        with pytest.raises(VoiceError) as caught:
            await host.recognize([SOUND])
        assert caught.value.code is Code.MODEL_LOADING
        host._supervisor.spec = EARS
        await until(lambda: host.alive)
        assert (await host.recognize([SOUND]))[0].text == SAID
