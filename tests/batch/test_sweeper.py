"""Chores are done again and again, whatever one of them does."""

import asyncio
from functools import partial

from batch.sweeper import Chore, Sweeper
from protocol.errors import Code, VoiceError


async def test_a_chore_that_fails_is_tried_again_and_disturbs_no_other() -> None:
    done = {"good": 0, "full": 0, "bug": 0}
    enough = asyncio.Event()

    async def do(name: str) -> None:
        done[name] += 1
        if min(done.values()) >= 3:
            enough.set()
        if name == "full":
            raise VoiceError(Code.STORAGE_FULL, "full")
        if name == "bug":
            raise ZeroDivisionError

    sweeper = Sweeper([Chore(name, 0.01, partial(do, name)) for name in done])
    task = asyncio.create_task(sweeper.run())
    async with asyncio.timeout(5):
        await enough.wait()
        sweeper.stop()
        await task


def test_several_processes_do_not_look_all_at_once() -> None:
    chances = iter((0.0, 0.5, 1.0))
    sweeper = Sweeper([], chance=lambda: next(chances))
    assert [sweeper.pause(10.0) for _ in range(3)] == [9.0, 10.0, 11.0]
