"""A real server process to be cruel to, and what must be true of it afterwards.

``world()`` starts it, ``World.census()`` counts what it holds, and ``check_world()`` is the end of every test here: no
session, descriptor, thread or process more than before, and no memory beyond 5 % + 20 MB (RELIABILITY, section 5).
"""

import asyncio
import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import psutil

from loadtest.subject import end
from server.settings import child_environment
from tests.forked import Forked, Spawned, launch

ROOT = Path(__file__).resolve().parents[2]
START_S, STOP_S = 90.0, 40.0
RESIDENT_SLACK = 20 << 20

# All clients come from one address and have no key. Their death is noticed five times faster than by default.
OPEN = {
    "anonymous_per_day": "0", "anonymous_at_once": "0", "sessions_per_address": "0", "connections_per_address": "0",
    "sessions": "5000", "calls_per_key": "0",
}  # fmt: skip
QUICK = {
    "ping_interval": "2", "ping_timeout": "3", "tcp_user_timeout": "4", "send_timeout": "3",
    "first_message_timeout": "6",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Census:
    """What a server and its engines hold."""

    sessions: int
    descriptors: int
    threads: int
    children: int
    resident: int  # bytes

    def beyond(self, before: "Census") -> dict[str, int]:
        """What there is more of than before, memory apart."""
        names = ("sessions", "descriptors", "threads", "children")
        more = {name: getattr(self, name) - getattr(before, name) for name in names}
        return {name: count for name, count in more.items() if count > 0 or (name == "children" and count)}


@dataclass(slots=True)
class World:
    """A running server."""

    process: Forked | Spawned
    port: int
    key: str
    log: Path
    host: str = "127.0.0.1"

    @property
    def ws(self) -> str:
        """Its address for WebSockets."""
        return f"ws://{self.host}:{self.port}"

    @property
    def hears(self) -> str:
        """Where it listens."""
        return f"{self.ws}/v1/stream"

    @property
    def speaks(self) -> str:
        """Where it speaks."""
        return f"{self.ws}/v1/stream/tts"

    @property
    def tree(self) -> list[psutil.Process]:
        """The server and its engines."""
        server = psutil.Process(self.process.pid)
        return [server, *server.children(recursive=True)]

    def engine(self, role: str) -> psutil.Process | None:
        """The child that hears ("recognizer"), notices speech ("detector") or speaks ("synthesizer"), by its maps."""
        return next((child for child in self.tree[1:] if _role(child) == role), None)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; on a connection of its own, so that it leaves none behind."""
        return self.request("GET", path)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and body of one request."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Connection": "close", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("latin-1")
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Every sample, by name and labels as they are written."""
        lines = self.get("/metrics")[1].splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def total(self, name: str) -> float:
        """The sum of a metric over its labels."""
        return sum(value for sample, value in self.metrics().items() if sample.partition("{")[0] == name)

    def sessions(self) -> int:
        """Live sessions of all kinds."""
        return int(self.total("voxline_sessions"))

    def census(self) -> Census:
        """Count everything; processes that end meanwhile are counted as gone."""
        descriptors = threads = children = resident = 0
        for process in self.tree:
            try:
                with process.oneshot():
                    resident += process.memory_info().rss
                    descriptors += process.num_fds()
                    threads += process.num_threads()
            except psutil.NoSuchProcess:
                continue
            children += 1
        return Census(self.sessions(), descriptors, threads, children - 1, resident)

    def cpu(self) -> float:
        """CPU seconds the server itself has used, its engines apart."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def errors(self) -> list[str]:
        """What it logged as an error of its own."""
        return [line for line in self.log.read_text().splitlines() if '"level": "error"' in line or "Traceback" in line]

    def end(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


@contextmanager
def world(
    data: Path, settings: Mapping[str, str] | None = None, *, real: bool = False, host: str = "127.0.0.1"
) -> Iterator[World]:
    """A server with these settings over those of OPEN, ended at the end; nothing of it may be left then."""
    environment = child_environment(**{**OPEN, "host": host, **(settings or {})})
    log = data / "server.log"
    command = ["tests.chaos.scripted_server", "--data", str(data)]
    process = launch(*command, *(["--real"] if real else []), environment=environment, log=log)
    watchdog = Timer(START_S, process.kill)
    watchdog.start()
    family: list[psutil.Process] = []
    try:
        assert process.stdout is not None
        said = re.fullmatch(r"(\d+) (\S+)\n", process.stdout.readline())
        assert said, f"the server did not start:\n{log.read_text()[-3000:]}"
        watchdog.cancel()
        started = World(process, int(said[1]), said[2], log)
        family = started.tree
        yield started
    finally:
        watchdog.cancel()
        end(process, STOP_S)
        process.stdout.close()  # type: ignore[union-attr]
        _, alive = psutil.wait_procs(family[1:], timeout=5)
        assert not alive, f"engines outlived their server: {alive}"


def _role(child: psutil.Process) -> str:
    try:
        maps = Path(f"/proc/{child.pid}/maps").read_text()
    except OSError:
        return ""
    if "espeak" in maps:
        return "synthesizer"
    if "ctranslate2" in maps:
        return "recognizer"
    if "onnxruntime" in maps or "numpy" in maps:
        return "detector"
    return "recognizer"


async def check_world(world: World, before: Census, *, within: float = 10.0, errors: int = 0) -> None:
    """Nothing more than ``before``, soon; no memory that stays; and nothing in the log that is the server's fault."""
    assert world.process.poll() is None, "the server died"
    now = await settled(world, lambda census: not census.beyond(before), within)
    assert not now.beyond(before), f"left over after {within:g} s: {now.beyond(before)} (was {before})"
    limit = before.resident * 1.05 + RESIDENT_SLACK
    assert now.resident <= limit, f"{now.resident >> 20} MiB resident, {before.resident >> 20} MiB before"
    logged = world.errors()
    assert len(logged) <= errors, f"{len(logged)} errors in the log, {errors} before: {json.dumps(logged[-3:])}"


async def settled(world: World, condition: Callable[[Census], bool], within: float) -> Census:
    """The census, as soon as it fulfils the condition, or when the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        now = await asyncio.to_thread(world.census)
        if condition(now) or loop.time() > deadline:
            return now
        await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool], within: float, what: str) -> float:
    """Wait for what nothing announces; seconds it took. The condition runs in a thread."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not await asyncio.to_thread(condition):
        assert loop.time() - began < within, f"not within {within:g} s: {what}"
        await asyncio.sleep(0.02)
    return loop.time() - began
