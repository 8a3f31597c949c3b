"""Jobs among workers that die: the server's side in this process, the workers in others, and what is left of it."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from batch.dispatch import JOBS
from batch.jobs import Status
from batch.sweeper import Chore, Sweeper, look_for_lost_workers
from protocol.errors import Code, VoiceError
from tests.batch.half import Half, check_half, open_half
from tests.chaos.world import ROOT

BACKLOG = 40
_PROGRESS_S = 120.0  # without any for so long, it is stuck


@dataclass(slots=True)
class Workers:
    """The program that keeps them."""

    process: asyncio.subprocess.Process
    dead: int = 0

    async def count(self) -> None:
        """Hear of deaths until it ends."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.dead = int(line)


@dataclass(slots=True)
class Storm:
    """What was done, and what came of it."""

    half: Half
    user: int
    seed: int
    jobs: dict[str, str] = field(default_factory=dict)  # accepted, and their scripts
    cancelled: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    async def submit(self, count: int, script: Callable[[random.Random, int], str]) -> None:
        """Submit so many jobs, never many more than are being done; some are cancelled, some are submitted twice."""
        chance = random.Random(self.seed + len(self.jobs))
        for number in range(len(self.jobs), len(self.jobs) + count):
            if number % 10 == 0:
                await self._room()
            text = f"n={number} {script(chance, number)}"
            key = f"key-{number}" if number % 10 == 3 else None
            job = await self.half.submit(
                self.user, text, key=key, callback="https://example.com/" if number % 4 else ""
            )
            self.jobs[job.id] = text
            if key is not None:
                assert (await self.half.submit(self.user, text, key=key)).id == job.id
            if number % 25 == 7:
                try:
                    await self.half.queue.cancel(self.user, job.id)
                    self.cancelled += 1
                except VoiceError as error:
                    assert error.code is Code.CONFLICT
                self.half.dispatch.announce(JOBS)

    async def _room(self) -> None:
        while await self.half.unfinished() > BACKLOG:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def finish(self) -> None:
        """Wait until every job is over."""
        loop = asyncio.get_running_loop()
        left, moved_at = -1, loop.time()
        while now := await self.half.unfinished():
            if now != left:
                left, moved_at = now, loop.time()
            assert loop.time() - moved_at < _PROGRESS_S, f"{now} jobs do not move: {await self.half.queue.counts()}"
            await asyncio.sleep(0.05)

    async def check(self) -> dict[Status, int]:
        """What must hold at the end; how many jobs ended in which way."""
        ends = await check_half(self.half, self.user, self.jobs)
        assert ends.get(Status.CANCELLED, 0) == self.cancelled
        return ends

    def recovery(self) -> list[float]:
        """Seconds between the death of a worker and the next beginning of each job it had."""
        begun: dict[tuple[str, int], float] = {}
        lost: dict[tuple[str, int], float] = {}
        for line in (self.half.directory / "journal").read_text().splitlines():
            what, *rest = line.split(" ")
            if what == "begin":
                begun[rest[0], int(rest[1])] = float(rest[2])
            else:
                for name in filter(None, rest[2].split(",")):
                    lost[name.partition(":")[0], int(name.partition(":")[2])] = float(rest[1])
        pairs = ((begun.get((job, attempt + 1)), died) for (job, attempt), died in lost.items())
        return sorted(again - died for again, died in pairs if again is not None)

    def deaths(self) -> dict[str, int]:
        """How many died in which way."""
        ways: dict[str, int] = {}
        for line in (self.half.directory / "journal").read_text().splitlines():
            if line.startswith("die "):
                way = line.split(" ")[1]
                ways[way] = ways.get(way, 0) + 1
        return ways


@asynccontextmanager
async def storm(url: str, directory: Path, *, seed: int, lease_s: float, redis_url: str = "") -> AsyncIterator[Storm]:
    """The server's side: it accepts jobs and misses lost workers."""
    async with open_half(url, directory, lease_s=lease_s, redis_url=redis_url) as half:
        watcher = half.watcher()
        chore = Chore("watch", lease_s / 4, lambda: look_for_lost_workers(watcher, half.dispatch))
        async with running(Sweeper([chore]).run()):
            yield Storm(half, await half.user(), seed)


@asynccontextmanager
async def workers(
    storm: Storm, url: str, *, kills: int, redis_url: str = "", **orders: object
) -> AsyncIterator[Workers]:
    """Workers of whom so many die, ended in order; none may be left then."""
    half = storm.half
    given = {"lease-s": half.lease_s, "kills": kills, "seed": storm.seed, "redis-url": redis_url, **orders}
    options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.mortals", "--url", url, "--directory", str(half.directory), *options,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    found = Workers(process)
    family: list[psutil.Process] = []
    try:
        async with running(found.count()):
            yield found
            family = psutil.Process(process.pid).children(recursive=True)
            assert process.stdin is not None
            process.stdin.close()
            async with asyncio.timeout(30):
                assert await process.wait() == 0, "a worker ended by itself, or did not stop in order"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        _, alive = psutil.wait_procs(family, timeout=5)
        assert not alive, "workers outlived their keeper"


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """While something else goes on."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        try:
            yield
        finally:
            task.cancel()
