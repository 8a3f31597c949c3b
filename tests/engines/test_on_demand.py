"""Things that are started when they are wanted and stopped when nobody wants them any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from engines.on_demand import OnDemand, Standing
from protocol.errors import Code, VoiceError
from tests.engines.hosting import until


class Thing:
    """Counts its starts and stops."""

    def __init__(self, idle_s: float = 60.0) -> None:
        self.started = self.stopped = 0
        self.fail: VoiceError | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.lender = OnDemand(self.make, lambda: idle_s)

    @asynccontextmanager
    async def make(self) -> AsyncIterator[int]:
        await self.hold.wait()
        if self.fail is not None:
            raise self.fail
        self.started += 1
        yield self.started
        await self.hold.wait()
        self.stopped += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Thing"]:
        task = asyncio.ensure_future(self.lender.run())
        try:
            yield self
        finally:
            self.lender.close()
            with suppress(asyncio.CancelledError):
                await task


async def test_it_is_started_once_for_all_and_stopped_when_idle() -> None:
    async with Thing(idle_s=0.0).running() as thing:
        assert not thing.lender.running
        async with thing.lender.borrow() as one, thing.lender.borrow() as other:
            assert (one, other, thing.started, thing.stopped) == (1, 1, 1, 0)
            assert thing.lender.running
        await until(lambda: thing.stopped == 1)
        assert not thing.lender.running
        async with thing.lender.borrow() as again:
            assert again == 2


async def test_it_stays_for_a_while() -> None:
    async with Thing(idle_s=60.0).running() as thing:
        for _ in range(3):
            async with thing.lender.borrow() as one:
                assert one == 1
        assert thing.stopped == 0
    assert thing.stopped == 1


async def test_a_stop_that_is_under_way_is_finished_when_the_server_stops() -> None:
    """An engine's process was left unburied when the server stopped while the engine was being stopped for idleness."""
    thing = Thing(idle_s=0.0)
    async with thing.running():
        async with thing.lender.borrow():
            thing.hold.clear()
        await until(lambda: not thing.lender.running)
        asyncio.get_running_loop().call_later(0.05, thing.hold.set)
    assert thing.stopped == 1


async def test_a_start_that_fails_is_told_to_who_waits_and_tried_again_for_the_next() -> None:
    async with Thing().running() as thing:
        thing.fail = VoiceError(Code.ENGINE_FAILED, "it does not start")
        for _ in range(2):
            with pytest.raises(VoiceError) as caught:
                async with thing.lender.borrow():
                    raise AssertionError
            assert caught.value.code is Code.ENGINE_FAILED
        thing.fail = None
        async with thing.lender.borrow() as one:
            assert one == 1


async def test_who_gives_up_while_it_starts_harms_no_other() -> None:
    async with Thing().running() as thing:
        thing.hold.clear()

        async def use() -> int:
            async with thing.lender.borrow() as one:
                return one

        first, second = asyncio.ensure_future(use()), asyncio.ensure_future(use())
        await until(lambda: thing.lender.running)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        thing.hold.set()
        assert await second == 1


async def test_who_waits_when_the_server_stops_is_told_so() -> None:
    thing = Thing()
    thing.hold.clear()
    async with thing.running():

        async def use() -> None:
            async with thing.lender.borrow():
                raise AssertionError

        waits = asyncio.ensure_future(use())
        await until(lambda: thing.lender.running)
    with pytest.raises(VoiceError) as caught:
        await waits
    assert caught.value.code is Code.SHUTTING_DOWN
    with pytest.raises(VoiceError) as caught:
        await use()
    assert caught.value.code is Code.SHUTTING_DOWN


async def test_what_is_there_anyway_is_lent_too() -> None:
    async with Standing("engine").borrow() as engine:
        assert engine == "engine"


@pytest.mark.parametrize("turns", range(6))
async def test_who_comes_in_the_moment_it_is_given_up_keeps_it(turns: int) -> None:
    """A job that borrowed an engine just as its idle time ended was told that the server was stopping."""
    async with Thing(idle_s=0.0).running() as thing:
        async with thing.lender.borrow():
            pass
        for _ in range(turns):
            await asyncio.sleep(0)
        async with thing.lender.borrow() as lent:
            for _ in range(10):
                await asyncio.sleep(0)
            assert lent == thing.started and thing.stopped == thing.started - 1
