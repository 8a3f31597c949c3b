"""Files of strangers, read in processes of their own: at most so many at once, each ended when nobody waits for it."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from engines.media.order import ANSWER_BYTES, Answer, Order, read_answer
from protocol.errors import Code, VoiceError

_ROOT = Path(__file__).resolve().parent.parent.parent  # where ``python -m engines.media.template`` is found
_STATUS_BYTES = 16
_OUT_OF_TIME = str(-signal.SIGXCPU).encode()
_ENDED_S = 5.0


class Readers:
    """The template process, started with the first file and again should it be lost.

    ``at_once`` files are read at a time and ``waiting`` more may wait; ``wall_s`` is the longest one may take.
    """

    def __init__(self, *, at_once: int = 2, waiting: int = 64, wall_s: float = 180.0) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._room = at_once + waiting
        self._wall_s = wall_s
        self._template: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    async def read(self, order: Order, source: int, target: int | None = None) -> Answer:
        """Read the file of descriptor ``source``, its samples into that of ``target``; both stay the caller's.

        Raises UNSUPPORTED_MEDIA, TOO_LARGE, STORAGE_FULL; BUSY when too many wait.
        """
        if not self._room:
            raise VoiceError(Code.BUSY, "Too many files are being read now; try again later.", retry_after=10)
        self._room -= 1
        try:
            async with self._slots:
                descriptors = (source,) if target is None else (source, target)
                answer = await self._read(order, descriptors)
                if answer is None:  # the template was lost: once more, by a new one
                    answer = await self._read(order, descriptors)
        finally:
            self._room += 1
        if answer is None:
            raise VoiceError(Code.ENGINE_RESTARTED, "The process that reads files was lost; try again.", retry_after=1)
        return answer

    async def aclose(self) -> None:
        """End the template, and the readers with it."""
        template, self._template = self._template, None
        if self._orders is not None:
            self._orders.close()
            self._orders = None
        if template is not None:
            try:
                await asyncio.to_thread(template.wait, _ENDED_S)
            except subprocess.TimeoutExpired:
                template.kill()
                await asyncio.to_thread(template.wait)

    async def _read(self, order: Order, descriptors: tuple[int, ...]) -> Answer | None:
        """None when the template was lost."""
        answer, theirs = os.pipe()
        leash, other = socket.socketpair()
        with os.fdopen(answer, "rb", buffering=0) as answered, leash:
            try:
                with other:
                    if not await self._send(order, [*descriptors, theirs, other.fileno()]):
                        return None
            finally:
                os.close(theirs)
            leash.setblocking(False)
            try:
                async with asyncio.timeout(self._wall_s):
                    status = await _end_of(leash)
            except TimeoutError:
                raise _too_long() from None
            if not status:
                return None
            os.set_blocking(answered.fileno(), False)
            return _judged(status, answered.read(ANSWER_BYTES) or b"")

    async def _send(self, order: Order, descriptors: list[int]) -> bool:
        if self._orders is None or self._template is None or self._template.poll() is not None:
            await self.aclose()
            self._start()
        assert self._orders is not None
        try:
            socket.send_fds(self._orders, [order.pack()], descriptors)
        except OSError:
            return False
        return True

    def _start(self) -> None:
        # In the loop's own thread, for some milliseconds: the kernel ties a child's life to the thread that made it.
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "engines.media.template", str(theirs.fileno()), str(os.getpid())]
            self._template = subprocess.Popen(
                command,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )


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
