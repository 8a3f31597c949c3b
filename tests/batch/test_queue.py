"""Jobs are submitted, claimed, done and paid for, once each: on SQLite and on Postgres."""

import asyncio
import time
from collections import Counter as Tally
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Balance
from accounts.schema import artifact, hold, idempotency, job
from accounts.store import Store, open_store
from batch.jobs import CLAIMED, MAX_FAILURES, MOVES, TERMINAL, UNFINISHED, Job, Limits, Move, Status
from protocol.errors import Code, VoiceError
from protocol.requests import Priority
from tests.accounts.money import balance_of, findings
from tests.batch.queueing import HEAR, OUTCOME, PRICE, SPEAK, Counter, asking, calling_back, made

BROKEN = VoiceError(Code.ENGINE_FAILED, "The engine broke.", install="x", odd=object)


@pytest.fixture
def counter(store: Store) -> Counter:
    return Counter(store)


@pytest.fixture
async def memory() -> AsyncIterator[Counter]:
    """A queue on a database that costs nothing to make."""
    store = await open_store("sqlite+aiosqlite://")
    yield Counter(store)
    await store.aclose()


async def begun(counter: Counter, user_id: int, **more: Any) -> Job:
    """A job that was submitted, claimed and started."""
    submitted = await counter.queue.submit(asking(user_id, **more))
    claim = await counter.queue.claim("w")
    assert claim is not None and claim.job.id == submitted.id and await counter.queue.start(claim)
    return submitted


async def test_a_job_from_submit_to_finish(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada, details={"voice": "Ngọc"}, callback=calling_back()))
    assert (job_.status, job_.work, job_.details, job_.price_units) == (Status.QUEUED, SPEAK, {"voice": "Ngọc"}, PRICE)
    assert await balance_of(counter.store, ada) == Balance(available=99 * PRICE, held=PRICE)
    claim = await counter.queue.claim("worker-1")
    assert claim is not None and claim.attempt == 1
    assert (claim.job.status, claim.job.worker) == (Status.PICKED, "worker-1")
    counter.now.at += 5
    assert await counter.queue.start(claim)
    assert await counter.queue.beat(claim, 0.42)
    seen = await counter.queue.get(ada, job_.id)
    assert (seen.status, seen.progress, seen.started_at) == (Status.PROCESSING, 42, counter.now.at)
    assert not seen.finished and seen.spent_units == PRICE
    counter.now.at += 5
    assert await counter.queue.finish(claim, OUTCOME, [made(job_, "tts_a.wav"), made(job_, "tts_b.wav")])
    seen = await counter.queue.get(ada, job_.id)
    assert (seen.status, seen.progress, seen.outcome) == (Status.COMPLETED, 100, OUTCOME)
    assert (seen.finished_at, seen.error, seen.finished) == (counter.now.at, None, True)
    assert await balance_of(counter.store, ada) == Balance(available=99 * PRICE, spent=PRICE)
    async with counter.store.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(artifact)) == 2
    body = f'{{"id": "{job_.id}", "ended": "completed"}}'
    assert await counter.told() == [(job_.id, "https://example.com/hook", body)]
    assert await findings(counter.store) == ()


async def test_a_job_that_fails_is_paid_back_and_says_why(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada, callback=calling_back("a style nobody knows")))
    claim = await counter.queue.claim("w")
    assert claim is not None and await counter.queue.start(claim)
    assert await counter.queue.fail(claim, BROKEN, retry=False) is Status.FAILED
    seen = await counter.queue.get(ada, job_.id)
    assert seen.status is Status.FAILED and seen.error is not None and seen.spent_units == 0
    assert (seen.error.code, seen.error.message) == (Code.ENGINE_FAILED, "The engine broke.")
    assert seen.error.facts["install"] == "x"
    assert await balance_of(counter.store, ada) == Balance(100 * PRICE)
    assert [body for _, _, body in await counter.told()] == [
        f'{{"event": "job.failed", "job_id": "{job_.id}", "status": "failed"}}'
    ]
    assert await findings(counter.store) == ()


