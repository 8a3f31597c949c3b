"""A server process with what a new user has, shared by the tests of a module."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import pytest

from loadtest.subject import end
from tests.forked import Forked, Spawned, launch
from tests.on_postgres import store_settings

_START_S, _STOP_S = 60, 30
# For tests that neither speak nor listen: the engines that load soonest.
MUTE = {"pocketsphinx": "off", "synthesizers": "1"}
SHOWN_ONCE = re.compile(r"^  (sk-ov-\w+)$", re.MULTILINE)


@dataclass(slots=True)
class Started:
    """A server process; ``banner`` is what it said when it was ready."""

    process: Forked | Spawned
    data: Path
    banner: str
    database_url: str

    @property
    def base(self) -> str:
        """Its HTTP address."""
        return re.search(r"http://\S+", self.banner)[0]  # type: ignore[index]

    @property
    def ws(self) -> str:
        """Its WebSocket address."""
        return self.base.replace("http", "ws", 1)

    @property
    def key(self) -> str:
        """The key it showed, for its first start."""
        return SHOWN_ONCE.search(self.banner)[1]  # type: ignore[index]

    @property
    def log(self) -> str:
        """What it logged so far."""
        return (self.data / "server.log").read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(_STOP_S)


def environment(**settings: str) -> dict[str, str]:
    """The tests' environment with these settings and no other; nothing is pulled unless a test wants it."""
    settings = {"auto_pull": "off", **settings}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOXLINE_")}
    return kept | {f"VOXLINE_{name.upper()}": value for name, value in settings.items()}


@contextmanager
def started(data: Path, **settings: str) -> Iterator[Started]:
    """``voxline serve`` on a free port, killed at the end if it still runs."""
    settings = {**store_settings(data), **settings}
    database_url = settings.get("database", f"sqlite+aiosqlite:///{data / 'voxline.db'}")
    process = launch(
        "server.cli", "serve", "--port", "0", "--data", str(data),
        environment=environment(**settings), log=data / "server.log",
    )  # fmt: skip
    watchdog = Timer(_START_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        banner = ""
        while "doctor" not in banner:
            line = process.stdout.readline()
            assert line, f"the server did not start:\n{(data / 'server.log').read_text()}"
            banner += line
        watchdog.cancel()
        yield Started(process, data, banner, database_url)
    finally:
        watchdog.cancel()
        end(process, _STOP_S)
        process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A server with nothing configured: PocketSphinx, espeak-ng, and the limits everybody has."""
    with started(tmp_path_factory.mktemp("voxline")) as running:
        yield running
