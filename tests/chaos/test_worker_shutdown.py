"""S9, the jobs' part: a worker process is told to stop, told twice, or killed, with 20 jobs under way."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from batch.jobs import Status
from server.settings import child_environment
from tests.batch.half import Half, check_half, open_half
from tests.databases import sqlite_only
from tests.forked import Forked

LEASE_S = "1.5"


@asynccontextmanager
async def worker_process(
    data: Path, url: str, *, drain_timeout: str, concurrency: int = 20, lease: str = LEASE_S
) -> AsyncIterator[Forked]:
    """A ready worker, killed at the end if it is still there."""
    environment = child_environment(database=url, drain_timeout=drain_timeout, lease_seconds=lease)
    log = data / "worker.log"
    command = ["tests.chaos.scripted_worker", "--data", str(data), "--concurrency", str(concurrency)]
    process = await asyncio.to_thread(lambda: Forked(*command, environment=environment, log=log))
    try:
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(process.stdout.readline) == "ready\n", log.read_text()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@asynccontextmanager
async def twenty(url: str, directory: Path) -> AsyncIterator[tuple[Half, int, dict[str, str]]]:
    """Twenty jobs, half of them short."""
    async with open_half(url, directory, lease_s=float(LEASE_S)) as half:
        user = await half.user()
        scripts = [f"n={n} seconds=0.2 first={1 if n % 2 else 600} steps=8" for n in range(20)]
        yield half, user, {(await half.submit(user, script)).id: script for script in scripts}


async def all_begun(half: Half) -> None:
    async with asyncio.timeout(60):
        while (await half.queue.counts())[Status.QUEUED]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def ends(process: Forked, within: float) -> int:
    return await asyncio.to_thread(process.wait, within)


async def restarted(half: Half, user: int, jobs: dict[str, str], data: Path, url: str) -> None:
    """Another process does the rest; nothing is lost, nothing is done twice."""
    async with worker_process(data, url, drain_timeout="5") as process, asyncio.timeout(60):
        while await half.unfinished():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert await ends(process, 15) == 0
    assert await check_half(half, user, jobs) == {Status.COMPLETED: 20}


@sqlite_only
async def test_told_to_stop_it_finishes_what_it_can_and_gives_back_the_rest(database_url: str, tmp_path: Path) -> None:
    async with twenty(database_url, tmp_path / "files") as (half, user, jobs):
        # No lease runs out in this test: a machine that does other things may hold a beat up for seconds.
        async with worker_process(tmp_path, database_url, drain_timeout="6", lease="30") as process:
            await all_begun(half)
            process.send_signal(signal.SIGTERM)
            assert await ends(process, 20) == 0
        counts = await half.queue.counts()
        assert counts[Status.QUEUED] == 10 and sum(counts.values()) == 10
        assert {(await half.queue.get(user, job_id)).failures for job_id in jobs} == {0}
        await restarted(half, user, jobs, tmp_path, database_url)


@sqlite_only
async def test_told_twice_it_gives_everything_back_at_once(database_url: str, tmp_path: Path) -> None:
    async with twenty(database_url, tmp_path / "files") as (half, user, jobs):
        async with worker_process(tmp_path, database_url, drain_timeout="600") as process:
            await all_begun(half)
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            assert await ends(process, 10) == 0
        counts = await half.queue.counts()
        assert counts[Status.QUEUED] == sum(counts.values()) >= 10
        await restarted(half, user, jobs, tmp_path, database_url)


@sqlite_only
async def test_killed_it_loses_no_job(database_url: str, tmp_path: Path) -> None:
    async with twenty(database_url, tmp_path / "files") as (half, user, jobs):
        async with worker_process(tmp_path, database_url, drain_timeout="20") as process:
            await all_begun(half)
            process.kill()
            process.wait()
        await restarted(half, user, jobs, tmp_path, database_url)
