"""What has to be done again and again beside the jobs themselves: look for lost workers, remove what has expired."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from batch.dispatch import JOBS, WEBHOOKS, Dispatch, job_done
from batch.watcher import Watcher
from protocol.errors import VoiceError

log = logging.getLogger("voxline.batch.sweeper")

_JITTER = 0.2  # so that several processes do not all look at once


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do every so many seconds."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[object]]


class Sweeper:
    """Does its chores, each at its own pace; one that fails is tried again at its next time."""

    def __init__(self, chores: Sequence[Chore], *, chance: Callable[[], float] = random.random) -> None:
        self._chores = chores
        self._chance = chance
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin no more chores; those under way are finished."""
        self._stopping.set()

    async def run(self) -> None:
        """Until ``stop``."""
        async with asyncio.TaskGroup() as tasks:
            for chore in self._chores:
                tasks.create_task(self._repeat(chore), name=chore.name)

    async def _repeat(self, chore: Chore) -> None:
        while not self._stopping.is_set():
            try:
                await chore.do()
            except (VoiceError, SQLAlchemyError, OSError) as error:
                log.warning("a chore failed", extra={"chore": chore.name, "cause": type(error).__name__})
            except Exception:  # a bug of ours; the other chores go on
                log.exception("a chore broke", extra={"chore": chore.name})
            with suppress(TimeoutError):
                async with asyncio.timeout(self.pause(chore.every_s)):
                    await self._stopping.wait()

    def pause(self, every_s: float) -> float:
        """Until the next time: a tenth more or less."""
        return every_s * (1 + _JITTER * (self._chance() - 0.5))


async def look_for_lost_workers(watcher: Watcher, dispatch: Dispatch) -> None:
    """Take jobs whose worker shows no life away from it, and tell those who wait for them."""
    swept = await watcher.sweep()
    if swept.queued or swept.failed:
        log.warning("workers were lost", extra={"queued": len(swept.queued), "failed": len(swept.failed)})
    if swept.queued:
        dispatch.announce(JOBS)
    for job_id in swept.failed:
        dispatch.announce(job_done(job_id))
        dispatch.announce(WEBHOOKS)
