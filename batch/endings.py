"""How a job ends, and what must happen with it in the same transaction: its hold, its files' rows, its webhook.

Each ending is one statement with the statuses it may leave in its WHERE (``jobs.MOVES``) and the caller's fence: when
no row answers to both, somebody else was first, and nothing happens.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Row, Update, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Ledger
from accounts.schema import artifact, hold, job
from batch.artifacts import Artifact
from batch.callbacks import Callbacks
from batch.jobs import MAX_FAILURES, MOVES, Move, Status, error_text, job_of
from batch.outbox import post
from protocol.errors import VoiceError
from protocol.work import Outcome

_log = logging.getLogger(__name__)

SELECT_JOB = select(job, hold.c.amount.label("price_units")).join(hold, hold.c.id == job.c.hold_id)
Fence = ColumnElement[bool]


class Endings:
    """The endings of jobs. ``now`` is the time of day."""

    def __init__(
        self, ledger: Ledger, callbacks: Callbacks, *, now: Callable[[], float], new_id: Callable[[], str]
    ) -> None:
        self._ledger = ledger
        self._callbacks = callbacks
        self._now = now
        self._new_id = new_id

    async def complete(
        self, connection: AsyncConnection, fence: Fence, outcome: Outcome, artifacts: Sequence[Artifact]
    ) -> bool:
        """Finished: its hold is spent, its files can be found."""
        values = {"outcome": outcome.model_dump_json(), "progress": 100, "finished_at": self._now()}
        row = await self._move(connection, moving(Move.FINISH, fence).values(values))
        if row is None:
            return False
        await self._ledger.capture(connection, row.hold_id)
        if artifacts:
            await connection.execute(insert(artifact), [made.values() for made in artifacts])
        await self._tell(connection, row)
        return True

    async def broke(
        self, connection: AsyncConnection, fence: Fence, error: VoiceError, *, retry: bool
    ) -> Status | None:
        """An attempt failed or was lost: queued again when that may help, else failed and its hold released."""
        if retry:
            again = moving(Move.REQUEUE, fence, job.c.failures < MAX_FAILURES - 1)
            if await self._move(connection, again.values(failures=job.c.failures + 1, worker="", progress=0)):
                return Status.QUEUED
        values = {"failures": job.c.failures + 1, "error": error_text(error), "finished_at": self._now()}
        row = await self._move(connection, moving(Move.FAIL, fence).values(values))
        if row is None:
            return None
        await self._ledger.release(connection, row.hold_id)
        await self._tell(connection, row)
        return Status.FAILED

    async def cancel(self, connection: AsyncConnection, fence: Fence) -> bool:
        """Cancelled by its user, who needs no webhook to know it."""
        row = await self._move(connection, moving(Move.CANCEL, fence).values(finished_at=self._now()))
        if row is None:
            return False
        await self._ledger.release(connection, row.hold_id)
        return True

    async def _move(self, connection: AsyncConnection, statement: Update) -> Row[Any] | None:
        returning = statement.returning(job.c.id, job.c.hold_id, job.c.callback)
        return (await connection.execute(returning)).one_or_none()

    async def _tell(self, connection: AsyncConnection, moved: Row[Any]) -> None:
        if not moved.callback:
            return
        try:
            over = job_of((await connection.execute(SELECT_JOB.where(job.c.id == moved.id))).one())
        except ValidationError:  # of a later version: it ends here all the same
            _log.exception("nobody can be told of a job that cannot be read", extra={"job": moved.id})
            return
        assert over.callback is not None
        await post(
            connection,
            webhook_id=f"msg_{self._new_id()}",
            user_id=over.user_id,
            job_id=over.id,
            url=over.callback.url,
            body=self._callbacks.body(over),
            now=self._now(),
        )


def moving(move: Move, *fence: Fence) -> Update:
    """The statement of a move: from its statuses only, and only past the fence."""
    before, after = MOVES[move]
    return update(job).where(job.c.status.in_(sorted(before)), *fence).values(status=after)