async def test_errors_are_tried_again_and_the_third_is_the_last(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada))
    for failure in range(1, MAX_FAILURES + 1):
        claim = await counter.queue.claim("w")
        assert claim is not None and claim.attempt == failure and await counter.queue.start(claim)
        assert await counter.queue.beat(claim, 0.5)
        ended = await counter.queue.fail(claim, BROKEN, retry=True)
        assert ended is (Status.FAILED if failure == MAX_FAILURES else Status.QUEUED)
        assert (await counter.queue.get(ada, job_.id)).progress == (50 if failure == MAX_FAILURES else 0)
    assert await counter.queue.claim("w") is None
    assert await balance_of(counter.store, ada) == Balance(100 * PRICE)
    assert await findings(counter.store) == ()


async def test_giving_back_is_no_failure_however_often(counter: Counter) -> None:
    """A job that was given back at every restart of a rolling update must not be given up."""
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada))
    for _ in range(2 * MAX_FAILURES):
        claim = await counter.queue.claim("w")
        assert claim is not None and await counter.queue.start(claim)
        assert await counter.queue.give_back(claim)
    assert await counter.status(job_.id) is Status.QUEUED
    assert (await counter.queue.get(ada, job_.id)).failures == 0


# -- the table --------------------------------------------------------------------------------------


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("status", Status)
async def test_only_the_moves_of_the_table_happen(memory: Counter, move: Move, status: Status) -> None:
    """Every verb at every status: what the table allows happens, anything else changes nothing (A24)."""
    ada = await memory.person()
    submitted = await memory.queue.submit(asking(ada))
    claim = await memory.queue.claim("w")
    assert claim is not None
    async with memory.store.write() as connection:
        await connection.execute(update(job).values(status=status, attempt=0 if move is Move.CLAIM else 1))

    async def verb() -> bool:
        match move:
            case Move.CLAIM:
                return await memory.queue.claim("w") is not None
            case Move.START:
                return await memory.queue.start(claim)
            case Move.FINISH:
                return await memory.queue.finish(claim, OUTCOME)
            case Move.FAIL:
                return await memory.queue.fail(claim, BROKEN, retry=False) is not None
            case Move.REQUEUE:
                return await memory.queue.give_back(claim)
            case Move.CANCEL:
                try:
                    await memory.queue.cancel(ada, submitted.id)
                except VoiceError as error:
                    assert error.code is Code.CONFLICT and error.facts["status"] == status
                    return False
                return True

    before, after = MOVES[move]
    assert await verb() is (status in before)
    assert await memory.status(submitted.id) is (after if status in before else status)


def test_the_table_is_whole() -> None:
    assert set(MOVES) == set(Move)
    assert {after for _, after in MOVES.values()} == set(Status)
    assert not any(before & TERMINAL for before, _ in MOVES.values())
    assert CLAIMED < UNFINISHED and set(Status) == UNFINISHED | TERMINAL


# -- fences -----------------------------------------------------------------------------------------


async def test_who_was_overtaken_is_not_heard(counter: Counter) -> None:
    """A worker that hung past its lease comes back to a job another one is doing (R2)."""
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada))
    zombie = await counter.queue.claim("zombie")
    assert zombie is not None and await counter.queue.start(zombie) and await counter.queue.give_back(zombie)
    living = await counter.queue.claim("living")
    assert living is not None and living.attempt == 2 and await counter.queue.start(living)
    assert not await counter.queue.beat(zombie, 0.9)
    assert not await counter.queue.start(zombie)
    assert not await counter.queue.finish(zombie, OUTCOME, [made(job_, "zombie.wav")])
    assert await counter.queue.fail(zombie, BROKEN, retry=True) is None
    assert not await counter.queue.give_back(zombie)
    assert await counter.status(job_.id) is Status.PROCESSING
    assert await counter.queue.finish(living, OUTCOME)
    assert not await counter.queue.finish(living, OUTCOME)
    assert await balance_of(counter.store, ada) == Balance(available=99 * PRICE, spent=PRICE)
    async with counter.store.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(artifact)) == 0
    assert await findings(counter.store) == ()


async def test_progress_never_goes_back_and_is_whole_at_the_end_only(counter: Counter) -> None:
    ada = await counter.person()
    await counter.queue.submit(asking(ada))
    claim = await counter.queue.claim("w")
    assert claim is not None and await counter.queue.start(claim)
    shown = []
    for progress in (0.1, 0.05, 1.0, 7.0, -1.0):
        assert await counter.queue.beat(claim, progress)
        shown.append((await counter.queue.get(ada, claim.job.id)).progress)
    assert shown == [10, 10, 99, 99, 99]


