"""What was transcribed for a user, to be looked up long after (C22): pages of it, the minutes it took, forgetting it.

A transcript is a job's outcome, and outcomes are kept until their owner deletes them; the policy's ``retention_hours``
are of files. What is deleted leaves a row without words: that it was, when, and how long it lasted, since that counts
towards the plan's minutes and the ledger names the job.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.schema import artifact, idempotency, job
from accounts.store import Store
from batch.callers import Caller
from batch.endings import SELECT_JOB
from batch.jobs import TERMINAL, Job, Status, job_of
from protocol.errors import Code, VoiceError
from protocol.work import Outcome

SECONDS = "duration_secs"  # in a job's details
_FORGOTTEN = ".forgotten"  # after the dialect's name: no wire tells of such a job any more
_GIVEN_BACK = (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transcripts: those of these statuses (none: of all), in a language, made within a time."""

    statuses: frozenset[Status] = frozenset()
    language: str = ""
    since: float | None = None
    until: float | None = None


class Transcripts:
    """The transcripts that came by one dialect. ``now`` is the time of day."""

    def __init__(self, store: Store, dialect: str, *, now: Callable[[], float]) -> None:
        self._store = store
        self._dialect = dialect
        self._now = now

    async def page(self, user_id: int, wanted: Wanted, *, limit: int, offset: int = 0) -> tuple[int, Sequence[Job]]:
        """How many there are of those that are wanted, and some of them, newest first."""
        which = self._which(user_id, wanted)
        order = (job.c.created_at.desc(), job.c.id.desc())
        async with self._store.read() as connection:
            count = (await connection.execute(select(func.count()).select_from(job).where(which))).scalar_one()
            rows = await connection.execute(SELECT_JOB.where(which).order_by(*order).limit(limit).offset(offset))
            return count, [job_of(row) for row in rows]

    async def forget(self, one: Job) -> None:
        """Delete what a job that is over made and heard. CONFLICT while it is not over."""
        mine = (job.c.id == one.id) & (job.c.dialect == self._dialect) & job.c.status.in_(sorted(TERMINAL))
        values = {"dialect": self._dialect + _FORGOTTEN, "details": json.dumps({SECONDS: _seconds(one.details)})}
        if one.outcome is not None:
            values["outcome"] = Outcome(engine=one.outcome.engine, seconds=one.outcome.seconds).model_dump_json()
        async with self._store.write() as connection:
            forgotten = await connection.execute(update(job).where(mine).values(values))
            if not forgotten.rowcount:
                raise VoiceError(Code.CONFLICT, "It is being transcribed; delete it when that is over.")
            files = update(artifact).where(artifact.c.job_id == one.id, artifact.c.expires_at > self._now())
            await connection.execute(files.values(expires_at=self._now()))  # the next sweep removes them
            await connection.execute(delete(idempotency).where(idempotency.c.job_id == one.id))

    async def lengths(self, user_id: int, since: float) -> list[tuple[float, float]]:
        """When each recording was sent since then, and its seconds."""
        async with self._store.read() as connection:
            return await _lengths(connection, self._counted(user_id, since))

    async def minutes(self, user_id: int) -> int:
        """The minutes of this month, each begun one whole (C4)."""
        async with self._store.read() as connection:
            return await self._minutes(connection, user_id)

    async def admit(self, caller: Caller) -> None:
        """RATE_LIMITED when the plan's minutes of this month are all used."""
        if caller.plan.minutes_per_month:
            async with self._store.read() as connection:
                await self._check(connection, caller, 0.0)

    def check(self, caller: Caller, seconds: float) -> Callable[[AsyncConnection], Awaitable[None]] | None:
        """For the transaction that makes a job: RATE_LIMITED when so much is more than the plan has left (C3)."""
        if not caller.plan.minutes_per_month:
            return None

        async def enough(connection: AsyncConnection) -> None:
            await self._check(connection, caller, seconds)

        return enough

    # -- inside ----------------------------------------------------------------------------------

    async def _check(self, connection: AsyncConnection, caller: Caller, seconds: float) -> None:
        most = caller.plan.minutes_per_month
        left = most - await self._minutes(connection, caller.user_id)
        if left <= 0 or math.ceil(seconds / 60) > left:
            message = f"Your plan has {most} minutes of recordings a month, of which {max(0, left)} are left."
            wait = max(1, round(_next_month(self._now()) - self._now()))
            raise VoiceError(Code.RATE_LIMITED, message, retry_after=wait)

    async def _minutes(self, connection: AsyncConnection, user_id: int) -> int:
        month = _month(self._now()).timestamp()
        found = await _lengths(connection, self._counted(user_id, month))
        return sum(math.ceil(seconds / 60) for _, seconds in found)

    def _counted(self, user_id: int, since: float) -> ColumnElement[bool]:
        """Of the user's recordings those that came to something, deleted ones too."""
        ours = job.c.dialect.in_([self._dialect, self._dialect + _FORGOTTEN]) & (job.c.kind == "transcribe")
        return (job.c.user_id == user_id) & (job.c.created_at >= since) & ours & job.c.status.not_in(_GIVEN_BACK)

    def _which(self, user_id: int, wanted: Wanted) -> ColumnElement[bool]:
        which = (job.c.user_id == user_id) & (job.c.dialect == self._dialect) & (job.c.kind == "transcribe")
        if wanted.statuses:
            which &= job.c.status.in_(sorted(wanted.statuses))
        if wanted.language:  # as ``Outcome`` is written; within a text the quotes would be escaped
            which &= job.c.outcome.contains(f'"language":"{wanted.language}"', autoescape=True)
        if wanted.since is not None:
            which &= job.c.created_at >= wanted.since
        if wanted.until is not None:
            which &= job.c.created_at < wanted.until
        return which


async def _lengths(connection: AsyncConnection, which: ColumnElement[bool]) -> list[tuple[float, float]]:
    rows = await connection.execute(select(job.c.created_at, job.c.details).where(which))
    return [(row.created_at, _seconds(json.loads(row.details))) for row in rows]


def _seconds(details: Mapping[str, Any]) -> float:
    return float(details.get(SECONDS, 0.0))


def _month(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next_month(now: float) -> float:
    begin = _month(now)
    return begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1).timestamp()
