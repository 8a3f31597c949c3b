"""The server being measured: a real process of its own, its key, and what it costs (CPU seconds, resident bytes)."""

import math
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import httpx
import psutil

START_S = 120.0
STOP_S = 30.0
OPEN_FILES = 60_000
# What a load test needs lifted: all its callers come from one address.
OPEN_HOUSE = {
    "VOXLINE_AUTO_PULL": "off",
    "VOXLINE_SESSIONS": "20000",
    "VOXLINE_SESSIONS_PER_KEY": "0",
    "VOXLINE_SESSIONS_PER_ADDRESS": "0",
    "VOXLINE_CONNECTIONS_PER_ADDRESS": "0",
    "VOXLINE_CALLS_PER_KEY": "0",
}


class Process(Protocol):
    """The part of ``subprocess.Popen`` that is needed here."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


# Starts ``python -m MODULE ARGUMENTS`` with an environment; what it says is added to a file.
Start = Callable[[Sequence[str], dict[str, str], Path], Process]


def new_python(command: Sequence[str], environment: dict[str, str], log: Path) -> Process:
    """The start that a user's server has."""
    with log.open("ab") as output:
        return subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=output, stderr=output)


def end(process: Process, patience_s: float) -> None:
    """Tell it to end, and end it when that takes longer than ``patience_s`` seconds."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def raise_open_files() -> None:
    """Allow this process, and those it starts, as many sockets as a test of many connections needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


@dataclass(slots=True)
class Subject:
    """A running server and the handles to measure it by."""

    process: psutil.Process
    port: int
    key: str
    log: Path
    _children: dict[int, float] = field(default_factory=dict)

    @property
    def http(self) -> str:
        """Base address for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Base address for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    def web_cpu(self) -> float:
        """CPU seconds the web process alone has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def cpu(self) -> float:
        """CPU seconds of the web process and every engine process, those that ended included."""
        for child in self.process.children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self._children[child.pid] = times.user + times.system
        return self.web_cpu() + sum(self._children.values())

    def rss(self) -> int:
        """Resident bytes of the web process alone."""
        return int(self.process.memory_info().rss)

    def engine_pids(self) -> list[int]:
        """The engine processes."""
        return [child.pid for child in self.process.children(recursive=True)]

    def loop_lag(self, share: float = 0.99) -> float:
        """Upper bound, in seconds, of the event loop's lag in ``share`` of its own measurements since the start."""
        text = httpx.get(f"{self.http}/metrics", timeout=10).text
        rows = re.findall(r'voxline_loop_lag_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)', text)
        counts = [(float(bound), float(count)) for bound, count in rows]
        return next((bound for bound, count in counts if count >= share * counts[-1][1]), math.nan)


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    *, null: bool = False, environment: dict[str, str] | None = None, start: Start = new_python
) -> Iterator[Subject]:
    """Start a server in a directory of its own, yield it once it is ready, and stop it cleanly afterwards.

    With ``null`` its engines do nothing, so that all it costs is the server itself.
    """
    raise_open_files()
    with TemporaryDirectory(prefix="voxline-loadtest-") as data:
        env = {**os.environ, **OPEN_HOUSE, **(environment or {})}
        key = _first_key(data, env)
        port, log = free_port(), Path(data) / "server.log"
        module = ["loadtest.null_server"] if null else ["server.cli", "serve"]
        server = start([*module, "--port", str(port), "--data", data], env, log)
        try:
            _until_ready(server, port, log)
            yield Subject(psutil.Process(server.pid), port, key, log)
        finally:
            end(server, STOP_S)


def _first_key(data: str, env: dict[str, str]) -> str:
    """What ``voxline keys create`` prints, without a process for it."""
    from server.serving import first_key
    from server.settings import Settings

    settings = Settings(data=Path(data), database=env.get("VOXLINE_DATABASE", ""))
    with ThreadPoolExecutor(1) as apart:  # this thread may run an event loop already
        key = apart.submit(first_key, settings).result()
    if key is None:
        raise SystemExit("the database has keys already; a load test wants one of its own")
    return key


def _until_ready(server: Process, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    with httpx.Client(timeout=2) as client:  # one: to make it takes longer than to ask
        while time.monotonic() < deadline:
            if (status := server.poll()) is not None:
                raise SystemExit(f"the server ended with {status}:\n{log.read_text()[-2000:]}")
            try:
                if client.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
    raise SystemExit(f"the server was not ready after {START_S:.0f} s:\n{log.read_text()[-2000:]}")