async def test_many_workers_claim_each_job_once(counter: Counter) -> None:
    ada = await counter.person()
    for _ in range(20):
        await counter.queue.submit(asking(ada))

    async def work(name: str) -> list[str]:
        claimed = []
        while claim := await counter.queue.claim(name):
            claimed.append(claim.job.id)
        return claimed

    everything = [name for names in await asyncio.gather(*(work(f"w{n}") for n in range(8))) for name in names]
    assert set(Tally(everything).values()) <= {1}
    while claim := await counter.queue.claim("last"):  # SKIP LOCKED may have hurried a worker past one
        everything.append(claim.job.id)
    assert len(everything) == len(set(everything)) == 20


async def test_lower_priorities_first_then_the_oldest(counter: Counter) -> None:
    ada = await counter.person()
    order = []
    for priority in (Priority.BATCH, Priority.SYNCHRONOUS, Priority.BATCH, Priority.SYNCHRONOUS):
        counter.now.at += 1
        order.append((await counter.queue.submit(asking(ada, priority=priority))).id)
    claims = [await counter.queue.claim("w") for _ in range(4)]
    assert [claim.job.id for claim in claims if claim] == [order[1], order[3], order[0], order[2]]


# -- submitting -------------------------------------------------------------------------------------


async def test_the_same_key_and_body_are_the_same_job(counter: Counter) -> None:
    """Whether sent again after the reply was lost, or twenty times at once (R3)."""
    ada, bob = await counter.person(), await counter.person()
    same: dict[str, Any] = {"idempotency_key": "k", "body_hash": b"1"}
    jobs = await asyncio.gather(*(counter.queue.submit(asking(ada, **same)) for _ in range(20)))
    assert len({job_.id for job_ in jobs}) == 1
    assert (await counter.queue.submit(asking(bob, **same))).id != jobs[0].id
    assert (await counter.queue.submit(asking(ada, idempotency_key="l", body_hash=b"1"))).id != jobs[0].id
    assert await balance_of(counter.store, ada) == Balance(available=98 * PRICE, held=2 * PRICE)
    assert await findings(counter.store) == ()


async def test_a_replay_shows_the_job_as_it_is_now_even_over_a_limit(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await begun(counter, ada, idempotency_key="k")
    again = await counter.queue.submit(asking(ada, idempotency_key="k"), Limits(user=1))
    assert (again.id, again.status) == (job_.id, Status.PROCESSING)


async def test_the_same_key_for_another_body_is_a_conflict(counter: Counter) -> None:
    ada = await counter.person()
    await counter.queue.submit(asking(ada, idempotency_key="k", body_hash=b"1"))
    with pytest.raises(VoiceError) as caught:
        await counter.queue.submit(asking(ada, idempotency_key="k", body_hash=b"2"))
    assert (caught.value.code, caught.value.facts["field"]) == (Code.CONFLICT, "Idempotency-Key")
    assert await balance_of(counter.store, ada) == Balance(available=99 * PRICE, held=PRICE)


async def test_a_key_is_remembered_for_a_day(counter: Counter) -> None:
    ada = await counter.person()
    first = await counter.queue.submit(asking(ada, idempotency_key="k", body_hash=b"1"))
    counter.now.at += 86_399
    assert (await counter.queue.submit(asking(ada, idempotency_key="k", body_hash=b"1"))).id == first.id
    counter.now.at += 1
    assert (await counter.queue.submit(asking(ada, idempotency_key="k", body_hash=b"2"))).id != first.id
    async with counter.store.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(idempotency)) == 1


async def test_a_refused_submit_is_not_remembered(counter: Counter) -> None:
    poor = await counter.person(PRICE - 1)
    with pytest.raises(VoiceError, match="This costs"):
        await counter.queue.submit(asking(poor, idempotency_key="k"))
    async with counter.store.write() as connection:
        await counter.ledger.grant(connection, poor, 1, "")
    assert (await counter.queue.submit(asking(poor, idempotency_key="k"))).status is Status.QUEUED


