"""Finds the jobs whose worker was lost: killed, cut off, or hanging past its lease."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from accounts.schema import job
from batch.jobs import CLAIMED, Status
from batch.queue import Queue
from protocol.errors import Code, VoiceError
from protocol.stillness import Stillness


@dataclass(frozen=True, slots=True)
class Swept:
    """The ids of the jobs a sweep took from lost workers."""

    queued: tuple[str, ...] = ()  # to be claimed again
    failed: tuple[str, ...] = ()  # given up, paid back


class Watcher:
    """Watches the beats of all claimed jobs; any number of watchers may. ``tick`` is a monotonic clock."""

    def __init__(self, queue: Queue, *, lease_s: float, tick: Callable[[], float]) -> None:
        self._queue = queue
        self._tick = tick
        self._stillness = Stillness[str, tuple[int, int]](lease_s)

    async def sweep(self) -> Swept:
        """Take the jobs whose beat stood still for a lease away from their workers. Call it several times a lease."""
        query = select(job.c.id, job.c.attempt, job.c.beat).where(job.c.status.in_(sorted(CLAIMED)))
        async with self._queue.store.read() as connection:
            beats = {row.id: (row.attempt, row.beat) for row in await connection.execute(query)}
        queued: list[str] = []
        failed: list[str] = []
        for job_id in self._stillness.look(beats, self._tick()):
            attempt, beat = beats[job_id]
            fence = (job.c.id == job_id) & (job.c.attempt == attempt) & (job.c.beat == beat)
            lost = VoiceError(Code.INTERNAL, "The worker was lost, again and again.", attempt=attempt)
            async with self._queue.store.write() as connection:
                status = await self._queue.endings.broke(connection, fence, lost, retry=True)
            if status is not None:
                (queued if status is Status.QUEUED else failed).append(job_id)
        return Swept(tuple(queued), tuple(failed))
