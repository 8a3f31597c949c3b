"""One attempt at a job: the pipeline, the beat that says it lives, its files, and its end in the store.

Whatever happens here, the store decides: an attempt whose number is no longer the job's has no say, and what it made
is thrown away. So a worker that froze for an hour and goes on harms nobody.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from accounts.policy import Policies
from batch.artifacts import Artifact, Artifacts
from batch.jobs import TERMINAL, Claim
from batch.pipelines.base import JobContext, Pipeline, Produced, Tools
from batch.queue import Queue
from batch.uploads import Uploads
from protocol.errors import Code, VoiceError
from protocol.requests import Priority
from protocol.work import Outcome, uploads_of

log = logging.getLogger("voxline.batch.worker")

T = TypeVar("T")

WAITED_FOR = 10  # a job of this priority or a lower number has somebody waiting for it on an open connection

_BEATS_A_LEASE = 3
_NEWS_S = 1.0  # how often progress is written, at most
_STALLED_S = 900.0  # an attempt whose progress stands still for so long will not move again
_STORE_RETRY_S = 1.0
_MAY_PASS = frozenset(
    {Code.ENGINE_FAILED, Code.ENGINE_RESTARTED, Code.TIMEOUT, Code.STORAGE_FULL, Code.INTERNAL, Code.SHUTTING_DOWN}
)
_NOT_NOW = frozenset({Code.BUSY, Code.MODEL_LOADING, Code.SHUTTING_DOWN})
_STORE_TROUBLE = (VoiceError, SQLAlchemyError, OSError)


class End(Enum):
    """What became of an attempt."""

    FINISHED = auto()
    FAILED = auto()  # perhaps to be tried again
    GIVEN_BACK = auto()  # through no fault of the job
    TAKEN = auto()  # the job is somebody else's by now, or was cancelled


@dataclass(frozen=True, slots=True)
class Bench:
    """What a worker works with."""

    queue: Queue
    artifacts: Artifacts
    policies: Policies
    crafts: Mapping[str, "Craft"]  # by ``protocol.work`` kind
    tools: Tools
    uploads: Uploads
    lease_s: float
    tick: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Craft:
    """How one kind of work is done, and how the names of its files begin (A26)."""

    prefix: str
    run: Pipeline[Any]


class Attempt:
    """Does one claimed job."""

    def __init__(self, bench: Bench, claim: Claim) -> None:
        self.claim = claim
        self.share = 0.0  # of the work that is done
        self._bench = bench
        self._moved_at = bench.tick()
        self._ending = False  # too late to be called off

    async def run(self) -> End:
        """All of it. When cancelled, the job is given back."""
        try:
            if not await self._bench.queue.start(self.claim):
                return End.TAKEN
            return await self._under_beat()
        except asyncio.CancelledError:
            await self._bench.queue.give_back(self.claim)
            raise
        except _STORE_TROUBLE as error:
            log.warning(
                "a job cannot be begun: the store fails", extra={**self._facts(), "cause": type(error).__name__}
            )
            return End.TAKEN

    async def _under_beat(self) -> End:
        """The work as a task of its own, while we tell the store that it goes on."""
        bench, taken, stalled = self._bench, False, False
        every = min(bench.lease_s / _BEATS_A_LEASE, _NEWS_S)
        beaten_at, told = bench.tick(), 0.0
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(self._work(), name=f"job {self.claim.job.id}")
            while not (await asyncio.wait({work}, timeout=every))[0]:
                share, now = self.share, bench.tick()
                stalled = now - self._moved_at > _STALLED_S and not self._ending
                if int(share * 100) != int(told * 100) or now - beaten_at >= bench.lease_s / _BEATS_A_LEASE:
                    taken = not await self._beat(share) and not self._ending
                    beaten_at, told = now, share
                if taken or stalled:
                    work.cancel()
                    await asyncio.wait({work})
                    break
        if not work.cancelled():
            return work.result()
        if stalled:
            return await self._fail(VoiceError(Code.TIMEOUT, "The work stood still."))
        return End.TAKEN

    async def _work(self) -> End:
        try:
            return await self._do()
        except VoiceError as error:
            log.info("a job failed", extra={**self._facts(), "code": error.code})
            failure = error
        except Exception:
            log.exception("a job broke", extra=self._facts())
            failure = VoiceError(Code.INTERNAL, "Something went wrong here.")
        self._ending = True
        try:
            return await self._fail(failure)
        except _STORE_TROUBLE:  # nothing could be noted: the job is taken over when the lease is out
            log.exception("the store failed under a job", extra=self._facts())
            return End.TAKEN

    async def _do(self) -> End:
        work = self.claim.job.work
        async with self._directory() as context:
            produced = await self._bench.crafts[work.kind].run(work, context, self._bench.tools)
            self._ending = True
            return await self._finish(produced)

    @asynccontextmanager
    async def _directory(self) -> AsyncIterator[JobContext]:
        job = self.claim.job
        async with self._bench.artifacts.temporary(job.id, self.claim.attempt) as directory:
            yield JobContext(
                job_id=job.id,
                user_id=job.user_id,
                attempt=self.claim.attempt,
                directory=directory,
                progress=self._progress,
                priority=Priority.SYNCHRONOUS if job.priority <= WAITED_FOR else Priority.BATCH,
            )

    def _progress(self, share: float) -> None:
        if share != self.share:
            self.share, self._moved_at = share, self._bench.tick()

    async def _beat(self, share: float) -> bool:
        try:
            return await self._bench.queue.beat(self.claim, share)
        except _STORE_TROUBLE as error:  # until it answers again nobody can take the job either
            log.warning("no beat: the store fails", extra={**self._facts(), "cause": type(error).__name__})
            return True

    # -- the end -------------------------------------------------------------------------------------

    async def _finish(self, produced: Produced) -> End:
        bench, job = self._bench, self.claim.job
        lifetime_s = (await bench.policies.current()).retention_hours * 3600
        made = await bench.artifacts.publish(
            produced.files,
            kind=bench.crafts[job.work.kind].prefix,
            job_id=job.id,
            user_id=job.user_id,
            lifetime_s=lifetime_s,
        )
        finished = await self._noted(lambda: bench.queue.finish(self.claim, _outcome(produced, made), made))
        if not finished:
            await bench.artifacts.discard(made)
            return End.TAKEN
        await self._forget_uploads()
        return End.FINISHED

    async def _fail(self, error: VoiceError) -> End:
        if error.code in _NOT_NOW:
            await self._noted(lambda: self._bench.queue.give_back(self.claim))
            return End.GIVEN_BACK
        retry = error.code in _MAY_PASS
        status = await self._noted(lambda: self._bench.queue.fail(self.claim, error, retry=retry))
        if status is None:
            return End.TAKEN
        if status in TERMINAL:
            await self._forget_uploads()
        return End.FAILED

    async def _noted(self, note: Callable[[], Awaitable[T]]) -> T:
        """Have the store note an end; while it fails, again until the lease would be over had we not beaten."""
        deadline = self._bench.tick() + self._bench.lease_s
        while True:
            try:
                return await note()
            except _STORE_TROUBLE:
                if self._bench.tick() > deadline:
                    raise
                log.warning("the end of a job cannot be stored now", extra=self._facts())
            await asyncio.sleep(_STORE_RETRY_S)

    async def _forget_uploads(self) -> None:
        for name in uploads_of(self.claim.job.work):
            try:
                await self._bench.uploads.remove(name)
            except OSError:
                log.warning("an upload cannot be removed", extra=self._facts())

    def _facts(self) -> dict[str, object]:
        return {"job": self.claim.job.id, "kind": self.claim.job.work.kind, "attempt": self.claim.attempt}


def _outcome(produced: Produced, made: Sequence[Artifact]) -> Outcome:
    """What the job has to show, its files by their names."""
    return Outcome(
        engine=produced.engine,
        seconds=produced.seconds,
        made=tuple(each.made() for each in made),
        text=produced.text,
        language=produced.language,
        segments=produced.segments,
        music=produced.music,
        speakers=produced.speakers,
        note=produced.note,
        source_text=produced.source_text,
        source_language=produced.source_language,
    )
