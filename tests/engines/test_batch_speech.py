"""Speech of batch work is made by a process of its own, of low priority, that is there only while it is used."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engines.batch_lanes import BATCH_NICE
from engines.fleet import Fleet
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, gone, nothing_left, until

# Such a process gets what the rest of the machine leaves it; that is not to pass for a hang.
PATIENT = replace(QUICK, grace_s=60.0, missed_beats=300)
REQUEST = Speak("one two", "low")


@asynccontextmanager
async def running(spec: EngineSpec) -> AsyncIterator[Fleet]:
    with nothing_left():
        fleet = Fleet([spec], limits=PATIENT)
        fleet.lanes.idle_s = 0.0
        try:
            await fleet.start()
            yield fleet
        finally:
            await fleet.aclose()


async def test_a_process_of_its_own_for_as_long_as_it_is_used() -> None:
    async with running(scripted.synthesizer()) as fleet:
        async with fleet.batch_speaker("tones").borrow() as queue:
            (host,) = fleet.lanes.hosts
            pid = host.pid
            assert pid is not None
            assert os.getpriority(os.PRIO_PROCESS, pid) == BATCH_NICE
            assert [chunk async for chunk in queue.speak(REQUEST, priority=Priority.BATCH)]
            assert queue.capabilities.engine == "tones"
        await until(lambda: gone(pid) and len(fleet.pids()) == 1)


async def test_live_speech_does_not_wait_for_a_phrase_of_batch_work() -> None:
    spec = scripted.synthesizer(latency_s=0.2)
    async with running(spec) as fleet, fleet.batch_speaker("tones").borrow() as queue:
        slow = queue.speak(Speak("word " * 20, "low"), priority=Priority.BATCH)
        await slow.__anext__()
        assert [chunk async for chunk in fleet.speak(Speak("now", "low"))]
        assert not slow.ended
        await slow.aclose()


@pytest.mark.parametrize("spec", [scripted.synthesizer(device="cuda"), replace(scripted.synthesizer(), nice=19)])
async def test_an_engine_that_may_be_shared_is(spec: EngineSpec) -> None:
    async with running(spec) as fleet:
        async with fleet.batch_speaker("tones").borrow() as queue:
            assert [chunk async for chunk in queue.speak(REQUEST, priority=Priority.BATCH)]
        assert not fleet.lanes.hosts


async def test_one_that_falls_is_replaced() -> None:
    async with running(scripted.synthesizer()) as fleet, fleet.batch_speaker("tones").borrow() as queue:
        (host,) = fleet.lanes.hosts
        assert host.pid is not None
        os.kill(host.pid, signal.SIGKILL)
        assert [chunk async for chunk in queue.speak(REQUEST, priority=Priority.BATCH)]


async def test_one_nobody_has() -> None:
    async with running(scripted.synthesizer()) as fleet:
        with pytest.raises(VoiceError) as caught:
            fleet.batch_speaker("omnivoice")
        assert caught.value.code is Code.NOT_INSTALLED


async def test_stopping_in_the_middle_of_a_phrase() -> None:
    spec = scripted.synthesizer(latency_s=0.5)
    async with running(spec) as fleet, fleet.batch_speaker("tones").borrow() as queue:
        stream = queue.speak(REQUEST, priority=Priority.BATCH)
        await stream.__anext__()
        await fleet.aclose()
        with pytest.raises(VoiceError) as caught:
            async for _ in stream:
                pass
        assert caught.value.code is Code.SHUTTING_DOWN
