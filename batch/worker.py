"""Does the jobs of the queue, some at once, until it is told to stop: then what it cannot finish is given back."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from batch.attempt import WAITED_FOR, Attempt, Bench, End
from batch.dispatch import JOBS, WEBHOOKS, Dispatch, Ear, job_done
from batch.jobs import Claim
from protocol.errors import VoiceError

log = logging.getLogger("voxline.batch.worker")

POLL_S = 1.0  # hints may be lost
_PAUSE_S = 2.0  # after an attempt that failed through no fault of its job
_SPARE = 2  # hands beyond ``concurrency``, for jobs that somebody waits for: they must not wait for a film's subtitles


@dataclass(frozen=True, slots=True)
class Doing:
    """A job under way, for those who watch."""

    job_id: str
    kind: str
    share: float


class Worker:
    """``name`` is for people: which process has a job. ``run`` it; ``drain`` ends that."""

    def __init__(
        self, bench: Bench, dispatch: Dispatch, *, name: str, concurrency: int, poll_s: float = POLL_S
    ) -> None:
        self.done = 0
        self.failed = 0
        self._bench = bench
        self._dispatch = dispatch
        self._name = name
        self._concurrency = concurrency
        self._poll_s = poll_s
        self._active: dict[Attempt, asyncio.Task[None]] = {}
        self._stopping = False
        self._pause_until = 0.0

    @property
    def doing(self) -> Sequence[Doing]:
        """What is under way."""
        return [Doing(one.claim.job.id, one.claim.job.work.kind, one.share) for one in self._active]

    async def run(self) -> None:
        """Work until ``drain``; when cancelled, give everything back."""
        with self._dispatch.listening(JOBS) as ear:
            async with asyncio.TaskGroup() as attempts:
                while not self._stopping:
                    while (claim := await self._claim()) is not None:
                        attempt = Attempt(self._bench, claim)
                        if self._stopping:
                            await attempt.give_back()
                            break
                        self._active[attempt] = attempts.create_task(self._attend(attempt, ear))
                    await ear.wait(self._poll_s)

    async def drain(self, soft_s: float) -> None:
        """Take no more; give what is under way ``soft_s`` seconds, and the rest back. May be called again with less."""
        self._stopping = True
        self._dispatch.announce(JOBS)
        if self._active:
            await asyncio.wait(tuple(self._active.values()), timeout=soft_s)
        left = tuple(self._active.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _claim(self) -> Claim | None:
        """The next job, if there is one and a hand free for it."""
        free = self._concurrency - len(self._active)
        if self._stopping or free <= -_SPARE or self._bench.tick() < self._pause_until:
            return None
        try:
            return await self._bench.queue.claim(self._name, priority=None if free > 0 else WAITED_FOR)
        except (VoiceError, SQLAlchemyError, OSError) as error:
            log.warning("the queue cannot be read now", extra={"cause": type(error).__name__})
            return None

    async def _attend(self, attempt: Attempt, ear: Ear) -> None:
        job, end = attempt.claim.job, End.GIVEN_BACK
        try:
            end = await attempt.run()
        except Exception:  # a bug of ours: the job is taken over when its lease is out, and the others go on
            log.exception("an attempt broke", extra={"job": job.id})
            end = End.TAKEN
        finally:
            del self._active[attempt]
            if end in (End.FAILED, End.GIVEN_BACK):
                self._dispatch.announce(JOBS)  # it may be queued again
            ear.hear()  # a hand is free
        self.done += end is End.FINISHED
        self.failed += end is End.FAILED
        if end is End.GIVEN_BACK:
            self._pause_until = self._bench.tick() + _PAUSE_S
        if end in (End.FINISHED, End.FAILED):
            self._dispatch.announce(job_done(job.id))
            if job.callback is not None:
                self._dispatch.announce(WEBHOOKS)
