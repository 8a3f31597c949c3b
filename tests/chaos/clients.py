"""Clients of a server, good and bad: a stream of speech with its transcript, a stage to vanish from, raw frames."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from protocol.audio import mulaw_encode
from tests.engines_scripted import silence, tone

STAGES = ("connected", "hearing", "speaking")
LONG_TEXT = "The quick brown fox jumps over the lazy dog, and then it rests for a while in the warm sun. " * 20
PATIENCE_S = 30.0

# Three utterances, of 4, 3 and 5 words to the scripted recogniser.
SPEECH = silence(0.4) + tone(1.2) + silence(1.0) + tone(0.9, 300.0) + silence(1.0) + tone(1.5, 600.0) + silence(0.4)
CALL = mulaw_encode(b"".join(SPEECH[at : at + 2] for at in range(0, len(SPEECH), 4)))  # at 8 kHz, 8 KB/s
CALL_CONFIG = {"language": "en", "encoding": "mulaw", "interim_results": False, "word_timestamps": True}


@dataclass(slots=True)
class Heard:
    """What a client of a stream got."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    sound: bytes = b""
    code: int = 1006

    @property
    def finals(self) -> list[dict[str, Any]]:
        """The transcript, times and words included."""
        return [
            {name: value for name, value in message.items() if name != "is_final"}
            for message in self.messages
            if message.get("text")
        ]

    @property
    def complete(self) -> bool:
        """The server said that this is all."""
        return any(message.get("is_final") for message in self.messages)

    @property
    def error(self) -> str:
        """The code of the error that ended it, or ""."""
        return next((m["code"] for m in self.messages if "error" in m and m.get("fatal")), "")

    def add(self, data: str | bytes) -> None:
        """One message more."""
        if isinstance(data, bytes):
            self.sound += data
        else:
            self.messages.append(json.loads(data))


def opening(url: str, **options: Any) -> connect:
    """A connection to a server, without compression or pings of its own."""
    return connect(url, compression=None, ping_interval=None, open_timeout=PATIENCE_S, close_timeout=5, **options)


async def configured(url: str, config: dict[str, Any], **options: Any) -> ClientConnection:
    """A stream whose server is ready."""
    stream = await opening(url, **options)
    await stream.send(json.dumps(config))
    async with asyncio.timeout(PATIENCE_S):
        ready = json.loads(await stream.recv())
    assert ready.get("status") == "ready", ready
    return stream


async def rest(stream: ClientConnection, heard: Heard | None = None, within: float = PATIENCE_S) -> Heard:
    """Everything to the end, however it comes."""
    heard = heard or Heard()
    async with asyncio.timeout(within):
        with suppress(ConnectionClosed):
            while True:
                heard.add(await stream.recv())
    heard.code = stream.close_code or 1006
    return heard


def pieces(sound: bytes, size: int) -> Iterator[bytes]:
    """Cut."""
    return (sound[at : at + size] for at in range(0, len(sound), size))


