"""Callers without a key (C3): counted by address, in the store, and forgotten after a day."""

import pytest
from sqlalchemy import select

from accounts.house import House
from accounts.limits import RateLimiter
from accounts.schema import job
from accounts.store import Store
from batch.callers import Caller
from batch.jobs import Job, Limits, Submission
from batch.visitors import FORGOTTEN, ORIGIN, VisitorLimits, Visitors, forget_visitors
from protocol.errors import Code, VoiceError
from tests.batch.queueing import HEAR, OUTCOME, Counter
from tests.databases import sqlite_only

pytestmark = sqlite_only
DAY_S = 86_400.0


class Hall:
    """Visitors, and a queue for what they ask."""

    def __init__(self, store: Store, limits: VisitorLimits = VisitorLimits()) -> None:  # noqa: B008  (frozen)
        self.counter = Counter(store)
        self.house = House(store, self.counter.ledger, now=self.counter.now)
        rates = RateLimiter(now=self.counter.now, tick=self.counter.tick)
        self.visitors = Visitors(
            store, self.house.visitors, rates, limits, network=lambda address: address[:3], now=self.counter.now
        )

    async def ask(self, caller: Caller) -> Job:
        asked = Submission(caller.user_id, "stt_ai", HEAR, 0, {"a": 1, ORIGIN: caller.origin})
        return await self.counter.queue.submit(asked, Limits(also=self.visitors.check(caller)))

    async def done(self, caller: Caller) -> Job:
        asked = await self.ask(caller)
        claim = await self.counter.queue.claim("w")
        assert claim is not None and await self.counter.queue.start(claim)
        assert await self.counter.queue.finish(claim, OUTCOME)
        return asked

    async def refusal(self, caller: Caller) -> VoiceError:
        with pytest.raises(VoiceError) as caught:
            await self.ask(caller)
        with pytest.raises(VoiceError) as before:
            await self.visitors.admit(caller)  # before anything is uploaded, too
        assert before.value.code is caught.value.code
        return caught.value


async def test_three_a_day_and_one_at_once(store: Store) -> None:
    hall = Hall(store)
    ann, bob = await hall.visitors.identify("1.1.1"), await hall.visitors.identify("2.2.2")
    assert ann.origin != bob.origin and ann.user_id == bob.user_id and "1.1" not in str(ann.origin)
    assert (await hall.visitors.identify("1.1.9")).origin == ann.origin  # of one network
    assert not ann.by_key and ann.plan.recording_mb == 100
    for _ in range(3):
        await hall.done(ann)
        hall.counter.now.at += 60
    error = await hall.refusal(ann)
    assert error.code is Code.RATE_LIMITED and error.facts["retry_after"] == DAY_S - 180
    waiting = await hall.ask(bob)
    assert (await hall.refusal(bob)).code is Code.TOO_MANY_SESSIONS
    await hall.counter.queue.cancel(bob.user_id, waiting.id)  # which was none then
    await hall.done(bob)
    hall.counter.now.at += DAY_S - 180
    await hall.done(ann)


async def test_without_limits(store: Store) -> None:
    hall = Hall(store, VisitorLimits(per_day=0, at_once=0))
    ann = await hall.visitors.identify("1.1.1")
    for _ in range(5):
        await hall.ask(ann)


async def test_requests_a_minute(store: Store) -> None:
    hall = Hall(store)
    for reading, most in ((False, 10), (True, 120)):
        for _ in range(most):
            await hall.visitors.identify("1.1.1", reading=reading)
        with pytest.raises(VoiceError) as caught:
            await hall.visitors.identify("1.1.1", reading=reading)
        assert caught.value.code is Code.RATE_LIMITED
        await hall.visitors.identify("3.3.3", reading=reading)


async def test_nothing_is_left_after_a_day(store: Store) -> None:
    hall = Hall(store)
    known, now = hall.house.known, hall.counter.now
    assert await forget_visitors(store, known, now) == 0
    ann, ada = await hall.visitors.identify("1.1.1"), await hall.counter.person()
    old = await hall.done(ann)
    hers = await hall.done(Caller(ada, ann.plan, origin="x"))
    now.at += DAY_S
    new = await hall.done(ann)
    assert await forget_visitors(store, known, now) == 1 and await forget_visitors(store, known, now) == 0
    async with store.read() as connection:
        rows = {row.id: row for row in await connection.execute(select(job))}
    assert (rows[old.id].dialect, rows[old.id].details) == (FORGOTTEN, "{}")
    assert "scripted" not in rows[old.id].outcome
    for kept in (new, hers):
        assert rows[kept.id].dialect == "stt_ai" and "scripted" in rows[kept.id].outcome
