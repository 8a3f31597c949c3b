"""``python -m engines.media.template FD PARENT``: forks a clean process, libraries loaded, for every file to be read.

Starting Python and loading FFmpeg takes a quarter of a second, a fork two milliseconds. This process reads no file
itself, so what a file may do to a reader is gone with the reader. Orders come down a socket (descriptor FD), each with
the descriptors it is about: the file, where its samples go (or none), a pipe for the answer and a leash. The leash is
held by whoever waits: when that end is closed, the reader is killed; when the reader has ended, its status goes there.
"""

import contextlib
import gc
import io
import os
import selectors
import signal
import socket
import sys

from engines.child import lower_priority, settle
from engines.decode import DecodeLimits, open_media
from engines.media.confine import shut_in
from engines.media.reading import read_in_child
from protocol.audio import AudioFormat, Encoding, wav_header

_ORDER_BYTES = 4096
_SEEN_AT_ONCE = 64
_NICE = 10  # live sessions go before files


class Template:
    """Forks readers and sees to their ends."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._selector = selectors.DefaultSelector()
        self._leashes: dict[int, socket.socket] = {}  # by the process on it
        self._nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(self._nowhere, 1)
        self._woken, self._wake = os.pipe()
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the parent closes its end; readers still at work end with this process."""
        self._selector.register(self._orders, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._orders:
                    if not self._take():
                        return
                elif key.fileobj == self._woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, _SEEN_AT_ONCE)
                    self._reap()
                else:
                    self._let_go(key.data)

    def _take(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._orders, _ORDER_BYTES, 4)
        if not data:
            return False
        source, *target, answer, leash = descriptors
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            os.dup2(self._nowhere, 2)
            read_in_child(data, source, target[0] if target else None, answer)
        for descriptor in (source, *target, answer):
            os.close(descriptor)
        self._leashes[child] = socket.socket(fileno=leash)
        self._selector.register(self._leashes[child], selectors.EVENT_READ, child)
        return True

    def _let_go(self, child: int) -> None:
        """Nobody waits for it any more. While it has not been reaped, the number is its own."""
        leash = self._leashes.get(child)
        if leash is None:
            return
        self._selector.unregister(leash)
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)  # whatever it may have started

    def _reap(self) -> None:
        while self._leashes:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            leash = self._leashes.pop(child)
            with contextlib.suppress(KeyError):  # let go before
                self._selector.unregister(leash)
            with contextlib.suppress(OSError), leash:
                leash.send(str(os.waitstatus_to_exitcode(status)).encode())


def warm_up() -> None:
    """Read a file of our own once, so that readers find loaded whatever reading loads late."""
    file = io.BytesIO(wav_header(AudioFormat(Encoding.WAV, 8000), 800) + bytes(800))
    with open_media(file) as media:
        for _ in media.sound(DecodeLimits(), 16000, 2):
            continue


def main(descriptor: int, parent: int) -> int:
    """Serve one parent."""
    os.set_inheritable(descriptor, False)
    settle(parent)
    lower_priority(_NICE)
    warm_up()
    with socket.socket(fileno=descriptor) as orders:
        template = Template(orders)
        shut_in()
        gc.collect()
        gc.freeze()  # so that a collection in a reader does not copy every page
        template.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
