"""A plain `websockets` client of `/v1/stream/tts` that keeps the sound and all that came beside it."""

import asyncio
import io
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.acceptance.listening import bearer

DEADLINE_S = 60.0
Message = dict[str, Any]


@dataclass(slots=True)
class Said:
    """What one session sent."""

    ready: Message = field(default_factory=dict)
    sound: bytearray = field(default_factory=bytearray)
    messages: list[tuple[int, Message]] = field(default_factory=list)  # bytes of sound received before it, message
    arrived: list[tuple[float, int]] = field(default_factory=list)  # when a piece of sound came, bytes until then
    code: int | None = None

    def of(self, name: str) -> list[Message]:
        """All messages that have this key, or this ``event``."""
        return [one for _, one in self.messages if name in one or one.get("event") == name]

    @property
    def spoken(self) -> str:
        """What was said, all utterances together."""
        return " ".join(one["spoken"] for one in self.of("done"))

    def check(self) -> "Said":
        """The promises that hold for every session that ends in order."""
        assert self.ready["status"] == "ready"
        assert not self.of("error"), self.of("error")
        assert self.messages[-1][1] == {"is_final": True} and len(self.of("is_final")) == 1
        assert self.code == 1000
        return self


class Talk:
    """An open session of speech out."""

    def __init__(self, socket: ClientConnection, said: Said) -> None:
        self._socket = socket
        self.said = said

    async def send(self, *messages: Mapping[str, object]) -> None:
        """Say something to the server."""
        for message in messages:
            await self._socket.send(json.dumps(dict(message)))

    async def step(self) -> Message | bytes:
        """The next message; kept in ``said`` as well. ConnectionClosed when the server has closed."""
        data = await self._socket.recv()
        if isinstance(data, bytes):
            self.said.sound += data
            self.said.arrived.append((time.monotonic(), len(self.said.sound)))
            return data
        message: Message = json.loads(data)
        self.said.messages.append((len(self.said.sound), message))
        return message

    async def until_sound(self, size: int = 1) -> None:
        """Wait until so many bytes of sound have come."""
        while len(self.said.sound) < size:
            await self.step()

    async def until(self, name: str) -> Message:
        """Wait for a message with this key or ``event``."""
        while True:
            message = await self.step()
            if isinstance(message, dict) and (name in message or message.get("event") == name):
                return message

    async def end(self) -> Said:
        """Say stop, and take all that still comes."""
        await self.send({"action": "stop"})
        try:
            while True:
                await self.step()
        except ConnectionClosed as closed:
            self.said.code = closed.rcvd.code if closed.rcvd is not None else None
        return self.said


class Talking:
    """``async with Talking(address, key, config) as talk``: connected and configured, under a deadline."""

    def __init__(self, address: str, key: str, config: Mapping[str, object]) -> None:
        self._connection = connect(
            f"{address}/v1/stream/tts", additional_headers=bearer(key), compression=None, max_queue=None
        )
        self._config = config
        self._timeout = asyncio.timeout(DEADLINE_S)

    async def __aenter__(self) -> Talk:
        await self._timeout.__aenter__()
        socket = await self._connection.__aenter__()
        await socket.send(json.dumps(dict(self._config)))
        return Talk(socket, Said(ready=json.loads(await socket.recv())))

    async def __aexit__(self, *error: Any) -> None:
        await self._connection.__aexit__(*error)
        await self._timeout.__aexit__(*error)


async def say(address: str, key: str, deltas: Iterable[str], config: Mapping[str, object]) -> Said:
    """Send the text in these pieces, flush, stop, and return all that came."""
    async with Talking(address, key, config) as talk:
        async with asyncio.TaskGroup() as tasks:
            # Read while writing: sound comes before the text is complete.
            writing = tasks.create_task(talk.send(*({"text": delta} for delta in deltas), {"action": "flush"}))
            await talk.until("done")
            await writing
        return await talk.end()


@dataclass(frozen=True, slots=True)
class Media:
    """A decoded file."""

    codec: str
    rate: int
    bitrate: int | None  # bits a second, as the container or codec says
    sound: NDArray[np.float64]  # full scale 1.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.sound) / self.rate

    @property
    def loudness(self) -> float:
        """Root mean square."""
        return float(np.sqrt(np.mean(self.sound**2)))


def decoded(data: bytes) -> Media:
    """A file as any player sees it, by PyAV; a chain of Ogg streams is read to its end."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("s16", "mono", stream.rate)
        frames: list[AudioFrame] = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
        pcm = b"".join(bytes(memoryview(frame.planes[0])[: 2 * frame.samples]) for frame in frames)
        sound = np.frombuffer(pcm, "<i2") / 32768
        return Media(stream.codec_context.name, int(stream.rate), stream.bit_rate, sound)
