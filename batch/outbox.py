"""The webhooks that are to be sent: rows written in the transaction that finishes a job, so that none is forgotten.

A row is taken for one attempt by raising its ``attempt`` and moving its ``due_at`` to the end of a lease; the attempt
number is the fence. Whoever dies in the middle leaves a row that is due again after the lease: delivery is at least
once, always under the same id.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.schema import webhook
from accounts.store import Store


class State(StrEnum):
    """Where a webhook stands."""

    PENDING = "pending"  # to be sent at ``due_at``
    DELIVERED = "delivered"  # the receiver answered 2xx
    FAILED = "failed"  # every attempt of the schedule failed, or the address is forbidden
    GONE = "gone"  # the receiver answered 410: it wants no more


@dataclass(frozen=True, slots=True)
class Webhook:
    """One taken for an attempt."""

    id: str
    user_id: int
    url: str
    body: str
    attempt: int  # 1 for the first
    created_at: float


async def post(
    connection: AsyncConnection, *, webhook_id: str, user_id: int, job_id: str, url: str, body: str, now: float
) -> None:
    """Have a webhook sent, if the transaction that this connection is in commits."""
    await connection.execute(
        insert(webhook).values(
            id=webhook_id, user_id=user_id, job_id=job_id, url=url, body=body,
            state=State.PENDING, attempt=0, due_at=now, answer=0, created_at=now,
        )
    )  # fmt: skip


# Every server asks this every few seconds, nearly always in vain: made once, it costs little.
_IS_DUE = and_(webhook.c.state == State.PENDING, webhook.c.due_at <= bindparam("moment"))
_LOOK = select(webhook.c.id).where(_IS_DUE).limit(1)


class Outbox:
    """Takes what is due, and notes what came of it."""

    def __init__(self, store: Store, *, now: Callable[[], float], lease_s: float = 60.0) -> None:
        self._store = store
        self._now = now
        self._lease_s = lease_s

    async def take(self, most: int, *, per_user: int, busy: Collection[int] = ()) -> Sequence[Webhook]:
        """At most ``most`` that are due, each for one attempt; at most ``per_user`` of one user, none of the ``busy``.

        So that a user whose receiver never answers cannot hold up those of others.
        """
        now, look = self._now(), _LOOK.where(webhook.c.user_id.not_in(busy)) if busy else _LOOK
        async with self._store.read() as connection:  # costs no write lock while there is nothing to do
            if (await connection.scalar(look, {"moment": now})) is None:
                return ()
        rank = func.row_number().over(partition_by=webhook.c.user_id, order_by=(webhook.c.due_at, webhook.c.id))
        due = select(webhook.c.id, webhook.c.due_at, rank.label("rank"))
        fair = due.where(_IS_DUE, webhook.c.user_id.not_in(busy)).subquery()
        chosen = select(fair.c.id).where(fair.c.rank <= per_user).order_by(fair.c.due_at).limit(most)
        async with self._store.write() as connection:
            # Said again for the rows that are locked: one that another taker took since our look is found as it is now,
            # and Postgres asks of it no more than is said here.
            rows = select(webhook).where(_IS_DUE, webhook.c.id.in_(chosen)).order_by(webhook.c.due_at)
            rows = rows.with_for_update(skip_locked=True)
            taken = []
            for row in (await connection.execute(rows, {"moment": now})).all():
                again = update(webhook).where(
                    webhook.c.id == row.id, webhook.c.state == State.PENDING, webhook.c.attempt == row.attempt
                )
                changed = await connection.execute(again.values(attempt=row.attempt + 1, due_at=now + self._lease_s))
                if changed.rowcount == 1:
                    taken.append(Webhook(row.id, row.user_id, row.url, row.body, row.attempt + 1, row.created_at))
            return taken

    async def settle(self, sent: Webhook, state: State, answer: int, *, retry_in: float = 0.0) -> bool:
        """What came of an attempt; False when somebody else has taken the webhook meanwhile."""
        mine = update(webhook).where(
            webhook.c.id == sent.id, webhook.c.state == State.PENDING, webhook.c.attempt == sent.attempt
        )
        async with self._store.write() as connection:
            changed = await connection.execute(mine.values(state=state, answer=answer, due_at=self._now() + retry_in))
            if state is State.GONE:
                others = update(webhook).where(
                    webhook.c.user_id == sent.user_id, webhook.c.url == sent.url, webhook.c.state == State.PENDING
                )
                await connection.execute(others.values(state=State.GONE))
        return changed.rowcount == 1

    async def give_back(self, sent: Webhook) -> None:
        """An attempt that was broken off by our own end: it is due at once, and was none."""
        mine = update(webhook).where(
            webhook.c.id == sent.id, webhook.c.state == State.PENDING, webhook.c.attempt == sent.attempt
        )
        async with self._store.write() as connection:
            await connection.execute(mine.values(attempt=sent.attempt - 1, due_at=self._now()))

    async def pending(self) -> int:
        """How many are still to be delivered."""
        async with self._store.read() as connection:
            query = select(func.count()).select_from(webhook).where(webhook.c.state == State.PENDING)
            return int(await connection.scalar(query) or 0)
