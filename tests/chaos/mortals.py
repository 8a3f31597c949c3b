"""`python -m tests.chaos.mortals`: keeps some workers running that die; a program of its own, so that it can fork.

Forking from a process that has imported everything and started nothing makes a worker in some milliseconds, so that a
thousand of them can be killed in minutes. Each has a plan for its death: at a statement of the database, between its
files' rename and the finishing transaction, or at some moment. When enough have died, the next ones live until they are
told to stop by SIGTERM. What they begin and how they die is appended to a journal, with the machine's monotonic clock.
"""

import argparse
import asyncio
import ctypes
import logging
import os
import random
import select
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event

from batch.attempt import Attempt
from batch.sweeper import Chore, Sweeper, look_for_lost_workers
from batch.worker import Worker
from tests.batch.half import Half, open_half

_POLL_S = 0.1  # as much faster than usual as the lease is shorter
LONGEST_S = 5.0  # who finds no occasion to die as planned dies then


@dataclass(frozen=True, slots=True)
class Orders:
    """What the workers are to do."""

    url: str
    directory: Path
    redis_url: str
    lease_s: float
    workers: int
    kills: int
    concurrency: int
    seed: int

    @property
    def journal(self) -> Path:
        """Where they write what they do."""
        return self.directory / "journal"


class Mortal:
    """One worker, and the death it will die, if any."""

    def __init__(self, orders: Orders, number: int, dies: bool) -> None:
        self._orders = orders
        self._number = number
        self._chance = random.Random(orders.seed * 1_000_003 + number)
        self._dies = dies
        self._worker: Worker | None = None
        self._journal = os.open(orders.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def live(self) -> None:
        """Work until it dies or is told to stop."""
        orders = self._orders
        async with open_half(orders.url, orders.directory, lease_s=orders.lease_s, redis_url=orders.redis_url) as half:
            worker = self._worker = half.worker(f"worker {self._number}", orders.concurrency, _POLL_S)
            self._keep_journal()
            if self._dies:
                self._plan(half)
            watcher = half.watcher()
            chore = Chore("watch", orders.lease_s / 4, lambda: look_for_lost_workers(watcher, half.dispatch))
            async with asyncio.TaskGroup() as tasks:
                sweeping = tasks.create_task(Sweeper([chore]).run())

                async def end() -> None:
                    await worker.drain(1.0)
                    sweeping.cancel()

                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGTERM, lambda: tasks.create_task(end()))
                await worker.run()

    def _keep_journal(self) -> None:
        begin = Attempt.run

        async def noted(attempt: Attempt) -> Any:
            self._note(f"begin {attempt.claim.job.id} {attempt.claim.attempt} {time.monotonic()}")
            return await begin(attempt)

        Attempt.run = noted  # type: ignore[method-assign,assignment]

    def _plan(self, half: Half) -> None:
        """Some five jobs from now, a job being 25 statements."""
        way = self._chance.choice(("statement", "publish", "moment"))
        threading.Timer(LONGEST_S, self._die, ("old age",)).start()
        if way == "moment":
            threading.Timer(self._chance.uniform(0.05, 1.5), self._die, (way,)).start()
        elif way == "publish":
            self._die_after_publishing(half, self._chance.randint(1, 9))
        else:
            left = self._chance.randint(1, 250)

            def count(*_given: object) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    self._die(way)

            for engine in half.store.engines:
                event.listen(engine, "before_cursor_execute", count)
                event.listen(engine, "commit", count)

    def _die_after_publishing(self, half: Half, left: int) -> None:
        publish: Callable[..., Awaitable[Any]] = half.artifacts.publish

        async def last(*given: Any, **named: Any) -> Any:
            nonlocal left
            made = await publish(*given, **named)
            left -= 1
            if left == 0:
                self._die("publish")
            return made

        half.artifacts.publish = last  # type: ignore[method-assign]

    def _die(self, way: str) -> None:
        active = list(self._worker._active) if self._worker is not None else []
        jobs = ",".join(f"{attempt.claim.job.id}:{attempt.claim.attempt}" for attempt in active)
        self._note(f"die {way.replace(' ', '-')} {time.monotonic()} {jobs}")
        os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, line: str) -> None:
        os.write(self._journal, f"{line}\n".encode())


def keep(orders: Orders) -> None:
    """Have so many workers alive until stdin ends; then let the last ones stop in order."""
    alive: set[int] = set()
    number, dead = 0, 0
    while True:
        while len(alive) < orders.workers:
            alive.add(_fork(orders, number, number < orders.kills))
            number += 1
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            if select.select([sys.stdin], [], [], 0.005)[0]:
                break
            continue
        alive.remove(pid)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            raise SystemExit(f"worker {pid} ended by itself: {status}")
        dead += 1
        sys.stdout.write(f"{dead}\n")
        sys.stdout.flush()
    for pid in alive:
        os.kill(pid, signal.SIGTERM)
    for pid in alive:
        _, status = os.waitpid(pid, 0)
        died_as_planned = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if status != 0 and not died_as_planned:
            raise SystemExit(f"worker {pid} did not stop in order: {status}")


def _fork(orders: Orders, number: int, dies: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nobody is left behind
        asyncio.run(Mortal(orders, number, dies).live())
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Read the orders from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--redis-url", default="")
    parser.add_argument("--lease-s", type=float, default=0.6)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--seed", type=int, required=True)
    logging.basicConfig(level=logging.ERROR)
    keep(Orders(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