async def play(stream: ClientConnection, sound: bytes, *, size: int = 640, pace_s: float = 0.0) -> None:
    """Send sound in pieces, one each ``pace_s`` seconds, and say stop; a connection that ends is no error."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    with suppress(ConnectionClosed):
        for piece in pieces(sound, size):
            await stream.send(piece)
            due += pace_s
            await asyncio.sleep(max(0.0, due - loop.time()))
        await stream.send('{"action": "stop"}')


async def transcript(url: str, sound: bytes = CALL, config: dict[str, Any] | None = None, **playing: Any) -> Heard:
    """A whole session."""
    stream = await configured(url, CALL_CONFIG if config is None else config)
    async with asyncio.TaskGroup() as group:
        group.create_task(play(stream, sound, **playing))
        heard = await rest(stream, within=60)
    return heard


async def spoken(url: str, text: str, config: dict[str, Any] | None = None) -> Heard:
    """A whole session of speech out."""
    stream = await configured(url, {"pace": False} if config is None else config)
    await stream.send(json.dumps({"text": text}))
    await stream.send('{"action": "stop"}')
    return await rest(stream, within=60)


async def on_stage(ws: str, stage: str, **options: Any) -> ClientConnection:
    """A session in the middle of something: connected and silent, being heard, or being spoken to."""
    if stage == "connected":
        return await opening(f"{ws}/v1/stream", **options)
    if stage == "hearing":
        stream = await configured(f"{ws}/v1/stream", {"events": True, "interim_results": False}, **options)
        for piece in pieces(tone(1.0), 3200):  # enough of them to be one who talks
            await stream.send(piece)
        async with asyncio.timeout(PATIENCE_S):
            while "event" not in json.loads(await stream.recv()):
                pass
        return stream
    stream = await configured(f"{ws}/v1/stream/tts", {}, **options)
    await stream.send(json.dumps({"text": LONG_TEXT}))
    async with asyncio.timeout(PATIENCE_S):
        while not isinstance(await stream.recv(), bytes):
            pass
    return stream


async def go_on(stream: ClientConnection, stage: str) -> None:
    """What such a client does for the rest of its life."""
    frame_s = 0.1
    with suppress(ConnectionClosed):
        while stage == "hearing":
            await stream.send(tone(frame_s))
            await asyncio.sleep(frame_s)
        while True:
            await stream.recv()


async def probe(url: str, count: int) -> list[float]:
    """How long an innocent client waits for the text of 0.3 s of speech after it ended the utterance, in seconds."""
    loop = asyncio.get_running_loop()
    stream = await configured(url, {"interim_results": False, "vad": False})
    waits: list[float] = []
    for _ in range(count):
        await stream.send(tone(0.3))
        began = loop.time()
        await stream.send('{"action": "finalize"}')
        async with asyncio.timeout(PATIENCE_S):
            while json.loads(await stream.recv()).get("text") != "alpha":
                pass
        waits.append(loop.time() - began)
    await stream.close()
    return waits


# -- raw connections -----------------------------------------------------------------------------------

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True, length: int = -1
) -> bytes:
    """A WebSocket frame (RFC 6455, 5.2), right or wrong: ``length`` is what its head claims."""
    claimed = len(payload) if length < 0 else length
    mark = 0x80 if masked else 0
    head = bytes([fin << 7 | reserved << 4 | opcode])
    if claimed < 126:
        head += bytes([mark | claimed])
    elif claimed < 65536:
        head += struct.pack("!BH", mark | 126, claimed)
    else:
        head += struct.pack("!BQ", mark | 127, claimed)
    mask = b"\x37\xfa\x21\x3d"
    if not masked:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@dataclass(slots=True)
class Raw:
    """A connection past its handshake, frame by frame."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answer: bytes  # to the handshake

    async def send(self, data: bytes) -> None:
        """Bytes as they are; a connection that has ended takes them too."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readexactly(2)
            length = head[1] & 127
            if length >= 126:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
            return head[0] & 15, await self.reader.readexactly(length)

    async def until(self, opcode: int) -> bytes | None:
        """The payload of the next frame of a kind; None when the connection just ended."""
        try:
            while True:
                kind, payload = await self.receive()
                if kind == opcode:
                    return payload
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def ready(self) -> None:
        """Configure it with nothing."""
        await self.send(frame(TEXT, b"{}"))
        assert b"ready" in (await self.until(TEXT) or b"")

    async def close_code(self) -> int:
        """What the server's close frame says; 1005 for nothing, 1006 for none."""
        try:
            while True:
                kind, payload = await self.receive()
                if kind == CLOSE:
                    return int.from_bytes(payload[:2], "big") if payload else 1005
        except (asyncio.IncompleteReadError, ConnectionError):
            return 1006


@asynccontextmanager
async def raw(host: str, port: int, path: str, *, headers: str = "", receive_buffer: int = 0) -> AsyncIterator[Raw]:
    """An upgraded connection, aborted at the end."""
    own = socket.socket()
    if receive_buffer:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    own.setblocking(False)
    await asyncio.get_running_loop().sock_connect(own, (host, port))
    limit = receive_buffer or 65536
    reader, writer = await asyncio.open_connection(sock=own, limit=limit)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.readuntil(b"\r\n\r\n")
        yield Raw(reader, writer, answer)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def reset(stream: ClientConnection) -> None:
    """End the connection with RST."""
    own = stream.transport.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.transport.abort()

