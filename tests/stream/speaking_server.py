"""A guarded server with ``/v1/stream/tts`` and ``/v1/tts`` over a scripted voice inside the test, and clients for it.

The voice holds one level for every code point, 20 ms long, so two clients were told the same exactly when the bytes
they got are the same, and a test can read off which characters were spoken.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import numpy as np
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engines.base import Capabilities, Task
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from engines.registry import EngineSpec
from engines.speech import SpeechStream
from protocol.errors import VoiceError
from protocol.requests import Priority, Speak, SpeechChunk, SpokenWord
from protocol.session import LIMITS, Limits
from protocol.speaker import LIMITS as SPEAKER_LIMITS
from protocol.speaker import SpeakerLimits
from stream.admission import Admission, Caller, identify
from stream.admission import Limits as Slots
from stream.billing import Lines, settling
from stream.meter import Meter
from stream.realtime import CallLimits, Realtime
from stream.socket import Receive, Scope, Send, Socket
from stream.speak import Speaking
from tests.server.serving import Served, lifespan, serving
from tests.stream.tabs import Purse

KEYS = {"ann-key": Caller("ann", user_id=1), "bob-key": Caller("bob", user_id=2)}
GENEROUS = Slots(sessions=500, sessions_per_key=500, sessions_per_address=500, anonymous_per_day=0, anonymous_at_once=0)
RATE = 22050
LETTER = 441  # samples, 20 ms
ESPEAK = EngineSpec("espeak-ng", Task.SYNTHESIZE, "engines.tts.espeak:factory")


def levels(text: str) -> bytes:
    """What the scripted voice says for a text."""
    return b"".join(_level(character).to_bytes(2, "little", signed=True) * LETTER for character in text)


def _level(character: str) -> int:
    return 500 + ord(character) % 31_000


def read(pcm: bytes | bytearray, text: str) -> str:
    """The characters of ``text`` that a recording of the scripted voice holds, in order; silence left out."""
    names = {_level(character): character for character in text}
    samples = np.frombuffer(pcm, "<i2")
    return "".join(names[int(sample)] for sample in samples[LETTER // 2 :: LETTER] if sample)


@dataclass(slots=True)
class Voice:
    """Stands where a Fleet stands, and its synthesiser."""

    asked: list[tuple[Speak, Priority]] = field(default_factory=list)
    streams: list[SpeechStream] = field(default_factory=list)
    cancelled: int = 0
    error: Callable[[Speak], VoiceError | None] = lambda _: None
    error_after: int = 0  # letters that still come before the error
    gate: asyncio.Event | None = None  # nothing is said before it is set
    installed: bool = True

    @property
    def capabilities(self) -> list[Capabilities]:
        return [Capabilities("espeak-ng", Task.SYNTHESIZE, word_timestamps=True, rate=RATE)] if self.installed else []

    def speak(self, request: Speak, *, engine: str, priority: Priority) -> SpeechStream:
        self.asked.append((request, priority))
        stream = SpeechStream(request)
        self.streams.append(stream)
        stream.cancel = self._cancelled
        if self.gate is None or self.gate.is_set():
            self._say(stream)
        return stream

    def resume(self) -> None:
        """Say what was held back by the gate."""
        assert self.gate is not None
        self.gate.set()
        for stream in self.streams:
            if not stream.ended:
                self._say(stream)

    def _say(self, stream: SpeechStream) -> None:
        text, error = stream.request.text, self.error(stream.request)
        said = text if error is None else text[: self.error_after]
        offset = 0
        for word in said.split(" "):
            piece = said[offset : offset + len(word) + 1]
            place = (SpokenWord(offset, len(word), offset * 0.02),) if word else ()
            if piece:
                stream.add(SpeechChunk(levels(piece), RATE, place))
            offset += len(piece)
        if error is None:
            stream.end()
        else:
            stream.fail(error)

    def _cancelled(self) -> None:
        self.cancelled += 1


@dataclass(slots=True)
class House:
    """The server under test, and its parts."""

    served: Served
    speaking: Speaking
    admission: Admission
    calls: Admission
    meter: Meter
    voice: Voice
    fleet: Fleet | None = None  # where the engines are real

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.served.port}/v1/stream/tts"

    def value(self, name: str, **labels: str) -> float:
        return self.meter.registry.get_sample_value(f"voxline_{name}", labels) or 0.0


@asynccontextmanager
async def house(
    *,
    slots: Slots = GENEROUS,
    calls: Slots = GENEROUS,
    limits: Limits = LIMITS,
    speaker_limits: SpeakerLimits = SPEAKER_LIMITS,
    call_limits: CallLimits | None = None,
    send_deadline_s: float = 10.0,
    drain_s: float = 20.0,
    voice: Voice | None = None,
    specs: Sequence[EngineSpec] = (),
    purse: Purse | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """A server on a free port until the block ends; with ``specs``, over those engines in processes of their own."""
    now = asyncio.get_running_loop().time
    scripted = voice or Voice()
    real = Fleet(specs, now=now)
    fleet = real if specs else cast(Fleet, scripted)
    admission, call_slots, meter = Admission(slots, now=now), Admission(calls, now=now), Meter(CollectorRegistry())
    ids, lines = count(), Lines(purse or Purse(), now=now, idle_s=0)
    speaking = Speaking(
        fleet, Catalogue.load(), admission, meter, lines, now=now, new_id=lambda: f"s{next(ids)}", limits=limits,
        speaker_limits=speaker_limits,
    )  # fmt: skip

    async def authenticate(key: str) -> Caller | None:
        return KEYS.get(key)

    realtime = Realtime(
        fleet, Catalogue.load(), call_slots, meter, authenticate, lines, now=now, limits=call_limits or CallLimits()
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            await realtime(scope, receive, send)
        else:
            socket = Socket(scope, receive, send, send_deadline_s=send_deadline_s)
            try:
                caller = await identify(socket, authenticate, anonymous=True)
            except VoiceError as error:
                await speaking.refuse(socket, error)
                return
            await speaking.serve(socket, caller)

    async def drain() -> None:
        await speaking.drain(drain_s, 1.0)

    if specs:
        await real.start()
    try:
        given = {"connections_per_address": 0, **settings}
        failure: Exception | None = None
        async with settling(lines), serving(app, drain=drain, **given) as served:
            try:
                yield House(served, speaking, admission, call_slots, meter, scripted, real if specs else None)
            except Exception as error:  # noqa: BLE001 (the server is stopped in order before a failed test is told)
                failure = error
        if failure is not None:
            raise failure
    finally:
        if specs:
            await real.aclose()


# -- clients -----------------------------------------------------------------------------------------

Messages = list[dict[str, Any]]


@dataclass(slots=True)
class Heard:
    """What a client got: sound, messages, and for each message how many bytes of sound came before it."""

    pcm: bytearray = field(default_factory=bytearray)
    frames: list[int] = field(default_factory=list)
    messages: Messages = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    close: tuple[int, str] = (0, "")

    def add(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self.pcm += data
            self.frames.append(len(data))
        else:
            self.messages.append(json.loads(data))
            self.places.append(len(self.pcm))

    def events(self, name: str) -> Messages:
        return [message for message in self.messages if message.get("event") == name]


@asynccontextmanager
async def client(house: House, config: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[ClientConnection]:
    """A connection; with ``config``, one that is ready."""
    async with connect(house.url, compression=None, open_timeout=5, close_timeout=2, **options) as socket:
        if config is not None:
            await send(socket, config)
            async with asyncio.timeout(10):
                assert json.loads(await socket.recv())["status"] == "ready"
        yield socket


async def send(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))


async def hear(
    socket: ClientConnection, until: Callable[[dict[str, Any]], bool] = lambda _: False, within: float = 20.0
) -> Heard:
    """Everything up to a message that is waited for, or to the end."""
    heard = Heard()
    try:
        async with asyncio.timeout(within):
            async for data in socket:
                heard.add(data)
                if isinstance(data, str) and until(heard.messages[-1]):
                    return heard
    except ConnectionClosed:
        pass
    heard.close = (socket.close_code or 1006, socket.close_reason or "")
    return heard


def event(name: str) -> Callable[[dict[str, Any]], bool]:
    """A message with that event."""
    return lambda message: message.get("event") == name
