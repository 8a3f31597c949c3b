"""A job: work with a status, and the one table of how statuses may follow each other (A22)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import Code, VoiceError
from protocol.requests import Priority
from protocol.work import WORK, Outcome, Work


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    PICKED = "picked"  # a worker has it, and has not begun
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    START = "start"
    FINISH = "finish"
    FAIL = "fail"
    REQUEUE = "requeue"  # its worker was lost, gave it back, or failed in a way that may not last
    CANCEL = "cancel"


MOVES: Mapping[Move, tuple[frozenset[Status], Status]] = {
    Move.CLAIM: (frozenset({Status.QUEUED}), Status.PICKED),
    Move.START: (frozenset({Status.PICKED}), Status.PROCESSING),
    Move.FINISH: (frozenset({Status.PROCESSING}), Status.COMPLETED),
    Move.FAIL: (frozenset({Status.PICKED, Status.PROCESSING}), Status.FAILED),
    Move.REQUEUE: (frozenset({Status.PICKED, Status.PROCESSING}), Status.QUEUED),
    Move.CANCEL: (frozenset({Status.QUEUED, Status.PICKED}), Status.CANCELLED),
}
CLAIMED = frozenset({Status.PICKED, Status.PROCESSING})
UNFINISHED = CLAIMED | {Status.QUEUED}
TERMINAL = frozenset(Status) - UNFINISHED

MAX_FAILURES = 3  # attempts that were lost or broke, before the job is given up


@dataclass(frozen=True, slots=True)
class Callback:
    """Whom to tell when a job is over, and in which dialect's words (``batch.callbacks``)."""

    url: str
    style: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What is asked for. ``body_hash`` is of the request as its sender meant it, without the names we gave uploads."""

    user_id: int
    dialect: str
    work: Work
    price_units: int
    details: Mapping[str, Any] = field(default_factory=dict)  # what the dialect wants to say again in its replies
    priority: int = Priority.BATCH  # lower runs earlier
    callback: Callback | None = None
    idempotency_key: str | None = None
    body_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many unfinished jobs there may be at once (A4); 0 = no limit. ``also`` raises what else is against another
    one, by a look at the store under the same lock."""

    user: int = 0
    server: int = 0
    also: Callable[[AsyncConnection], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the store knows it; times in seconds since 1970."""

    id: str
    user_id: int
    dialect: str
    work: Work
    details: Mapping[str, Any]
    status: Status
    priority: int
    hold_id: int
    price_units: int  # held, and spent when it is completed
    attempt: int
    failures: int
    worker: str
    progress: int  # percent
    outcome: Outcome | None  # of a completed one
    error: VoiceError | None  # of a failed one
    callback: Callback | None
    created_at: float
    started_at: float | None
    finished_at: float | None

    @property
    def finished(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in TERMINAL

    @property
    def spent_units(self) -> int:
        """What it cost in the end, or will: nothing when it failed or was cancelled (A8)."""
        return 0 if self.status in (Status.FAILED, Status.CANCELLED) else self.price_units


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in the hands of a worker. ``attempt`` is the fence: whoever has an older one has no say any more."""

    job: Job
    attempt: int


def job_of(row: Row[Any]) -> Job:
    """A row of ``job`` with its hold's amount as ``price_units``."""
    return Job(
        id=row.id,
        user_id=row.user_id,
        dialect=row.dialect,
        work=WORK.validate_json(row.work),
        details=json.loads(row.details),
        status=Status(row.status),
        priority=row.priority,
        hold_id=row.hold_id,
        price_units=row.price_units,
        attempt=row.attempt,
        failures=row.failures,
        worker=row.worker,
        progress=row.progress,
        outcome=Outcome.model_validate_json(row.outcome) if row.outcome else None,
        error=_error_of(row.error),
        callback=Callback(**json.loads(row.callback)) if row.callback else None,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def callback_text(callback: Callback | None) -> str:
    """A callback as its column."""
    return "" if callback is None else json.dumps({"url": callback.url, "style": callback.style})


def error_text(error: VoiceError) -> str:
    """An error as its column; a fact JSON does not know is written as its words."""
    return json.dumps({"code": error.code, "message": error.message, "facts": error.facts}, default=str)


def _error_of(column: str) -> VoiceError | None:
    if not column:
        return None
    known = json.loads(column)
    return VoiceError(Code(known["code"]), known["message"], **known["facts"])
