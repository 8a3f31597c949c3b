"""The outbox: every webhook is taken once at a time, by somebody, until it is settled; no user holds up another."""

import asyncio
from itertools import count

import pytest
from sqlalchemy import select

from accounts.schema import webhook
from accounts.store import Store
from batch.outbox import Outbox, State, post
from tests.batch.clocks import Clock
from tests.batch.rows import make_job, make_user

_ids = count(1)


async def posted(store: Store, clock: Clock, user: int, url: str = "https://a.example/") -> str:
    webhook_id, job_id = f"msg_{next(_ids)}", await make_job(store, user)
    async with store.write() as connection:
        await post(
            connection, webhook_id=webhook_id, user_id=user, job_id=job_id, url=url, body="{}", now=clock()
        )  # fmt: skip
    return webhook_id


async def states(store: Store) -> dict[str, tuple[str, int]]:
    async with store.read() as connection:
        rows = (await connection.execute(select(webhook.c.id, webhook.c.state, webhook.c.attempt))).all()
    return {row.id: (row.state, row.attempt) for row in rows}


async def test_what_is_posted_in_a_transaction_that_fails_is_never_sent(store: Store) -> None:
    clock, user = Clock(), await make_user(store)
    job_id = await make_job(store, user)
    with pytest.raises(ZeroDivisionError):
        async with store.write() as connection:
            await post(connection, webhook_id="m", user_id=user, job_id=job_id, url="u", body="{}", now=clock())
            raise ZeroDivisionError
    assert await Outbox(store, now=clock).take(10, per_user=10) == ()


async def test_a_webhook_is_taken_once_and_again_when_its_taker_has_died(store: Store) -> None:
    clock, user = Clock(), await make_user(store)
    name = await posted(store, clock, user)
    outbox = Outbox(store, now=clock, lease_s=60)
    (first,) = await outbox.take(10, per_user=10)
    assert (first.id, first.attempt, first.body) == (name, 1, "{}")
    assert not await outbox.take(10, per_user=10)
    clock.time += 60
    (second,) = await outbox.take(10, per_user=10)
    assert (second.id, second.attempt) == (name, 2)
    assert not await outbox.settle(first, State.DELIVERED, 200), "it was taken from him"
    assert (await states(store))[name] == (State.PENDING, 2)
    assert await outbox.settle(second, State.DELIVERED, 200)
    clock.time += 10_000
    assert not await outbox.take(10, per_user=10)
    assert await outbox.pending() == 0


async def test_one_that_is_given_back_is_due_at_once_and_was_no_attempt(store: Store) -> None:
    clock, user = Clock(), await make_user(store)
    await posted(store, clock, user)
    outbox = Outbox(store, now=clock)
    (taken,) = await outbox.take(1, per_user=1)
    await outbox.give_back(taken)
    assert [again.attempt for again in await outbox.take(1, per_user=1)] == [1]


async def test_a_user_with_many_does_not_hold_up_the_others(store: Store) -> None:
    clock, many, few = Clock(), await make_user(store), await make_user(store)
    for _ in range(20):
        await posted(store, clock, many)
    clock.time += 1
    last = await posted(store, clock, few)
    taken = await Outbox(store, now=clock).take(5, per_user=2)
    assert [one.user_id for one in taken] == [many, many, few] and taken[-1].id == last
    assert not await Outbox(store, now=clock).take(5, per_user=2, busy=[many])


async def test_gone_is_for_all_that_wait_for_the_same_address_of_the_same_user(store: Store) -> None:
    clock, one, other = Clock(), await make_user(store), await make_user(store)
    first, same, elsewhere, others = [
        await posted(store, clock, user, url)
        for user, url in ((one, "https://a/"), (one, "https://a/"), (one, "https://b/"), (other, "https://a/"))
    ]
    outbox = Outbox(store, now=clock)
    taken = {webhook.id: webhook for webhook in await outbox.take(9, per_user=9)}
    assert await outbox.settle(taken[first], State.GONE, 410)
    assert {name: state for name, (state, _) in (await states(store)).items()} == {
        first: State.GONE, same: State.GONE, elsewhere: State.PENDING, others: State.PENDING
    }  # fmt: skip


async def test_of_several_takers_at_once_each_webhook_goes_to_one(store: Store) -> None:
    clock, user = Clock(), await make_user(store)
    names = {await posted(store, clock, user) for _ in range(60)}
    outboxes = [Outbox(store, now=clock) for _ in range(8)]
    taken: list[str] = []
    while batches := [one for one in await asyncio.gather(*(o.take(1, per_user=99) for o in outboxes)) if one]:
        taken += [one.id for batch in batches for one in batch]
    assert sorted(taken) == sorted(names)
