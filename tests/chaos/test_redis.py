"""R5, the jobs' part: Redis is stopped, started, emptied and frozen in the middle of a hundred jobs."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from batch.jobs import Status
from batch.waiting import wait_until_finished
from tests.batch.half import Half, check_half, open_half
from tests.chaos.storm import running
from tests.databases import Redis

HARM = ("stop", "start", "flush", "freeze", "thaw")
MOST_S = 2.0  # longer than otherwise
CLIENTS = 5


def harm(redis: Redis, ways: Iterator[str]) -> None:
    """The next thing happens to it; what cannot happen now does not."""
    what = next(ways)
    if what == "flush":
        redis.thaw()
        redis.start()
    try:
        getattr(redis, what)()
    except AssertionError:
        assert what == "freeze", "a stopped one cannot be frozen"


async def jobs_through(
    server: Half, worker: Half, user: int, count: int, harm: Callable[[], None] | None
) -> tuple[dict[str, str], float]:
    """So many jobs of some clients who wait for each answer, harm done to Redis meanwhile; the longest wait."""
    loop, jobs, waits = asyncio.get_running_loop(), dict[str, str](), list[float]()
    hands = worker.worker(concurrency=CLIENTS)

    async def client(number: int) -> None:
        for turn in range(count // CLIENTS):
            if harm is not None and number == 0:
                harm()  # in this thread: Redis ends with the thread that started it
            script = f"client={number} turn={turn} seconds=0.01"
            began = loop.time()
            job = await server.submit(user, script)
            done = await wait_until_finished(server.queue, server.dispatch, user, job.id, timeout_s=60)
            waits.append(loop.time() - began)
            assert done.status is Status.COMPLETED
            jobs[job.id] = script

    async with running(hands.run()):
        await asyncio.gather(*map(client, range(CLIENTS)))
        await hands.drain(5)
    return jobs, max(waits)


@pytest.mark.parametrize("rounds", [1, pytest.param(15, marks=pytest.mark.nightly)])
async def test_whatever_happens_to_redis_no_job_is_lost_and_none_waits_much_longer(
    database_url: str, redis_server: Redis, tmp_path: Path, rounds: int
) -> None:
    chance = random.Random(rounds)
    async with AsyncExitStack() as stack:
        server, worker = [
            await stack.enter_async_context(open_half(database_url, tmp_path, redis_url=redis_server.url))
            for _ in range(2)
        ]
        user = await server.user()
        jobs, usual = await jobs_through(server, worker, user, 20, None)
        for _ in range(rounds):
            ways = iter([*HARM, *chance.choices(HARM, k=20)])
            more, longest = await jobs_through(server, worker, user, 100, partial(harm, redis_server, ways))
            jobs |= more
            assert longest < 3 * usual + MOST_S, f"a job took {longest:.1f} s, {usual:.1f} s otherwise"
            redis_server.thaw()
        assert await check_half(server, user, jobs) == {Status.COMPLETED: len(jobs)}
