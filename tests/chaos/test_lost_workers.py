"""R1, R2: workers are killed at any moment, and some hang past their lease. Nothing is lost, nothing paid twice."""

import asyncio
import random
import signal
from pathlib import Path

import psutil
import pytest

from batch.jobs import Status
from tests.chaos.storm import Storm, running, storm, workers
from tests.databases import Redis, postgres_only, sqlite_only

LEASE_S = 0.6
SEED = 20261128
NIGHTLY = pytest.mark.nightly


def script(chance: random.Random, number: int) -> str:
    """Short work, some of it failing for a while; one in twenty hangs past its lease and finishes as a zombie."""
    if number % 20 == 11:
        return f"hang={LEASE_S * 1.5}"
    failing = "fail=engine_failed fails=1" if number % 33 == 5 else ""
    return f"seconds={chance.uniform(0, 0.04):.3f} {failing}"


async def rage(weather: Storm, url: str, jobs: int, kills: int, redis_url: str = "") -> None:
    """All jobs through workers that die, and what must be true then."""
    async with workers(weather, url, kills=kills, redis_url=redis_url) as mortals:
        await weather.submit(jobs, script)
        while mortals.dead < kills:
            await weather.submit(20, script)
        await weather.finish()
    ends = await weather.check()
    report = f"{len(weather.jobs)} jobs, {mortals.dead} killed {weather.deaths()}, {ends}, {weather.seconds:.0f} s"
    waits = weather.recovery()
    print(report, "begun again after", [round(waits[int(len(waits) * part)], 2) for part in (0.5, 0.9, 0.99)])
    assert ends[Status.COMPLETED] >= 0.9 * (len(weather.jobs) - weather.cancelled), report


@pytest.mark.parametrize(
    ("jobs", "kills"), [pytest.param(200, 40, id="200"), pytest.param(5_000, 1_000, marks=NIGHTLY, id="5000")]
)
@sqlite_only
async def test_no_job_is_lost_or_paid_twice_however_workers_die(
    database_url: str, tmp_path: Path, jobs: int, kills: int
) -> None:
    async with storm(database_url, tmp_path, seed=SEED, lease_s=LEASE_S) as weather:
        await rage(weather, database_url, jobs, kills)


@pytest.mark.parametrize(
    ("jobs", "kills"), [pytest.param(100, 20, id="100"), pytest.param(5_000, 1_000, marks=NIGHTLY, id="5000")]
)
@postgres_only
async def test_nor_on_postgres_while_redis_is_stopped_and_started(
    database_url: str, redis_server: Redis, tmp_path: Path, jobs: int, kills: int
) -> None:
    async def break_redis() -> None:
        while True:
            await asyncio.sleep(1.0)
            redis_server.stop()
            await asyncio.sleep(1.0)
            redis_server.start()  # in this thread: it ends with the one that started it

    redis_url = redis_server.url
    weather_of = storm(database_url, tmp_path, seed=SEED, lease_s=LEASE_S, redis_url=redis_url)
    async with weather_of as weather, running(break_redis()):
        await rage(weather, database_url, jobs, kills, redis_url)


async def test_the_jobs_of_a_killed_worker_are_begun_again_within_two_leases(database_url: str, tmp_path: Path) -> None:
    lease_s = 2.0
    async with storm(database_url, tmp_path, seed=SEED, lease_s=lease_s) as weather:
        async with workers(weather, database_url, kills=3):
            await weather.submit(18, lambda _chance, _number: "seconds=0.4 steps=8")
            await weather.finish()
        await weather.check()
        waits = weather.recovery()
        assert waits and waits[-1] < 2 * lease_s, waits


async def test_a_frozen_worker_loses_its_jobs_and_does_no_harm_when_it_thaws(database_url: str, tmp_path: Path) -> None:
    """SIGSTOP: it holds its jobs, its connections, perhaps a lock; SIGCONT: it goes on as if nothing had been."""
    async with storm(database_url, tmp_path, seed=SEED, lease_s=LEASE_S) as weather:
        async with workers(weather, database_url, kills=0) as keeper:
            family = [child.pid for child in psutil.Process(keeper.process.pid).children()]
            while len(family) < 3:
                await asyncio.sleep(0.02)
                family = [child.pid for child in psutil.Process(keeper.process.pid).children()]
            submitting = asyncio.create_task(weather.submit(60, lambda _chance, _number: "seconds=0.1 steps=4"))
            for pid in family[:2]:
                await asyncio.sleep(0.3)
                psutil.Process(pid).send_signal(signal.SIGSTOP)
                await asyncio.sleep(2 * LEASE_S)
                psutil.Process(pid).send_signal(signal.SIGCONT)
            await submitting
            await weather.finish()
        await weather.check()
