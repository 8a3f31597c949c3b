"""Somebody who is sent webhooks: a real HTTP server that behaves as its path says, and remembers what it was told."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Heard:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """Answers ``/200`` with 200, ``/302`` with a redirect and so on; ``changes`` gives a path other manners."""

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    sent: int = 0  # bytes of an endless answer
    changes: dict[str, list[str]] = field(default_factory=dict)  # path to its next manners, the last of which stays
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Where it is."""
        return f"http://{host}:{self.port}{path}"

    async def hears(self, count: int) -> None:
        """Wait until it has been sent so many requests."""
        while len(self.heard) < count:
            self.arrived.clear()
            await self.arrived.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            await self._answer(await self._read(reader), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> str:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        path = head[0].split(" ")[1]
        self.heard.append(Heard(path, headers, await reader.readexactly(int(headers.get("content-length", "0")))))
        self.arrived.set()
        return path

    async def _answer(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        manners = self.changes.get(path, [path])
        manner = manners.pop(0) if len(manners) > 1 else manners[0]
        if manner == "/never":
            await reader.read()
        elif manner == "/drip":  # a header that never ends
            writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await _pause(reader)
        elif manner == "/drip-body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await _pause(reader)
        elif manner in ("/endless", "/endless-head"):
            writer.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if manner == "/endless" else b""))
            while not reader.at_eof():
                piece = b"x" * 65536 if manner == "/endless" else b"X-More: more\r\n" * 1000
                writer.write(piece)
                await writer.drain()
                self.sent += len(piece)
        elif manner == "/reset":
            writer.transport.abort()
        elif manner == "/garbage":
            writer.write(b"\x00\xff not HTTP at all \r\n\r\n")
        else:
            status, _, wait = manner.removeprefix("/").partition("-")
            extra = f"Retry-After: {wait}\r\n" if wait else ""
            if status in ("301", "302", "307", "308"):
                extra = f"Location: {self.url('/trap')}\r\n"
            body = "a private thing the sender must not show"
            writer.write(f"HTTP/1.1 {status} Said\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()


@asynccontextmanager
async def receiving(certificate: Path | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port; with a certificate it speaks TLS."""
    receiver = Receiver()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


def make_certificate(directory: Path, name: str) -> Path:
    """A key and its own certificate for that host name, in one file."""
    made = directory / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", made, "-out", f"{made}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made


async def _pause(reader: asyncio.StreamReader) -> None:
    """A little while, or until the other side has gone."""
    try:
        async with asyncio.timeout(0.02):
            await reader.read(1)
    except TimeoutError:
        return
