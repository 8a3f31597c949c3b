"""Files of strangers, read in processes of their own: at most so many at once, each ended when nobody waits for it."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from engines.media.order import ANSWER_BYTES, Answer, Order, read_answer
from protocol.errors import Code, VoiceError

_ROOT = Path(__file__).resolve().parent.parent.parent  # where ``python -m engines.media.template`` is found
_STATUS_BYTES = 16
_OUT_OF_TIME = str(-signal.SIGXCPU).encode()
_ENDED_S = 5.0
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class _Template:
    """A process of ``engines.media.template``, and our end of the socket it takes orders from."""

    process: "subprocess.Popen[bytes]"
    orders: socket.socket

    async def end(self) -> None:
        """Have it end, and its readers with it."""
        self.orders.close()
        try:
            await asyncio.to_thread(self.process.wait, _ENDED_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)


class Readers:
    """The template process, started with the first file and again should it be lost.

    ``at_once`` files are read at a time and ``waiting`` more may wait; ``wall_s`` is the longest one may take.
    """

    def __init__(self, *, at_once: int = 2, waiting: int = 64, wall_s: float = 180.0) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._room = at_once + waiting
        self._wall_s = wall_s
        self._template: _Template | None = None
        self._changing = asyncio.Lock()

    async def read(self, order: Order, source: int, target: int | None = None) -> Answer:
        """Read the file of descriptor ``source``, its samples into that of ``target``; both stay the caller's.

        Raises UNSUPPORTED_MEDIA, TOO_LARGE, STORAGE_FULL; BUSY when too many wait.
        """
        if not self._room:
            raise VoiceError(Code.BUSY, "Too many files are being read now; try again later.", retry_after=10)
        self._room -= 1
        try:
            async with self._slots:
                for _ in range(_ATTEMPTS):
                    answer = await self._read(order, source, target)
                    if answer is not None:
                        return answer
        finally:
            self._room += 1
        raise VoiceError(Code.ENGINE_RESTARTED, "The process that reads files was lost; try again.", retry_after=1)

    async def aclose(self) -> None:
        """End the template, and the readers with it."""
        async with self._changing:
            template, self._template = self._template, None
            if template is not None:
                await template.end()

    async def _read(self, order: Order, source: int, target: int | None) -> Answer | None:
        """None when the template was lost; perhaps after some of the file was read, and some sound written."""
        os.lseek(source, 0, os.SEEK_SET)
        if target is not None and os.lseek(target, 0, os.SEEK_CUR):
            os.ftruncate(target, 0)
            os.lseek(target, 0, os.SEEK_SET)
        template = await self._running()
        answer, theirs = os.pipe()
        leash, other = socket.socketpair()
        with os.fdopen(answer, "rb", buffering=0) as answered, leash:
            descriptors = [source, *([] if target is None else [target]), theirs, other.fileno()]
            try:
                with other, contextlib.suppress(OSError):  # it is gone: the leash says so too
                    socket.send_fds(template.orders, [order.pack()], descriptors)
            finally:
                os.close(theirs)
            leash.setblocking(False)
            try:
                async with asyncio.timeout(self._wall_s):
                    status = await _end_of(leash)
            except TimeoutError:
                raise _too_long() from None
            if not status:
                await self._lost(template)
                return None
            os.set_blocking(answered.fileno(), False)
            return _judged(status, answered.read(ANSWER_BYTES) or b"")

    async def _running(self) -> _Template:
        async with self._changing:
            if self._template is None:
                self._template = _start()
            return self._template

    async def _lost(self, template: _Template) -> None:
        """Only the first of those who lost it ends it; the others find its successor."""
        async with self._changing:
            if self._template is template:
                self._template = None
                await template.end()


def _start() -> _Template:
    # In the loop's own thread, for some milliseconds: the kernel ties a child's life to the thread that made it.
    orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "engines.media.template", str(theirs.fileno()), str(os.getpid())]
        process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=2, pass_fds=(theirs.fileno(),), start_new_session=True
        )
    return _Template(process, orders)


async def _end_of(leash: socket.socket) -> bytes:
    """How the reader ended; empty when its template is gone."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.get_running_loop().sock_recv(leash, _STATUS_BYTES)
    return b""


def _judged(status: bytes, answer: bytes) -> Answer:
    """A reader that was stopped by its bounds, or crashed, read a file that does not deserve another try."""
    if status == _OUT_OF_TIME:
        raise _too_long()
    result = read_answer(answer) if status == b"0" else None
    if isinstance(result, Answer):
        return result
    raise result or VoiceError(Code.UNSUPPORTED_MEDIA, "this file cannot be read: it is damaged")


def _too_long() -> VoiceError:
    return VoiceError(Code.TOO_LARGE, "this file takes too long to read")