@pytest.mark.parametrize(("limits", "allowed"), [(Limits(user=3), 3), (Limits(server=4), 4), (Limits(3, 4), 3)])
async def test_limits_hold_for_fifty_at_once(counter: Counter, limits: Limits, allowed: int) -> None:
    ada = await counter.person()

    async def submit() -> Code | None:
        try:
            await counter.queue.submit(asking(ada), limits)
        except VoiceError as error:
            assert error.facts == {"retry_after": 5, "allowed": allowed}
            return error.code
        return None

    answers = Tally(await asyncio.gather(*(submit() for _ in range(50))))
    assert answers == {None: allowed, Code.TOO_MANY_SESSIONS: 50 - allowed}
    claim = await counter.queue.claim("w")
    assert claim is not None and await counter.queue.start(claim) and await counter.queue.finish(claim, OUTCOME)
    assert await submit() is None


async def test_the_servers_limit_is_all_users_together(counter: Counter) -> None:
    people = [await counter.person() for _ in range(6)]
    answers = await asyncio.gather(
        *(counter.queue.submit(asking(one), Limits(2, 5)) for one in people * 3), return_exceptions=True
    )
    assert sum(isinstance(answer, Job) for answer in answers) == 5
    assert sum((await counter.queue.counts()).values()) == 5


async def affordable(counter: Counter, submits: int) -> None:
    """So many at once for ten jobs' credits (R11)."""
    ada = await counter.person(10 * PRICE + PRICE // 2)
    answers = await asyncio.gather(*(counter.queue.submit(asking(ada)) for _ in range(submits)), return_exceptions=True)
    accepted = [answer for answer in answers if isinstance(answer, Job)]
    refused = [answer.code for answer in answers if isinstance(answer, VoiceError)]
    assert len(accepted) == 10 and refused == [Code.INSUFFICIENT_CREDITS] * (submits - 10)
    assert await balance_of(counter.store, ada) == Balance(available=PRICE // 2, held=10 * PRICE)
    assert await findings(counter.store) == ()


async def test_as_many_are_accepted_as_can_be_paid(counter: Counter) -> None:
    for _ in range(10):
        await affordable(counter, 50)


@pytest.mark.nightly
async def test_as_many_are_accepted_as_can_be_paid_always(counter: Counter) -> None:
    for _ in range(500):
        await affordable(counter, 50)


# -- cancelling -------------------------------------------------------------------------------------


async def test_a_queued_job_can_be_taken_back(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada, HEAR, callback=calling_back()))
    cancelled = await counter.queue.cancel(ada, job_.id)
    assert (cancelled.status, cancelled.finished_at, cancelled.work) == (Status.CANCELLED, counter.now.at, HEAR)
    assert cancelled.spent_units == 0
    assert await balance_of(counter.store, ada) == Balance(100 * PRICE)
    assert await counter.queue.claim("w") is None and await counter.told() == []


async def test_a_worker_learns_that_its_job_was_cancelled(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada))
    claim = await counter.queue.claim("w")
    assert claim is not None
    await counter.queue.cancel(ada, job_.id)
    assert not await counter.queue.start(claim) and not await counter.queue.beat(claim, 0.1)
    assert await findings(counter.store) == ()


async def race(counter: Counter, ada: int) -> None:
    """Cancelling races a worker that claims, starts and finishes (R10): one outcome, the hold resolved once."""
    job_ = await counter.queue.submit(asking(ada))

    async def cancel() -> bool:
        try:
            await counter.queue.cancel(ada, job_.id)
        except VoiceError as error:
            assert error.code is Code.CONFLICT
            return False
        return True

    async def work() -> bool:
        claim = await counter.queue.claim("w")
        return claim is not None and await counter.queue.start(claim) and await counter.queue.finish(claim, OUTCOME)

    cancelled, twice, done = await asyncio.gather(cancel(), cancel(), work())
    assert cancelled + twice + done == 1
    assert await counter.status(job_.id) is (Status.COMPLETED if done else Status.CANCELLED)


