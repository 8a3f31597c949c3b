"""The worker: jobs are done, some at once; failures, lost workers and shutdown end as they should."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from batch.attempt import WAITED_FOR, Attempt, End
from batch.jobs import Claim, Job, Status
from batch.pipelines.base import JobContext, Produced, Tools
from batch.sweeper import look_for_lost_workers
from batch.waiting import wait_until_finished
from batch.worker import Worker
from protocol.errors import Code, VoiceError
from protocol.requests import Priority
from protocol.work import Speaking
from tests.batch import half as half_module
from tests.batch.half import Half, check_half, open_half


@pytest.fixture
async def half(database_url: str, tmp_path: Path) -> AsyncIterator[Half]:
    async with open_half(database_url, tmp_path, lease_s=0.6) as half:
        yield half


@asynccontextmanager
async def working(*workers: Worker, soft_s: float = 10.0) -> AsyncIterator[None]:
    """While they work."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for worker in workers:
            tasks.create_task(worker.run())
        try:
            yield
        finally:
            for worker in workers:
                await worker.drain(soft_s)


async def finished(half: Half, user: int, job: Job) -> Job:
    return await wait_until_finished(half.queue, half.dispatch, user, job.id, timeout_s=20)


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_job_is_done_and_paid_for(half: Half) -> None:
    user = await half.user()
    async with working(half.worker()):
        job = await half.submit(user, "one", callback="https://example.com/")
        done = await finished(half, user, job)
    assert done.status is Status.COMPLETED and done.progress == 100 and done.attempt == 1
    assert done.outcome is not None and done.outcome.engine == "scripted"
    (made,) = done.outcome.made
    assert made.role == "audio" and made.name.startswith("tts_") and made.size == 1024
    assert await check_half(half, user, {job.id: "one"}) == {Status.COMPLETED: 1}


async def test_some_are_done_at_once_and_the_rest_waits(half: Half) -> None:
    user, worker = await half.user(), half.worker(concurrency=3)
    jobs = {(await half.submit(user, f"n={n} seconds=0.3")).id: f"n={n} seconds=0.3" for n in range(7)}
    async with working(worker):
        await becomes(lambda: len(worker.doing) == 3)
        assert {one.kind for one in worker.doing} == {"speak"}
        while await half.unfinished():
            assert len(worker.doing) <= 3
            await asyncio.sleep(0.02)
    assert worker.done == 7
    assert await check_half(half, user, jobs) == {Status.COMPLETED: 7}


async def test_progress_moves(half: Half) -> None:
    user = await half.user()
    seen: list[int] = []
    async with working(half.worker()):
        job = await half.submit(user, "seconds=1.5 steps=30")
        while not (now := await half.queue.get(user, job.id)).finished:
            seen.append(now.progress)
            await asyncio.sleep(0.05)
    assert seen == sorted(seen) and len(set(seen)) >= 4 and seen[-1] < 100


@pytest.mark.parametrize(
    ("code", "attempts"),
    [("engine_failed", 3), ("engine_restarted", 3), ("storage_full", 3), ("unsupported_media", 1), ("too_large", 1)],
)
async def test_a_failure_that_may_pass_is_tried_three_times_and_one_that_will_not_once(
    half: Half, code: str, attempts: int
) -> None:
    user, script = await half.user(), f"fail={code}"
    async with working(half.worker()):
        job = await half.submit(user, script, callback="https://example.com/")
        done = await finished(half, user, job)
    assert done.status is Status.FAILED and done.attempt == attempts
    assert done.error is not None and done.error.code == code
    assert await check_half(half, user, {job.id: script}) == {Status.FAILED: 1}


async def test_what_fails_twice_and_then_works_is_done(half: Half) -> None:
    user, script = await half.user(), "fail=engine_failed fails=2"
    async with working(half.worker()):
        job = await half.submit(user, script)
        assert (await finished(half, user, job)).attempt == 3
    assert await check_half(half, user, {job.id: script}) == {Status.COMPLETED: 1}


async def test_a_bug_in_a_pipeline_fails_its_job_and_tells_the_user_nothing_of_it(half: Half) -> None:
    user, worker = await half.user(), half.worker()
    async with working(worker):
        job = await half.submit(user, "fail=bug")
        done = await finished(half, user, job)
        after = await half.submit(user, "after")
        assert (await finished(half, user, after)).status is Status.COMPLETED
    assert done.error is not None and done.error.code is Code.INTERNAL and "Zero" not in done.error.message
    await check_half(half, user, {job.id: "fail=bug", after.id: "after"})


