"""The durable queue: an accepted job is never lost, runs once at a time, and is paid for once (RELIABILITY: P1, P2).

Submitting is one transaction: credits set aside, row, idempotency key. A claim raises the job's ``attempt``, which is
the fence: everything a worker says later names its attempt, and is not heard when another has been made since. A worker
beats; when the beat stands still for a lease the watcher takes the job away (``batch.watcher``). Every ending resolves
the job's hold in its own transaction (``batch.endings``).
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError
from sqlalchemy import ColumnElement, case, delete, func, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Ledger
from accounts.schema import idempotency, job
from accounts.store import Store
from batch.artifacts import Artifact
from batch.callbacks import Callbacks
from batch.endings import SELECT_JOB, Endings, moving
from batch.jobs import CLAIMED, UNFINISHED, Claim, Job, Limits, Move, Status, Submission, callback_text, job_of
from protocol.errors import Code, VoiceError
from protocol.work import WORK, Outcome, uploads_of

_log = logging.getLogger(__name__)

REPLAYED_S = 86_400  # how long an idempotency key is remembered
RETRY_AFTER_S = 5  # what a caller over a limit is told to wait
# Every worker asks this every few seconds, mostly in vain: made once, it costs little.
_WAITING = select(job.c.id).where(job.c.status == Status.QUEUED).limit(1)
_SUBMITTING = 0x564F58  # an advisory lock of Postgres: who counts the server's jobs to add one


class Queue:
    """All jobs of a store. ``now`` is the time of day, ``new_id`` makes ids nobody can guess."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        callbacks: Callbacks | None = None,
    ) -> None:
        self.store = store
        self.endings = Endings(ledger, callbacks or Callbacks(), now=now, new_id=new_id)
        self._ledger = ledger
        self._now = now
        self._new_id = new_id

    # -- for who asks ----------------------------------------------------------------------------

    async def submit(self, asked: Submission, limits: Limits = Limits()) -> Job:  # noqa: B008  (frozen)
        """A queued job, and the credits for it set aside.

        With an idempotency key that was used within a day: the job it made then, or CONFLICT when the body was another.
        INSUFFICIENT_CREDITS; TOO_MANY_SESSIONS over a limit.
        """
        async with self.store.write() as connection:
            await self._ledger.lock(connection, asked.user_id)  # from here on, no other submit of this user
            if asked.idempotency_key is not None:
                replayed = await self._replayed(connection, asked)
                if replayed is not None:
                    return replayed
            await self._check(connection, asked.user_id, limits)
            if limits.also is not None:
                await limits.also(connection)
            job_id = self._new_id()
            hold_id = await self._ledger.hold(connection, asked.user_id, asked.price_units, f"job:{job_id}")
            await connection.execute(insert(job).values(self._row(job_id, hold_id, asked)))
            if asked.idempotency_key is not None:
                key = {"user_id": asked.user_id, "key": asked.idempotency_key, "body_hash": asked.body_hash}
                await connection.execute(insert(idempotency).values(**key, job_id=job_id, created_at=self._now()))
            return await _job(connection, job.c.id == job_id)

    async def cancel(self, user_id: int, job_id: str) -> Job:
        """Take back a job that is not yet processing; its credits are free again. NOT_FOUND, CONFLICT."""
        whose = (job.c.id == job_id) & (job.c.user_id == user_id)
        async with self.store.write() as connection:
            cancelled = await self.endings.cancel(connection, whose)
            found = await _job(connection, whose)
        if not cancelled:
            raise VoiceError(
                Code.CONFLICT, f"The job is {found.status}; only a queued or picked one can be cancelled.",
                status=found.status.value,
            )  # fmt: skip
        return found

    async def get(self, user_id: int, job_id: str) -> Job:
        """A job of this user; NOT_FOUND for any other."""
        async with self.store.read() as connection:
            return await _job(connection, (job.c.id == job_id) & (job.c.user_id == user_id))

    async def page(
        self, user_id: int, *, limit: int = 50, before: str | None = None, kind: str | None = None
    ) -> Sequence[Job]:
        """The latest jobs of a user, newest first; ``before``: those older than the one of that id."""
        mine = job.c.user_id == user_id
        query = SELECT_JOB.where(mine).order_by(job.c.created_at.desc(), job.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(job.c.kind == kind)
        if before is not None:
            last = select(job.c.created_at, job.c.id).where(mine, job.c.id == before)
            query = query.where(tuple_(job.c.created_at, job.c.id) < last.scalar_subquery())
        async with self.store.read() as connection:
            return [job_of(row) for row in await connection.execute(query)]

    async def counts(self, user_id: int | None = None) -> Mapping[Status, int]:
        """How many unfinished jobs of each status there are, of one user or of all."""
        unfinished = job.c.status.in_(sorted(UNFINISHED))
        query = select(job.c.status, func.count().label("jobs")).where(unfinished).group_by(job.c.status)
        if user_id is not None:
            query = query.where(job.c.user_id == user_id)
        async with self.store.read() as connection:
            found = {row.status: row.jobs for row in await connection.execute(query)}
        return {status: found.get(status, 0) for status in Status if status in UNFINISHED}

    async def uploads_in_use(self) -> frozenset[str]:
        """The uploads that unfinished jobs still need; any other that is not fresh may go."""
        query = select(job.c.work).where(job.c.status.in_(sorted(UNFINISHED)))
        async with self.store.read() as connection:
            works = [row.work for row in await connection.execute(query)]
        return frozenset(name for work in works for name in uploads_of(WORK.validate_json(work)))

    # -- for workers -----------------------------------------------------------------------------

    async def claim(self, worker: str, *, priority: int | None = None) -> Claim | None:
        """The job that is next, for this worker now: lowest priority number, then oldest. None: there is none.

        With ``priority``: of those with at most that number.
        """
        waiting = _WAITING if priority is None else _WAITING.where(job.c.priority <= priority)
        async with self.store.read() as connection:  # costs no write lock while there is nothing to do
            if (await connection.scalar(waiting)) is None:
                return None
        order = (job.c.priority, job.c.created_at, job.c.id)
        chosen = waiting.order_by(*order).with_for_update(skip_locked=True)
        taken = {"attempt": job.c.attempt + 1, "beat": job.c.beat + 1, "worker": worker, "progress": 0}
        statement = moving(Move.CLAIM, job.c.id == chosen.scalar_subquery()).values(taken)
        async with self.store.write() as connection:
            row = (await connection.execute(statement.returning(job.c.id, job.c.attempt))).one_or_none()
            if row is None:
                return None
            try:
                return Claim(await _job(connection, job.c.id == row.id), row.attempt)
            except ValidationError:
                _log.exception("a job of another version cannot be read", extra={"job": row.id})
                unreadable = VoiceError(Code.INTERNAL, "This version of the server cannot do that work.")
                await self.endings.broke(connection, _fence(row.id, row.attempt), unreadable, retry=True)
                return None

    async def start(self, claim: Claim) -> bool:
        """The work begins: it can no longer be cancelled. False: it was taken away."""
        return await self._say(Move.START, claim, beat=job.c.beat + 1, started_at=self._now())

    async def beat(self, claim: Claim, progress: float) -> bool:
        """The worker lives, and so much is done (0 to 1). False: the job was taken away, stop."""
        percent = min(99, max(0, int(100 * progress)))
        progressed = case((job.c.progress < percent, percent), else_=job.c.progress)
        mine = update(job).where(job.c.status.in_(sorted(CLAIMED)), _fence(claim.job.id, claim.attempt))
        async with self.store.write() as connection:
            beaten = await connection.execute(mine.values(beat=job.c.beat + 1, progress=progressed))
        return beaten.rowcount == 1

    async def finish(self, claim: Claim, outcome: Outcome, artifacts: Sequence[Artifact] = ()) -> bool:
        """The work is done. False: it was taken away, and what was made is to be thrown away."""
        async with self.store.write() as connection:
            fence = _fence(claim.job.id, claim.attempt)
            return await self.endings.complete(connection, fence, outcome, artifacts)

    async def fail(self, claim: Claim, error: VoiceError, *, retry: bool) -> Status | None:
        """The attempt failed; ``retry``: queue the job again, up to its third failure. None: it was taken away."""
        async with self.store.write() as connection:
            return await self.endings.broke(connection, _fence(claim.job.id, claim.attempt), error, retry=retry)

    async def give_back(self, claim: Claim) -> bool:
        """Queue it again, as if never claimed: the worker is shutting down. False: it was taken away."""
        return await self._say(Move.REQUEUE, claim, worker="", progress=0)

    # -- inside ----------------------------------------------------------------------------------

    async def _say(self, move: Move, claim: Claim, **values: object) -> bool:
        statement = moving(move, _fence(claim.job.id, claim.attempt)).values(values)
        async with self.store.write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def _replayed(self, connection: AsyncConnection, asked: Submission) -> Job | None:
        await connection.execute(delete(idempotency).where(idempotency.c.created_at <= self._now() - REPLAYED_S))
        key = (idempotency.c.user_id == asked.user_id) & (idempotency.c.key == asked.idempotency_key)
        query = select(idempotency.c.body_hash, idempotency.c.job_id).where(key)
        known = (await connection.execute(query)).one_or_none()
        if known is None:
            return None
        if known.body_hash != asked.body_hash:
            raise VoiceError(
                Code.CONFLICT, "This Idempotency-Key was used for another request.", field="Idempotency-Key"
            )
        return await _job(connection, job.c.id == known.job_id)

    async def _check(self, connection: AsyncConnection, user_id: int, limits: Limits) -> None:
        unfinished = select(func.count()).select_from(job).where(job.c.status.in_(sorted(UNFINISHED)))
        if limits.user and await _count(connection, unfinished.where(job.c.user_id == user_id)) >= limits.user:
            raise _too_many(f"You have {limits.user} unfinished jobs, which is your limit.", limits.user)
        if limits.server:
            if self.store.postgres:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _SUBMITTING})
            if await _count(connection, unfinished) >= limits.server:
                raise _too_many(f"The server has {limits.server} unfinished jobs, which is its limit.", limits.server)

    def _row(self, job_id: str, hold_id: int, asked: Submission) -> dict[str, object]:
        return {
            "id": job_id,
            "user_id": asked.user_id,
            "dialect": asked.dialect,
            "kind": asked.work.kind,
            "work": asked.work.model_dump_json(),
            "details": json.dumps(asked.details, ensure_ascii=False),
            "status": Status.QUEUED,
            "priority": asked.priority,
            "hold_id": hold_id,
            "attempt": 0,
            "failures": 0,
            "beat": 0,
            "worker": "",
            "progress": 0,
            "outcome": "",
            "error": "",
            "callback": callback_text(asked.callback),
            "created_at": self._now(),
        }


def _fence(job_id: str, attempt: int) -> ColumnElement[bool]:
    return (job.c.id == job_id) & (job.c.attempt == attempt)


async def _job(connection: AsyncConnection, which: ColumnElement[bool]) -> Job:
    row = (await connection.execute(SELECT_JOB.where(which))).one_or_none()
    if row is None:
        raise VoiceError(Code.NOT_FOUND, "There is no such job.")
    return job_of(row)


async def _count(connection: AsyncConnection, query: object) -> int:
    return int(await connection.scalar(query) or 0)  # type: ignore[call-overload]


def _too_many(message: str, limit: int) -> VoiceError:
    return VoiceError(Code.TOO_MANY_SESSIONS, message, retry_after=RETRY_AFTER_S, allowed=limit)
