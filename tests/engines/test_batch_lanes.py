"""Batch work has processes of its own, of low priority, that are there only while they are used."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from engines.batch_lanes import BATCH_NICE
from engines.fleet import Fleet, State
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Priority
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, gone, nothing_left, until

# Such a process gets what the rest of the machine leaves it; that is not to pass for a hang.
PATIENT = replace(QUICK, grace_s=60.0, missed_beats=300)
EARS = scripted.recognizer(languages=("en",), model="ears")
SOUND = Decode(scripted.tone(0.9))


@asynccontextmanager
async def running(*specs: EngineSpec) -> AsyncIterator[Fleet]:
    with nothing_left():
        fleet = Fleet(specs, limits=PATIENT)
        fleet.lanes.idle_s = 0.0
        try:
            await fleet.start()
            yield fleet
        finally:
            await fleet.aclose()


def batch_pid(fleet: Fleet) -> int:
    (host,) = fleet.lanes.hosts
    assert host.pid is not None
    return host.pid


async def test_an_admin_may_have_it_compute_in_another_type() -> None:
    """A52: for recognisers that are started from then on, and none that knows no such choice."""
    for spec, expected in ((EARS.with_options(compute_type="int8"), "float32"), (EARS, None)):
        async with running(spec) as fleet:
            fleet.lanes.compute_type = "float32"
            async with fleet.batch_recognizer("en").borrow():
                (host,) = fleet.lanes.hosts
                assert host.spec.options.get("compute_type") == expected


async def test_a_recogniser_of_its_own_for_as_long_as_it_is_used() -> None:
    async with running(EARS) as fleet:
        assert len(fleet.pids()) == 1
        async with fleet.batch_recognizer("en").borrow() as scheduler:
            assert scheduler is not fleet.recognizer("en")
            assert (await scheduler.recognize(SOUND, priority=Priority.BATCH)).text == scripted.words_of(0.9)
            pid = batch_pid(fleet)
            assert os.getpriority(os.PRIO_PROCESS, pid) == BATCH_NICE
            assert len(fleet.pids()) == 2
        await until(lambda: gone(pid) and len(fleet.pids()) == 1)
        async with fleet.batch_recognizer("en").borrow() as scheduler:
            assert scheduler.capabilities.model == "ears"


async def test_two_jobs_share_one_process() -> None:
    async with running(EARS) as fleet:
        lender = fleet.batch_recognizer()
        async with lender.borrow() as one, lender.borrow() as other:
            assert one is other
            assert len(fleet.lanes.hosts) == 1


@pytest.mark.parametrize("spec", [replace(EARS, nice=19), EARS.with_options(device="cuda")])
async def test_an_engine_that_may_be_shared_is(spec: EngineSpec) -> None:
    async with running(spec, replace(scripted.detector(), nice=19)) as fleet:
        async with fleet.batch_recognizer("en").borrow() as scheduler, fleet.batch_detector.borrow():
            assert scheduler is fleet.recognizer("en")
        assert not fleet.lanes.hosts


async def test_a_device_that_is_found_out_by_the_engine_may_be_the_cpu() -> None:
    async with running(EARS.with_options(device="auto")) as fleet, fleet.batch_recognizer("en").borrow() as scheduler:
        assert scheduler is not fleet.recognizer("en")


async def test_a_batch_engine_that_falls_is_replaced() -> None:
    async with running(EARS) as fleet, fleet.batch_recognizer().borrow() as scheduler:
        os.kill(batch_pid(fleet), signal.SIGKILL)
        assert (await scheduler.recognize(SOUND, priority=Priority.BATCH)).text


async def test_a_detector_for_whole_files() -> None:
    async with running(scripted.detector()) as fleet, fleet.batch_detector.borrow() as host:
        windows = np.full((3, 576), 0.5, np.float32)
        answer, _ = await host.detect(windows.tobytes(), bytes(4 * 2 * 3 * 128))
        assert np.frombuffer(answer, np.float32) == pytest.approx([0.97] * 3)


async def test_what_is_on_demand_does_not_run_until_it_is_wanted() -> None:
    async with running(replace(scripted.separator(), on_demand=True)) as fleet:
        assert fleet.ready
        assert fleet.pids() == []
        async with fleet.separator().borrow() as host:
            assert set(await host.separate(bytes(8), 44_100, 2)) == {"vocals", "instrumental"}
        await until(lambda: fleet.pids() == [])


async def test_what_cannot_be_started_is_said_to_who_wants_it() -> None:
    broken = replace(scripted.separator(), on_demand=True, factory="no.module:here", install="pip install it")
    async with running(broken) as fleet:
        for _ in range(2):
            with pytest.raises(VoiceError) as caught:
                async with fleet.separator().borrow():
                    raise AssertionError
            assert (caught.value.code, caught.value.facts["install"]) == (Code.ENGINE_FAILED, "pip install it")


async def test_without_engines_the_command_that_adds_one_is_named() -> None:
    async with running() as fleet:
        for ask, install in (
            (fleet.separator, "voxline models pull htdemucs"),
            (lambda: fleet.batch_detector, "pip install silero-vad onnxruntime"),
            (fleet.batch_recognizer, "voxline models pull small"),
        ):
            with pytest.raises(VoiceError) as caught:
                ask()
            assert (caught.value.code, caught.value.facts["install"]) == (Code.NOT_INSTALLED, install)


async def test_who_waits_for_a_batch_engine_when_the_server_stops_is_told_so() -> None:
    async with running(EARS) as fleet:
        lender = fleet.batch_recognizer()

        async def use() -> None:
            async with lender.borrow() as scheduler:
                await scheduler.recognize(replace(SOUND, prompt="[[slow:60]]"), priority=Priority.BATCH)

        working = asyncio.ensure_future(use())
        await until(lambda: bool(fleet.lanes.hosts))
    with pytest.raises(VoiceError) as caught:
        await working
    assert caught.value.code is Code.SHUTTING_DOWN


# -- engines for recordings only -----------------------------------------------------------------------

PEN = replace(
    scripted.recognizer(name="pen", languages=["vi", "de"], model="big-pen"), languages=("vi", "de"), on_demand=True
)


async def test_an_engine_for_recordings_takes_no_process_until_it_is_used() -> None:
    async with running(EARS, PEN) as fleet:
        assert len(fleet.pids()) == 1 and fleet.ready
        pen = fleet.offers[1]
        assert (pen.capabilities.engine, pen.state, pen.live) == ("pen", State.ON_DEMAND, False)
        assert pen.load_s == pen.memory_bytes == 0
        async with fleet.batch_recognizer("auto", "pen").borrow() as scheduler:
            assert (await scheduler.recognize(SOUND, priority=Priority.BATCH)).text == scripted.words_of(0.9)
            assert fleet.offers[1].state is State.LOADED
            assert fleet.offers[1].load_s > 0 and fleet.offers[1].memory_bytes > 1 << 20
            assert os.getpriority(os.PRIO_PROCESS, batch_pid(fleet)) == BATCH_NICE
        await until(lambda: fleet.offers[1].state is State.ON_DEMAND and len(fleet.pids()) == 1)


async def test_it_is_taken_when_it_is_named_and_when_nobody_else_knows_the_language() -> None:
    async with running(EARS, PEN) as fleet:

        def who(language: str, model: str = "auto") -> str:
            return fleet.transcriber(language, model).engine

        assert who("auto") == who("en") == "scripted-recognizer"
        assert who("vi") == who("auto", "pen") == who("de-AT", "big-pen") == "pen"
        for language, model, code in (
            ("en", "pen", Code.NOT_INSTALLED),  # a Whisper would know it
            ("klingon", "pen", Code.NOT_FOUND),
            ("klingon", "auto", Code.NOT_FOUND),
            ("auto", "another", Code.NOT_FOUND),
        ):
            with pytest.raises(VoiceError) as caught:
                fleet.batch_recognizer(language, model)
            assert caught.value.code is code
        with pytest.raises(VoiceError, match="job APIs") as caught:
            fleet.recognizer("auto", "pen")
        assert (caught.value.code, caught.value.facts["allowed"]) == (Code.BAD_REQUEST, ["ears"])


async def test_an_engine_for_recordings_serves_where_there_is_no_other() -> None:
    async with running(PEN) as fleet:
        assert fleet.transcriber().engine == "pen"
        async with fleet.batch_recognizer().borrow() as scheduler:
            assert scheduler.capabilities.model == "big-pen"
        with pytest.raises(VoiceError) as caught:
            fleet.recognizer()
        assert caught.value.code is Code.NOT_INSTALLED
