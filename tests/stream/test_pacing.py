"""The shared clock: who is due is woken at a tick, a bug of one does not hurt the others, and it stops by itself."""

import asyncio
import logging
import time

import pytest

from stream.pacing import Pacer


async def test_lanes_are_woken_in_order_and_not_early() -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(now=loop.time, tick_s=0.01)
    began = loop.time()
    woken: list[tuple[str, float]] = []
    done = asyncio.Event()

    def lane(name: str) -> None:
        woken.append((name, loop.time() - began))
        if len(woken) == 3:
            done.set()

    pacer.wake(lambda: lane("late"), began + 0.05)
    pacer.wake(lambda: lane("early"), began + 0.02)
    pacer.wake(lambda: lane("past"), began - 5.0)
    async with asyncio.timeout(5):
        await done.wait()
    assert [name for name, _ in woken] == ["past", "early", "late"]
    assert woken[1][1] >= 0.02 - 1e-3 and woken[2][1] >= 0.05 - 1e-3
    assert pacer._timer is None, "nobody waits, so no timer runs"


async def test_a_lane_may_ask_again_while_it_is_woken() -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(now=loop.time, tick_s=0.005)
    done = asyncio.Event()
    times: list[float] = []

    def lane() -> None:
        times.append(loop.time())
        if len(times) == 5:
            done.set()
        else:
            pacer.wake(lane, loop.time() + 0.01)

    pacer.wake(lane, loop.time())
    async with asyncio.timeout(5):
        await done.wait()
    assert times[-1] - times[0] >= 0.04 - 1e-3


async def test_a_broken_lane_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(now=loop.time, tick_s=0.005)
    done = asyncio.Event()

    def broken() -> None:
        raise RuntimeError("a bug")

    at = loop.time()
    pacer.wake(broken, at)
    pacer.wake(done.set, at)
    async with asyncio.timeout(5):
        await done.wait()
    assert [record.levelno for record in caplog.records if record.name == "stream.pacing"] == [logging.ERROR]


async def test_close_wakes_nobody() -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(now=loop.time, tick_s=0.005)
    woken: list[float] = []
    pacer.wake(lambda: woken.append(0.0), loop.time() + 0.01)
    pacer.close()
    pacer.close()
    done = asyncio.Event()
    loop.call_later(0.05, done.set)
    await done.wait()
    assert not woken


async def test_five_hundred_lanes_cost_little() -> None:
    """A wake-up of the clock itself stays far below the 25 us a frame may cost in all."""
    loop = asyncio.get_running_loop()
    pacer = Pacer(now=loop.time)
    done = asyncio.Event()
    woken = 0

    def lane() -> None:
        nonlocal woken
        woken += 1
        if woken == 5000:
            done.set()
        elif woken <= 4500:
            pacer.wake(lane, loop.time())

    began = time.process_time()
    for _ in range(500):
        pacer.wake(lane, loop.time())
    async with asyncio.timeout(20):
        await done.wait()
    assert (time.process_time() - began) / 5000 < 25e-6


async def test_a_lane_that_asks_for_much_later_holds_up_nobody() -> None:
    """What a woken lane asked for used to be the next tick for all: a listener next to one who waits stood still."""
    loop = asyncio.get_running_loop()
    pacer = Pacer(now=loop.time, tick_s=0.01)
    began = loop.time()
    woken: asyncio.Future[float] = loop.create_future()
    pacer.wake(lambda: pacer.wake(lambda: None, began + 60.0), began + 0.02)
    pacer.wake(lambda: woken.set_result(loop.time() - began), began + 0.05)
    try:
        async with asyncio.timeout(5):
            await woken
    finally:
        pacer.close()
