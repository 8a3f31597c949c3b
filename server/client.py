"""A client of a Voxline server, for the commands that talk to one: live speech in over /v1/stream, speech out over
/v1/stream/tts and POST /v1/tts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

Message = dict[str, Any]

_FRAME_S = 0.064
_RATE = 16000
_BYTES_A_SECOND = 2 * _RATE


class ServerRefused(Exception):
    """The server said no, or is not there; the message is its own, or says what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and the key that opens it ("" for none)."""

    base: str
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def stream(self, path: str) -> str:
        """A WebSocket address on this server."""
        parts = urlsplit(self.base)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path.rstrip('/')}{path}"


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the server, with when it came and how much sound had been sent by then, both in seconds."""

    message: Message
    at: float
    sent: float


async def listen(server: Server, config: Message, sound: AsyncIterator[bytes]) -> AsyncIterator[Heard]:
    """Stream sound to /v1/stream as it comes; the server's messages until the last one."""
    loop = asyncio.get_running_loop()
    sent = 0.0

    async def send(stream: ClientConnection) -> None:
        nonlocal sent
        async with aclosing(sound) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                await stream.send(piece)
                sent += len(piece) / _BYTES_A_SECOND
        await stream.send(json.dumps({"action": "stop"}))

    async with _connected(server, "/v1/stream") as stream:
        await stream.send(json.dumps(config))
        yield Heard(await _ready(stream), loop.time(), 0.0)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_unless_closed(send(stream)))
            async for line in stream:
                message = _checked(line)
                yield Heard(message, loop.time(), sent)
                if message.get("is_final"):
                    break
            sending.cancel()


async def speak_stream(server: Server, config: Message, text: str) -> AsyncIterator[bytes | Message]:
    """Have a text spoken over /v1/stream/tts: sound as bytes, everything else as messages, to the end."""
    async with _connected(server, "/v1/stream/tts") as stream:
        await stream.send(json.dumps(config))
        yield await _ready(stream)
        await stream.send(json.dumps({"text": text}))
        await stream.send(json.dumps({"action": "stop"}))
        try:
            async for line in stream:
                yield line if isinstance(line, bytes) else _checked(line)
        except ConnectionClosed as closed:
            raise ServerRefused(_reason(closed)) from None


async def speak(server: Server, text: str, voice: str, *, rate: int = _RATE) -> bytes:
    """POST /v1/tts: a text of at most 300 characters as s16le sound (E1-E9)."""
    body = {"text": text, "voiceCode": voice, "outputFormat": "pcm", "sampleRate": rate, "mode": "sync"}
    async with httpx.AsyncClient(timeout=30) as client:
        try:
            headers = {**server.headers, "App-Id": "voxline"}
            answer = await client.post(f"{server.base}/v1/tts", json=body, headers=headers)
        except httpx.HTTPError as error:
            raise ServerRefused(f"{server.base} does not answer ({type(error).__name__})") from None
    if answer.status_code != 200:
        raise ServerRefused(f"{server.base}/v1/tts: {answer.text[:300]}")
    return answer.content


async def paced(pcm: bytes, *, rate: int = _RATE) -> AsyncIterator[bytes]:
    """Sound at the pace of its own time, in pieces, as a microphone would give it."""
    loop = asyncio.get_running_loop()
    began, size = loop.time(), int(rate * _FRAME_S) * 2
    for at in range(0, len(pcm), size):
        yield pcm[at : at + size]
        due = began + (at + size) / (2 * rate)
        await asyncio.sleep(max(0.0, due - loop.time()))


@asynccontextmanager
async def _connected(server: Server, path: str) -> AsyncIterator[ClientConnection]:
    url = server.stream(path)
    try:
        async with connect(url, additional_headers=server.headers, compression=None, max_size=None) as stream:
            yield stream
    except InvalidMessage:
        raise ServerRefused(f"what answers at {server.base} is no Voxline server") from None
    except InvalidHandshake as error:
        response = getattr(error, "response", None)
        said = bytes(response.body or b"").decode(errors="replace") if response is not None else str(error)
        raise ServerRefused(_error_text(said)) from None
    except (OSError, TimeoutError) as error:
        raise ServerRefused(f"there is no server at {server.base} ({error}); start one with: voxline serve") from None


async def _ready(stream: ClientConnection) -> Message:
    try:
        return _checked(await stream.recv())
    except ConnectionClosed as closed:
        raise ServerRefused(_reason(closed)) from None


async def _unless_closed(sending: Any) -> None:
    """Send; a server that closes first has said why to the reader."""
    try:
        await sending
    except ConnectionClosed:
        return


def _checked(line: str | bytes) -> Message:
    message: Message = json.loads(line)
    if message.get("error"):
        install = message.get("install")
        raise ServerRefused(f"{message['error']}{f' (to add it: {install})' if install else ''}")
    return message


def _reason(closed: ConnectionClosed) -> str:
    frame = closed.rcvd
    return f"the server closed the stream ({frame.code} {frame.reason})" if frame else "the connection broke"


def _error_text(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:300]