async def test_engines_that_are_busy_are_no_failure_of_the_job(half: Half, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch.worker._PAUSE_S", 0.02)
    user, script = await half.user(), "fail=busy fails=5"
    async with working(half.worker(poll_s=0.05)):
        job = await half.submit(user, script)
        done = await finished(half, user, job)
    assert done.status is Status.COMPLETED and done.attempt == 6 and done.failures == 0


async def test_who_is_waited_for_is_asked_of_the_engines_as_synchronous(
    half: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Priority] = {}
    original = half_module.scripted

    async def spying(work: Speaking, context: JobContext, tools: Tools) -> Produced:
        asked[context.job_id] = context.priority
        return await original(work, context, tools)

    monkeypatch.setattr(half_module, "scripted", spying)
    user = await half.user()
    waited, other = await half.submit(user, "a", priority=WAITED_FOR), await half.submit(user, "b")
    async with working(half.worker()):
        await finished(half, user, waited)
        await finished(half, user, other)
    assert asked == {waited.id: Priority.SYNCHRONOUS, other.id: Priority.BATCH}


async def test_who_is_waited_for_does_not_wait_for_long_jobs(half: Half) -> None:
    """All hands were busy with long jobs, and a sentence to be spoken at once waited for one of them."""
    user, worker = await half.user(), half.worker(concurrency=2)
    async with working(worker, soft_s=0):
        long = [await half.submit(user, "seconds=60") for _ in range(3)]
        await becomes(lambda: len(worker.doing) == 2)
        waited = await half.submit(user, "now", priority=WAITED_FOR)
        assert (await finished(half, user, waited)).status is Status.COMPLETED
        assert (await half.queue.get(user, long[2].id)).status is Status.QUEUED


# -- lost workers ------------------------------------------------------------------------------------


async def test_a_worker_that_was_taken_for_lost_stops_and_its_result_is_thrown_away(half: Half) -> None:
    """Its attempt goes on while another has the job; the beat says so, the fence holds."""
    user, script = await half.user(), "seconds=1 steps=20"
    job = await half.submit(user, script)
    slow, quick = half.worker("slow"), half.worker("quick")
    async with working(slow):
        await becomes(lambda: bool(slow.doing))
        (attempt,) = slow._active
        await becomes(lambda: attempt.share > 0)
        assert await half.queue.give_back(attempt.claim), "as the watcher would"
        await slow.drain(10)
        assert slow.done == 0 and not slow.doing
    async with working(quick):
        done = await finished(half, user, job)
    assert (done.status, done.attempt, done.worker) == (Status.COMPLETED, 2, "quick")
    assert await check_half(half, user, {job.id: script}) == {Status.COMPLETED: 1}


async def test_a_zombie_that_finishes_late_is_refused(half: Half) -> None:
    user, script = await half.user(), "late"
    job = await half.submit(user, script)
    zombie = await half.queue.claim("zombie")
    assert zombie is not None and await half.queue.start(zombie)
    watcher = half.watcher()
    async with working(half.worker("other")):
        while (await half.queue.get(user, job.id)).worker != "other":
            await look_for_lost_workers(watcher, half.dispatch)
            await asyncio.sleep(0.05)
        done = await finished(half, user, job)
        assert done.status is Status.COMPLETED and done.attempt == 2
    attempt = Attempt(half.worker()._bench, zombie)
    assert await attempt.run() is End.TAKEN
    assert await check_half(half, user, {job.id: script}) == {Status.COMPLETED: 1}


async def test_an_attempt_whose_progress_stands_still_is_given_up(half: Half, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch.attempt._STALLED_S", 0.3)
    user = await half.user()
    async with working(half.worker()):
        job = await half.submit(user, "seconds=60 steps=1")
        done = await finished(half, user, job)
    assert done.status is Status.FAILED and done.error is not None and done.error.code is Code.TIMEOUT


# -- shutdown ----------------------------------------------------------------------------------------


async def test_a_drain_finishes_what_is_nearly_done_and_gives_back_the_rest(half: Half) -> None:
    user, worker = await half.user(), half.worker(concurrency=2)
    short = await half.submit(user, "seconds=0.3")
    long = await half.submit(user, "seconds=60")
    later = await half.submit(user, "later")
    async with working(worker, soft_s=1.0):
        await becomes(lambda: len(worker.doing) == 2)
    states = [await half.queue.get(user, job.id) for job in (short, long, later)]
    assert [state.status for state in states] == [Status.COMPLETED, Status.QUEUED, Status.QUEUED]
    assert states[1].failures == 0 and states[1].worker == ""
    assert not list((half.directory / "work").iterdir())


async def test_a_worker_that_is_cancelled_gives_back_everything(half: Half) -> None:
    user, worker = await half.user(), half.worker(concurrency=2)
    jobs = [await half.submit(user, "seconds=60") for _ in range(2)]
    task = asyncio.create_task(worker.run())
    await becomes(lambda: len(worker.doing) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert {(await half.queue.get(user, job.id)).status for job in jobs} == {Status.QUEUED}


async def test_the_store_failing_for_a_while_costs_no_job(half: Half, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats and ends that cannot be stored are stored later; the work is not done again."""
    monkeypatch.setattr("batch.attempt._STORE_RETRY_S", 0.05)
    user, worker, failing = await half.user(), half.worker(), 0
    finish, beat = half.queue.finish, half.queue.beat

    async def full(*given: object) -> bool:
        nonlocal failing
        failing += 1
        if failing < 5:
            raise VoiceError(Code.STORAGE_FULL, "The server cannot store anything now.", retry_after=30)
        return await finish(*given)  # type: ignore[arg-type]

    async def mute(*given: object) -> bool:
        if failing < 5:
            raise OSError("disk I/O error")
        return await beat(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(half.queue, "finish", full)
    monkeypatch.setattr(half.queue, "beat", mute)
    async with working(worker):
        job = await half.submit(user, "seconds=0.5 steps=10")
        done = await finished(half, user, job)
    assert (done.status, done.attempt, done.failures) == (Status.COMPLETED, 1, 0)
    await check_half(half, user, {job.id: "seconds=0.5 steps=10"})


async def test_a_bug_in_one_attempt_stops_no_other(half: Half, monkeypatch: pytest.MonkeyPatch) -> None:
    user, worker = await half.user(), half.worker()
    start = half.queue.start
    broken = await half.submit(user, "broken")

    async def bug(claim: Claim) -> bool:
        if claim.job.id == broken.id:
            raise ZeroDivisionError
        return await start(claim)

    monkeypatch.setattr(half.queue, "start", bug)
    async with working(worker):
        job = await half.submit(user, "one")
        assert (await finished(half, user, job)).status is Status.COMPLETED
    assert (await half.queue.get(user, broken.id)).status is Status.PICKED, "until its lease is out"


async def test_what_cannot_be_given_back_ends_the_worker_all_the_same(
    half: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_claim: Claim) -> bool:
        raise VoiceError(Code.STORAGE_FULL, "The server cannot store anything now.", retry_after=30)

    user, worker = await half.user(), half.worker()
    await half.submit(user, "seconds=60")
    async with working(worker, soft_s=0):
        await becomes(lambda: bool(worker.doing))
        monkeypatch.setattr(half.queue, "give_back", full)
    assert not worker.doing


# -- waiting -----------------------------------------------------------------------------------------


async def test_who_waits_gets_the_job_as_it_stands_when_the_time_is_up(half: Half) -> None:
    user = await half.user()
    job = await half.submit(user, "nobody does it")
    waited = await wait_until_finished(half.queue, half.dispatch, user, job.id, timeout_s=0.2)
    assert waited.status is Status.QUEUED
    with pytest.raises(VoiceError) as caught:
        await wait_until_finished(half.queue, half.dispatch, await half.user(), job.id, timeout_s=5)
    assert caught.value.code is Code.NOT_FOUND


async def test_who_waits_is_answered_even_when_another_process_does_it_and_no_hint_comes(
    half: Half, database_url: str, tmp_path: Path
) -> None:
    user = await half.user()
    async with open_half(database_url, tmp_path, lease_s=5) as elsewhere, working(elsewhere.worker()):
        job = await half.submit(user, "seconds=0.2")
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await finished(half, user, job)).status is Status.COMPLETED
        assert loop.time() - began < 4
