"""Kept transcripts (C22) and the minutes they took (C3), on SQLite and on Postgres."""

from datetime import UTC, datetime

import pytest

from accounts.policy import Plan
from accounts.store import Store
from batch.callers import Caller
from batch.jobs import Job, Limits, Status, Submission
from batch.transcripts import SECONDS, Transcripts, Wanted
from protocol.errors import Code, VoiceError
from protocol.work import Outcome
from tests.batch.queueing import HEAR, SPEAK, Counter, asking, made

NOON = datetime(2026, 12, 31, 12, tzinfo=UTC).timestamp()


class Shelf:
    """Transcripts, and a queue they come from."""

    def __init__(self, store: Store) -> None:
        self.counter = Counter(store)
        self.counter.now.at = NOON
        self.kept = Transcripts(store, "stt_ai", now=self.counter.now)

    async def add(self, user_id: int, language: str = "en", *, seconds: float = 61.0, dialect: str = "stt_ai") -> Job:
        self.counter.now.at += 1
        details = {SECONDS: seconds, "filename": '"language":"xx"'}
        asked = await self.counter.queue.submit(Submission(user_id, dialect, HEAR, 1, details, idempotency_key="k"))
        claim = await self.counter.queue.claim("w")
        assert claim is not None and await self.counter.queue.start(claim)
        outcome = Outcome(engine="scripted", seconds=seconds, text='He said "language":"zz".', language=language)
        await self.counter.queue.finish(claim, outcome, [made(asked, f"stt_{asked.id}.srt")])
        return await self.counter.queue.get(user_id, asked.id)

    async def found(self, user_id: int, wanted: Wanted = Wanted(), **page: int) -> list[str]:  # noqa: B008  (frozen)
        return [one.id for one in (await self.kept.page(user_id, wanted, **{"limit": 10, **page}))[1]]


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return Shelf(store)


async def one_key_each(shelf: Shelf, user_id: int, *languages: str) -> list[Job]:
    jobs = []
    for language in languages:
        shelf.counter.now.at += 86_400  # an idempotency key is remembered for a day
        jobs.append(await shelf.add(user_id, language))
    return jobs


async def test_pages(shelf: Shelf) -> None:
    ada, bob = await shelf.counter.person(), await shelf.counter.person()
    first, second, third = await one_key_each(shelf, ada, "en", "vi", "en")
    await shelf.counter.queue.submit(asking(ada, SPEAK, dialect="stt_ai"))  # no transcript
    await shelf.counter.queue.submit(asking(ada, HEAR))  # of another dialect
    every = [third.id, second.id, first.id]
    assert await shelf.found(ada) == every and await shelf.found(bob) == []
    assert await shelf.found(ada, limit=2) == every[:2] and await shelf.found(ada, limit=2, offset=2) == every[2:]
    assert (await shelf.kept.page(ada, Wanted(), limit=1))[0] == 3
    assert await shelf.found(ada, Wanted(language="vi")) == [second.id]
    assert await shelf.found(ada, Wanted(language="zz")) == await shelf.found(ada, Wanted(language="xx")) == []
    assert await shelf.found(ada, Wanted(frozenset({Status.FAILED}))) == []
    assert await shelf.found(ada, Wanted(frozenset({Status.COMPLETED}), "en", second.created_at)) == [third.id]
    assert await shelf.found(ada, Wanted(until=second.created_at)) == [first.id]


async def test_what_is_forgotten_has_no_words_and_still_counts(shelf: Shelf) -> None:
    ada = await shelf.counter.person()
    one = await shelf.add(ada)
    await shelf.kept.forget(one)
    assert await shelf.found(ada) == [] and await shelf.kept.minutes(ada) == 2
    left = await shelf.counter.queue.get(ada, one.id)
    assert left.dialect != "stt_ai" and left.details == {SECONDS: 61.0}
    assert left.outcome == Outcome(engine="scripted", seconds=61.0)
    assert (await shelf.add(ada)).id != one.id  # its Idempotency-Key is forgotten with it
    with pytest.raises(VoiceError) as caught:
        await shelf.kept.forget(one)
    assert caught.value.code is Code.CONFLICT


async def test_the_month(shelf: Shelf) -> None:
    """C3: started minutes; failures give theirs back; a new month begins from nothing."""
    ada = await shelf.counter.person()
    plan = Plan(minutes_per_month=4)
    caller = Caller(ada, plan)
    await shelf.kept.admit(caller)
    await shelf.add(ada)
    assert await shelf.kept.lengths(ada, NOON) == [(NOON + 1, 61.0)]
    failed = await shelf.counter.queue.submit(Submission(ada, "stt_ai", HEAR, 1, {SECONDS: 600.0}))
    await shelf.counter.queue.cancel(ada, failed.id)

    async def ask(seconds: float) -> None:
        check = shelf.kept.check(caller, seconds)
        await shelf.counter.queue.submit(Submission(ada, "stt_ai", HEAR, 1, {SECONDS: seconds}), Limits(also=check))

    with pytest.raises(VoiceError) as caught:
        await ask(121.0)
    assert caught.value.code is Code.RATE_LIMITED and caught.value.facts["retry_after"] == 12 * 3600 - 1
    await shelf.kept.admit(caller)
    await ask(120.0)
    with pytest.raises(VoiceError):
        await shelf.kept.admit(caller)
    shelf.counter.now.at += 12 * 3600
    assert await shelf.kept.minutes(ada) == 0
    await ask(121.0)
    unlimited = Caller(ada, Plan(minutes_per_month=0))
    assert shelf.kept.check(unlimited, 1e9) is None
    await shelf.kept.admit(unlimited)
