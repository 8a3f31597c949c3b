"""X8 over real connections: what is refused is answered at once, however much more the client means to send."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from accounts.store import Store
from batch.disk import Watermark
from batch.form_limits import FileCap, FormLimits
from batch.forms import read_form
from batch.uploads import Uploads
from protocol.errors import Code, VoiceError
from tests.batch.clocks import Clock

MIB = 1024 * 1024
LIMITS = FormLimits({"audio_file": FileCap(MIB)})
STATUS = {Code.BAD_REQUEST: 400, Code.TOO_LARGE: 413}
HEAD = "POST /form HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=B\r\n"
PART = b'--B\r\nContent-Disposition: form-data; name="audio_file"; filename="a.mp3"\r\n\r\n'


def left(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """A server with one form; whatever a test did, no file is left."""
    uploads = Uploads(
        tmp_path / "uploads",
        Store.__new__(Store),  # receiving asks no store
        now=Clock(),
        choice=secrets.choice,
        watermark=Watermark(0, 0, 0),
    )

    async def form(request: Request) -> Response:
        async with read_form(request.headers, request.stream(), LIMITS, uploads) as read:
            return JSONResponse({name: upload.size for name, upload in read.files.items()})

    async def refused(_request: Request, error: VoiceError) -> Response:
        return JSONResponse({"field": error.facts.get("field")}, STATUS[error.code])

    handlers: dict[Any, Any] = {VoiceError: refused}
    app = Starlette(routes=[Route("/form", form, methods=["POST"])], exception_handlers=handlers)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", http="httptools"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()
    assert not left(tmp_path)


async def answered(port: int, head: str, body: AsyncIterator[bytes]) -> tuple[int, bytes]:
    """Status and body; the client sends and reads at the same time, and stops sending when the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        try:
            writer.write(head.encode() + b"\r\n")
            async for piece in body:
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            return

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send())
        status = await reader.readline()
        headers = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in headers.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        answer = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        sending.cancel()
    writer.close()
    return int(status.split()[1]), answer


async def whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def endless(first: bytes) -> AsyncIterator[bytes]:
    """Chunks without end."""
    yield b"%x\r\n%s\r\n" % (len(first), first)
    while True:
        yield b"10000\r\n" + bytes(0x10000) + b"\r\n"
        await asyncio.sleep(0)


async def trickle() -> AsyncIterator[bytes]:
    """A client that sends nothing of what it announced."""
    await asyncio.Event().wait()
    yield b""


async def test_a_form_that_is_right(port: int) -> None:
    body = PART + bytes(MIB) + b"\r\n--B--\r\n"
    status, answer = await answered(port, f"{HEAD}Content-Length: {len(body)}\r\n", whole(body))
    assert (status, answer) == (200, b'{"audio_file":1048576}')


async def test_a_chunked_body_beyond_the_cap(port: int) -> None:
    head = HEAD + "Transfer-Encoding: chunked\r\n"
    assert await answered(port, head, endless(PART)) == (413, b'{"field":"audio_file"}')


@pytest.mark.parametrize(("length", "status"), [("50000000", 413), ("-1", 400), ("1e3", 400), ("5, 6", 400)])
async def test_a_length_that_cannot_be_is_answered_before_any_of_it_came(port: int, length: str, status: int) -> None:
    began = time.monotonic()
    assert (await answered(port, f"{HEAD}Content-Length: {length}\r\n", trickle()))[0] == status
    assert time.monotonic() - began < 5  # the client would wait for ever


async def test_a_client_that_vanishes_in_mid_file_leaves_nothing(port: int, tmp_path: Path) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{HEAD}Content-Length: {MIB}\r\n\r\n".encode() + PART + bytes(MIB // 2))
    await writer.drain()
    incoming = tmp_path / "uploads" / "incoming"
    await asyncio.to_thread(until, lambda: any(incoming.iterdir()))
    writer.transport.abort()
    await asyncio.to_thread(until, lambda: not any(incoming.iterdir()))


def until(condition: Any) -> None:
    """Wait for it; the test's own limit ends what never comes."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
