"""R6: the disk of the database, then that of the files, fills up while jobs are done; later there is room again."""

import asyncio
import shutil
from pathlib import Path

import pytest

from batch.jobs import Status
from batch.sweeper import Chore, Sweeper, look_for_lost_workers
from batch.waiting import wait_until_finished
from protocol.errors import Code, VoiceError
from tests.batch.disks import small_disk
from tests.batch.half import check_half, open_half
from tests.chaos.storm import running

ROUNDS = [1, pytest.param(10, marks=pytest.mark.nightly)]


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_full_database_refuses_and_goes_on_when_there_is_room(tmp_path: Path, rounds: int) -> None:
    with small_disk(tmp_path / "disk", 24_000) as disk:
        async with open_half(f"sqlite+aiosqlite:///{disk}/voxline.db", tmp_path / "files", lease_s=1.0) as half:
            user, jobs, refused = await half.user(), dict[str, str](), 0
            worker, watcher = half.worker(concurrency=2), half.watcher()
            watching = Sweeper([Chore("watch", 0.3, lambda: look_for_lost_workers(watcher, half.dispatch))])
            async with running(worker.run()), running(watching.run()):
                for number in range(rounds):
                    here, ballast = 0, disk / "ballast"
                    _fill(ballast, but=600 << 10)
                    while here < 5:
                        script = f"round={number} n={len(jobs)} {'x' * 4000}"
                        try:
                            jobs[(await half.submit(user, script)).id] = script
                        except VoiceError as error:
                            assert error.code is Code.STORAGE_FULL and error.facts["retry_after"]
                            here += 1
                        await asyncio.sleep(0)
                    refused += here
                    ballast.unlink()
                    script = f"round={number} after"
                    job = await half.submit(user, script)  # at once, without a restart
                    jobs[job.id] = script
                    done = await wait_until_finished(half.queue, half.dispatch, user, job.id, timeout_s=60)
                    assert done.status is Status.COMPLETED
                while await half.unfinished():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                await worker.drain(5)
            ends = await check_half(half, user, jobs)
            assert refused >= 5 and ends.get(Status.FAILED, 0) <= len(jobs) // 10


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_full_disk_of_files_fails_jobs_unpaid_and_serves_no_half_file(tmp_path: Path, rounds: int) -> None:
    with small_disk(tmp_path / "disk", 512) as disk:
        async with open_half(f"sqlite+aiosqlite:///{tmp_path}/voxline.db", disk) as half:
            user, jobs, worker = await half.user(), dict[str, str](), half.worker()
            async with running(worker.run()):
                for number in range(rounds):
                    for full, status in ((False, Status.COMPLETED), (True, Status.FAILED), (False, Status.COMPLETED)):
                        ballast = disk / "ballast"
                        ballast.unlink(missing_ok=True)
                        if full:
                            _fill(ballast)
                        script = f"round={number} n={len(jobs)}"
                        job = await half.submit(user, script)
                        jobs[job.id] = script
                        done = await wait_until_finished(half.queue, half.dispatch, user, job.id, timeout_s=60)
                        assert done.status is status, done.error
                        assert done.error is None or done.error.code is Code.STORAGE_FULL
                await worker.drain(5)
            (disk / "ballast").unlink(missing_ok=True)
            assert await check_half(half, user, jobs) == {Status.COMPLETED: 2 * rounds, Status.FAILED: rounds}


def _fill(path: Path, but: int = 0) -> None:
    """Take all the room there is, or nearly."""
    with path.open("wb", buffering=0) as file:
        try:
            while shutil.disk_usage(path.parent).free > but and file.write(bytes(4096)):
                pass
        except OSError:
            return
