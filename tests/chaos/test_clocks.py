"""R9: the time of day jumps by hours while jobs are done. Nobody's lease ends early, nothing is done twice."""

import random
import time
from pathlib import Path

import pytest

from batch.jobs import Status
from batch.sweeper import Chore, Sweeper, look_for_lost_workers
from batch.waiting import wait_until_finished
from tests.batch.half import open_half
from tests.chaos.storm import running

HOUR = 3600.0
JUMPS = (HOUR, -HOUR, 1.0, -1.0, 24 * HOUR, -24 * HOUR)  # daylight saving, leap seconds, a wrong battery


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.nightly)])
async def test_clocks_that_jump_end_no_lease_and_run_no_job_twice(
    database_url: str, tmp_path: Path, count: int
) -> None:
    chance, wrong = random.Random(count), 0.0

    def now() -> float:
        return time.time() + wrong

    async with open_half(database_url, tmp_path, lease_s=30.0, now=now) as half:
        user, jobs, worker, watcher = await half.user(), dict[str, str](), half.worker(concurrency=4), half.watcher()
        watching = Sweeper([Chore("watch", 0.02, lambda: look_for_lost_workers(watcher, half.dispatch))])
        async with running(worker.run()), running(watching.run()):
            for number in range(count):
                script = f"n={number} seconds=0.1 steps=4"
                job = await half.submit(user, script, key=f"key-{number}")
                wrong += chance.choice(JUMPS)
                jobs[job.id] = script
            for job_id in jobs:
                wrong += chance.choice(JUMPS)
                done = await wait_until_finished(half.queue, half.dispatch, user, job_id, timeout_s=60)
                assert (done.status, done.attempt) == (Status.COMPLETED, 1)
            await worker.drain(5)
        wrong = 0.0
        async with half.store.read() as connection:
            assert not (await half.ledger.audit(connection)).findings
        for job_id in jobs:
            (made,) = await half.artifacts.of_job(job_id)
            assert made.expires_at - made.created_at == 24 * HOUR
