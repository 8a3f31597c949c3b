"""A network with nobody in it: servers that are started inside reach this machine's loopback and nothing else.

A thread can be moved into another network namespace, and what it starts there stays there. The kernel counts what
somebody there wanted to send to where there is no way to, so it can be told whether anybody tried.
"""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

#: What the tests tell libraries so that they stay at home; nobody sets it for a server, which must do without.
HUSH = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "ORT_DISABLE_TELEMETRY")
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP_AND_RUNNING = 0x41
_NOWHERE = ("Ip OutNoRoutes", "Udp OutDatagrams", "Ip6OutNoRoutes", "Udp6OutDatagrams")  # names are asked for by UDP


class Alone:
    """Such a network. Where the system does not allow one, ``denied`` is false and ``inside`` changes nothing."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._outside = self._here()
        self._inside = -1
        self.denied = self._libc.unshare(_CLONE_NEWNET) == 0
        if self.denied:
            try:
                self._inside = self._here()
                _switch_on_loopback()
            finally:
                self._enter(self._outside)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread opens here, and processes it starts, are in that network."""
        if not self.denied:
            yield
            return
        self._enter(self._inside)
        try:
            yield
        finally:
            self._enter(self._outside)

    def attempts(self) -> int:
        """How often somebody inside wanted to go out, or asked for the address of a name; 0 where nobody can tell."""
        if not self.denied:
            return 0
        with self.inside():
            place = Path("/proc/thread-self/net")
            lines = [line.split() for line in (place / "snmp").read_text().splitlines()]
            found = {
                f"{names[0].rstrip(':')} {name}": int(value)
                for names, values in zip(lines[::2], lines[1::2], strict=True)
                for name, value in zip(names[1:], values[1:], strict=True)
            }
            if (place / "snmp6").exists():
                pairs = (line.split() for line in (place / "snmp6").read_text().splitlines())
                found |= {pair[0]: int(pair[1]) for pair in pairs}
            return sum(found.get(name, 0) for name in _NOWHERE)

    def transport(self) -> httpx.BaseTransport:
        """For a client that is to reach servers inside."""
        return _Inside(self)

    def close(self) -> None:
        """Leave the network to those who are still in it."""
        os.close(self._outside)
        if self.denied:
            os.close(self._inside)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _here(self) -> int:
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _enter(self, place: int) -> None:
        if self._libc.setns(place, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "this thread cannot go back to its network")


class _Inside(httpx.BaseTransport):
    def __init__(self, alone: Alone) -> None:
        self._alone = alone
        self._own = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._alone.inside():
            return self._own.handle_request(request)

    def close(self) -> None:
        self._own.close()


def _switch_on_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_AND_RUNNING))
