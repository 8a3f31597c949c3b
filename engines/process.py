"""An engine's process as the server sees it: started, its end of the pipe, its memory, its end."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from engines.frames import Frame, FrameReader, Head, Kind, WireError, pack
from engines.registry import EngineSpec

_ROOT = Path(__file__).resolve().parent.parent  # where ``python -m engines.child`` is found
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Else numpy starts a thread for every core, which spin before they sleep; engines say themselves how many they want.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


class Pipe(asyncio.BufferedProtocol):
    """The parent's end: ``on_frame`` for each whole frame, ``on_lost(why)`` once, at the end of the pipe."""

    def __init__(self, on_frame: Callable[[Frame], None], on_lost: Callable[[str], None]) -> None:
        self._reader = FrameReader()
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._why = "crashed"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.space()

    def buffer_updated(self, nbytes: int) -> None:
        self._reader.filled(nbytes)
        try:
            while (frame := self._reader.frame()) is not None:
                self._on_frame(frame)
        except WireError:
            self.abort("garbage")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost(self._why)

    def send(self, frame: Frame) -> None:
        """Write a frame; to a pipe that is gone it is dropped (``on_lost`` tells). Raises WireError over a limit."""
        pieces = pack(frame)
        if self._transport is not None:
            self._transport.writelines(pieces)

    def abort(self, why: str) -> None:
        """End the pipe now; ``why`` is what ``on_lost`` hears."""
        if self._transport is not None:
            self._why = why
            self._transport.abort()

    def close(self) -> None:
        """End the pipe once all is written: the child finishes its call and exits."""
        if self._transport is not None:
            self._why = "closed"
            self._transport.close()


class EngineProcess:
    """One child, from its start to its end; killing it takes whatever it started along."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: Pipe) -> None:
        self._process = process
        self.pipe = pipe

    @property
    def pid(self) -> int:
        """Its process number; also that of its group and session."""
        return self._process.pid

    def resident_bytes(self) -> int:
        """Memory it holds; 0 where the system does not tell (not Linux) or it is gone."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as statm:
                return int(statm.read().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return 0

    def kill(self, why: str) -> None:
        """SIGKILL, and the pipe ends."""
        if self._process.returncode is None:  # else the number may already be somebody else's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.pipe.abort(why)

    async def reap(self, patience_s: float) -> int:
        """Wait for its end, at most so long before killing it; its exit status, negative for a signal."""
        try:
            return await asyncio.to_thread(self._process.wait, patience_s)
        except subprocess.TimeoutExpired:
            self.kill("stuck")
            return await asyncio.to_thread(self._process.wait)


async def launch(
    spec: EngineSpec, beat_s: float, on_frame: Callable[[Frame], None], on_lost: Callable[[str], None]
) -> EngineProcess:
    """Start a child and order its engine; READY or FAILED comes as a frame."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    with theirs:
        _, pipe = await loop.create_unix_connection(lambda: Pipe(on_frame, on_lost), sock=ours)
        # The last thing, behind all that is waited for: who is cancelled there would leave a process nobody knows of.
        try:
            process = _start(spec, theirs.fileno())
        except OSError:
            pipe.abort("not started")
            raise
    order: Head = {
        "factory": spec.factory,
        "options": dict(spec.options),
        "directory": os.getcwd(),
        "nice": spec.nice,
        "beat_s": beat_s,
    }
    pipe.send(Frame(Kind.BUILD, head=order))
    return EngineProcess(process, pipe)


def _start(spec: EngineSpec, descriptor: int) -> "subprocess.Popen[bytes]":
    # In the loop's own thread, for some milliseconds: the kernel ties a child's life to the thread that made it.
    return subprocess.Popen(
        [sys.executable, "-m", "engines.child", str(descriptor), str(os.getpid()), spec.name],
        cwd=_ROOT,
        env=_ONE_THREAD | os.environ,
        stdin=subprocess.DEVNULL,
        stdout=2,  # a library's chatter joins the server's log
        pass_fds=(descriptor,),
        start_new_session=True,
    )
