"""Thousands of connections that say hello and then nothing: what each costs in memory, and all of them in CPU."""

import asyncio
import base64
import json
import os
import struct
import time
from functools import partial

from loadtest.subject import Subject

AT_ONCE = 200
SETTLES_S = 12  # by then the deadline for a first message, which each of them has met, is off everybody's list


def _masked(payload: bytes, opcode: int) -> bytes:
    """A client's WebSocket frame (RFC 6455 section 5.2) of at most 125 bytes, masked with zeros."""
    return struct.pack("!BB4x", 0x80 | opcode, 0x80 | len(payload)) + payload


def _frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The opcode and payload of a server's frame of less than 64 KiB, and what follows it; None until it is whole."""
    if len(data) < 2:
        return None
    start, size = 2, data[1] & 0x7F
    if size == 126:
        start, size = 4, int.from_bytes(data[2:4], "big")
    return None if len(data) < start + size else (data[0] & 15, data[start : start + size], data[start + size :])


class _Idler(asyncio.Protocol):
    """The thinnest client there is: handshake, configuration, then only pongs."""

    def __init__(self, request: bytes, config: bytes, ready: asyncio.Event) -> None:
        self.request, self.config, self.ready = request, config, ready
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.open = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.buffer += data
        if not self.open:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.transport.close()
                return
            self.open, self.buffer = True, rest
            self.transport.write(_masked(self.config, 1))
        while (frame := _frame(self.buffer)) is not None:
            opcode, payload, self.buffer = frame
            if opcode == 9:
                self.transport.write(_masked(payload, 10))
            self.ready.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.ready.set()


def _same(idler: _Idler) -> _Idler:
    return idler


async def _open(count: int, subject: Subject, source: int) -> list[_Idler]:
    loop = asyncio.get_running_loop()
    request = (
        f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{subject.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {subject.key}\r\n\r\n"
    ).encode()
    config = json.dumps({"language": "en"}).encode()
    idlers: list[_Idler] = []
    for at in range(0, count, AT_ONCE):
        batch = []
        for _ in range(min(AT_ONCE, count - at)):
            ready = asyncio.Event()
            idler = _Idler(request, config, ready)
            await loop.create_connection(
                partial(_same, idler), "127.0.0.1", subject.port, local_addr=(f"127.0.0.{source}", 0)
            )
            batch.append(idler)
        await asyncio.wait_for(asyncio.gather(*(idler.ready.wait() for idler in batch)), 60)
        idlers += batch
    return idlers


async def idle(subject: Subject, count: int, seconds: float) -> dict[str, float]:
    """Open ``count`` connections, wait ``seconds`` and return KiB each, CPU share in percent and how many were lost."""
    warm = await _open(200, subject, 2)
    before = subject.rss()
    idlers = await _open(count, subject, 3)
    after = subject.rss()
    await asyncio.sleep(SETTLES_S)
    cpu, at = subject.web_cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    share = (subject.web_cpu() - cpu) / (time.monotonic() - at) * 100
    lost = sum(idler.lost for idler in idlers)
    for idler in warm + idlers:
        if idler.transport is not None:
            idler.transport.abort()
    return {"each_kib": (after - before) / 1024 / count, "cpu_pct": share, "lost": float(lost)}
