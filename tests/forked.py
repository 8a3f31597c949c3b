"""Servers and workers of the tests, forked from a process that has imported what they are made of.

A user's server is a new Python, and so are those of the tests of the command line. To the other tests, what a server
does matters and how it came about does not: forked, it takes a tenth of the processor time until it runs.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock
from typing import TextIO

_ROOT = Path(__file__).resolve().parents[1]
_NETWORK = Path("/proc/thread-self/ns/net")
_USUAL = _NETWORK.readlink()
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.forkable"])


def launch(module: str, *arguments: str, environment: Mapping[str, str], log: Path) -> "Forked | Spawned":
    """``python -m MODULE ARGUMENTS`` in the repository's root; what it logs is added to a file.

    It is forked, unless this thread is in a network of its own (``tests.alone``), where the other process is not.
    """
    kind = Forked if _NETWORK.readlink() == _USUAL else Spawned
    return kind(module, *arguments, environment=environment, log=log)


class Spawned(subprocess.Popen[str]):
    """A new Python."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str], log: Path) -> None:
        command = [sys.executable, "-m", module, *arguments]
        with log.open("ab") as errors:
            super().__init__(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)


class Forked:
    """A process forked from one that has started and imported already, with the methods of ``subprocess.Popen``."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str], log: Path) -> None:
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        order = (module, arguments, dict(environment), log, theirs)
        self._asking = Lock()  # its status can be read once, and threads may ask at one moment
        self._process = _CONTEXT.Process(target=_become, args=order, daemon=True)
        with ours, theirs:
            self._process.start()
            self.stdout: TextIO = os.fdopen(os.dup(ours.fileno()), encoding="utf-8")

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, once it has ended; minus the number of the signal that ended it."""
        with self._asking:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, at the end. Raises TimeoutExpired when that is more than ``timeout`` seconds away."""
        if not wait([self._process.sentinel], timeout):
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0.0)
        status = self.poll()
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _become(module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path, said: Connection) -> None:
    os.chdir(_ROOT)
    os.environ.clear()
    os.environ.update(environment)
    with said, log.open("ab") as errors:
        os.dup2(said.fileno(), 1)
        os.dup2(errors.fileno(), 2)
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)