@pytest.mark.parametrize("races", [150, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_cancel_races_claim_and_finish(counter: Counter, races: int) -> None:
    ada = await counter.person(races * PRICE)
    for _ in range(races):
        await race(counter, ada)
    assert await findings(counter.store) == ()
    balance = await balance_of(counter.store, ada)
    assert balance.held == 0 and balance.available + balance.spent == races * PRICE


# -- looking ----------------------------------------------------------------------------------------


async def test_nobody_sees_anothers_job(counter: Counter) -> None:
    """P9: NOT_FOUND, as if there were none."""
    ada, bob = await counter.person(), await counter.person()
    job_ = await counter.queue.submit(asking(ada))
    for call in (counter.queue.get(bob, job_.id), counter.queue.cancel(bob, job_.id), counter.queue.get(ada, "nope")):
        with pytest.raises(VoiceError) as caught:
            await call
        assert caught.value.code is Code.NOT_FOUND
    assert await counter.queue.page(bob) == []
    assert await counter.status(job_.id) is Status.QUEUED


async def test_pages_go_from_the_newest_back(counter: Counter) -> None:
    ada = await counter.person()
    ids = []
    for number in range(7):
        counter.now.at += number % 2  # some are made at the same time
        ids.append((await counter.queue.submit(asking(ada, HEAR if number == 3 else SPEAK))).id)
    pages, last = [], None
    while page := await counter.queue.page(ada, limit=3, before=last):
        last = page[-1].id
        pages.append([job_.id for job_ in page])
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [job_id for page in pages for job_id in page] == ids[::-1]
    assert [job_.id for job_ in await counter.queue.page(ada, kind="transcribe")] == [ids[3]]


async def test_counts_and_uploads_are_of_unfinished_jobs(counter: Counter) -> None:
    ada = await counter.person()
    await begun(counter, ada, work=HEAR)
    await counter.queue.submit(asking(ada))
    gone = await counter.queue.submit(asking(ada, HEAR.model_copy(update={"upload": "upload-2"})))
    assert await counter.queue.uploads_in_use() == {"upload-1", "upload-2"}
    await counter.queue.cancel(ada, gone.id)
    assert await counter.queue.uploads_in_use() == {"upload-1"}
    assert await counter.queue.counts() == {Status.QUEUED: 1, Status.PICKED: 0, Status.PROCESSING: 1}


async def test_work_of_another_version_is_given_up_and_paid_back(counter: Counter) -> None:
    """A row nobody here can read must not stop the queue: three tries, then its credits go back."""
    ada = await counter.person()
    odd = await counter.queue.submit(asking(ada, callback=calling_back()))
    async with counter.store.write() as connection:
        await connection.execute(update(job).values(work='{"kind": "sing"}'))
    counter.now.at += 1
    good = await counter.queue.submit(asking(ada))
    claims = [await counter.queue.claim("w") for _ in range(MAX_FAILURES + 1)]
    assert [claim.job.id if claim else None for claim in claims] == [None] * MAX_FAILURES + [good.id]
    assert await counter.status(odd.id) is Status.FAILED
    assert await findings(counter.store) == ()


async def test_holds_are_of_their_jobs(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada))
    async with counter.store.read() as connection:
        subject = await connection.scalar(select(hold.c.subject).where(hold.c.id == job_.hold_id))
    assert subject == f"job:{job_.id}"


async def test_many_submits_at_once_go_through_quickly(counter: Counter) -> None:
    """One writer at a time on SQLite: they wait for each other, none waits for ever."""
    people = [await counter.person() for _ in range(4)]
    began = time.perf_counter()
    jobs = await asyncio.gather(*(counter.queue.submit(asking(people[number % 4])) for number in range(200)))
    assert len({job_.id for job_ in jobs}) == 200
    assert time.perf_counter() - began < 20  # well under two seconds on an idle machine
    assert await findings(counter.store) == ()


async def test_what_else_is_against_a_job_leaves_nothing_of_it(memory: Counter) -> None:
    """A check of the caller's own, in the same transaction."""

    async def refuse(_connection: AsyncConnection) -> None:
        raise VoiceError(Code.RATE_LIMITED, "Not today.")

    ada = await memory.person()
    with pytest.raises(VoiceError, match="Not today"):
        await memory.queue.submit(asking(ada), Limits(also=refuse))
    assert await balance_of(memory.store, ada) == Balance(available=100 * PRICE) and not await memory.queue.page(ada)
