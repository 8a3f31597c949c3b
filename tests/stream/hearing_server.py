"""A guarded server with ``/v1/stream`` over scripted engines that run inside the test, and clients for it.

What the engines say is a function of the audio alone: a window is speech when it is loud, and an utterance's text is
its length in samples and a checksum, so two sessions say the same exactly when they heard the same.
"""


import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import numpy as np
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engines.base import Capabilities, Task
from engines.fleet import Fleet
from engines.load import Fading
from engines.scheduler import Scheduler, Seat
from engines.vad.batch import VadBatcher
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode, Hypothesis, Priority
from protocol.session import LIMITS, Limits
from stream.admission import Admission, Caller, identify
from stream.admission import Limits as Slots
from stream.billing import Lines, settling
from stream.listen import Listening
from stream.meter import Meter
from stream.socket import Receive, Scope, Send, Socket
from tests.server.serving import Served, lifespan, serving
from tests.stream.tabs import Purse

KEYS = {"ann-key": Caller("ann", user_id=1), "bob-key": Caller("bob", user_id=2)}
KEYS["cyd-key"] = Caller("cyd", user_id=3, sessions=2)
GENEROUS = Slots(sessions=0, sessions_per_key=0, sessions_per_address=0, anonymous_per_day=0, anonymous_at_once=0)


@dataclass(frozen=True, slots=True)
class Load:
    queue_delay: float = 0.01
    realtime_factor: float = 0.1
    utilisation: float = 0.2


@dataclass(slots=True)
class Recogniser:
    """Stands where a Scheduler stands."""

    capabilities: Capabilities
    delay: Callable[[Decode], float] = lambda _: 0.0
    error: Callable[[Decode], Exception | None] = lambda _: None
    busy: bool = False
    asked: list[tuple[Decode, Priority]] = field(default_factory=list)
    cancelled: int = 0
    gate: asyncio.Event | None = None  # finals wait for it

    seats: Fading = field(default_factory=lambda: Fading(10.0))

    def admit(self) -> Seat:
        if self.busy:
            raise VoiceError(Code.BUSY, "Too much to recognise.", retry_after=3)
        return Seat(cast(Scheduler, self), self.seats, lambda: 0.0)

    def load(self) -> Load:
        return Load()

    async def recognize(self, decode: Decode, *, priority: Priority, session: str, supersede: bool) -> Hypothesis:
        self.asked.append((decode, priority))
        try:
            await asyncio.sleep(self.delay(decode))
            if self.gate is not None and decode.final:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        error = self.error(decode)
        if error is not None:
            raise error
        return heard(decode)


def heard(decode: Decode) -> Hypothesis:
    """What the scripted recogniser understands."""
    if not decode.final:
        return Hypothesis(" ".join(f"w{n}" for n in range(len(decode.pcm) // 8000)), language="en")
    text = f"u{len(decode.pcm) // 2}x{zlib.crc32(decode.pcm):08x}"
    words = (Word(text, 0.0, len(decode.pcm) / 32000),) if decode.word_timestamps else ()
    return Hypothesis(text, words, language="en", language_probability=1.0)


async def loudness(windows: bytes, state: bytes) -> tuple[bytes, bytes]:
    """A detector for which loud is speech; it remembers nothing."""
    samples = np.frombuffer(windows, np.float32).reshape(-1, 576)[:, 64:]
    loud = np.sqrt((samples**2).mean(axis=1)) > 0.02
    return np.where(loud, 0.95, 0.02).astype(np.float32).tobytes(), state


@dataclass(slots=True)
class ScriptedFleet:
    """Stands where a Fleet stands."""

    recogniser: Recogniser
    detector: VadBatcher

    def recognizer(self, language: str, model: str) -> Recogniser:
        if language not in ("auto", *self.recogniser.capabilities.languages):
            raise VoiceError(Code.NOT_INSTALLED, f"Nothing here knows {language}.", install="voxline models pull small")
        if model not in ("auto", self.recogniser.capabilities.model):
            raise VoiceError(Code.NOT_FOUND, f"There is no model {model}.")
        return self.recogniser


@dataclass(slots=True)
class House:
    """The server under test, and its parts."""

    served: Served
    listening: Listening
    admission: Admission
    meter: Meter
    recogniser: Recogniser
    batcher: VadBatcher

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.served.port}/v1/stream"

    def value(self, name: str, **labels: str) -> float:
        return self.meter.registry.get_sample_value(f"voxline_{name}", labels) or 0.0


@asynccontextmanager
async def house(
    *,
    slots: Slots = GENEROUS,
    limits: Limits = LIMITS,
    anonymous: bool = True,
    send_deadline_s: float = 10.0,
    partial_interval_s: float = 0.2,
    drain_s: float = 20.0,
    recogniser: Recogniser | None = None,
    fleet: Fleet | None = None,
    purse: Purse | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """A server on a free port until the block ends; ``fleet`` takes the place of the engines inside the test."""
    loop = asyncio.get_running_loop()
    capabilities = Capabilities("scripted", Task.RECOGNIZE, "small", ("en", "vi"), word_timestamps=True)
    chosen = recogniser or Recogniser(capabilities)
    batcher = VadBatcher(loudness, now=loop.time)
    admission, meter = Admission(slots, now=loop.time), Meter(CollectorRegistry())
    ids, lines = count(), Lines(purse or Purse(), now=loop.time, idle_s=0)
    listening = Listening(
        fleet or cast(Fleet, ScriptedFleet(chosen, batcher)), admission, meter, lines, now=loop.time,
        new_id=lambda: f"s{next(ids)}", limits=limits, partial_interval_s=partial_interval_s,
    )  # fmt: skip

    async def authenticate(key: str) -> Caller | None:
        return KEYS.get(key)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        socket = Socket(scope, receive, send, send_deadline_s=send_deadline_s)
        try:
            caller = await identify(socket, authenticate, anonymous=anonymous)
        except VoiceError as error:
            await listening.refuse(socket, error)
            return
        await listening.serve(socket, caller)

    async def drain() -> None:
        await listening.drain(drain_s, 1.0)

    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(batcher.run())
        given = {"connections_per_address": 0, **settings}
        failure: Exception | None = None
        async with settling(lines), serving(app, drain=drain, **given) as served:
            try:
                yield House(served, listening, admission, meter, chosen, batcher)
            except Exception as error:  # noqa: BLE001  (the server is to end in order when a test fails)
                failure = error
        run.cancel()
    if failure is not None:
        raise failure


# -- clients -----------------------------------------------------------------------------------------

Messages = list[dict[str, Any]]


@asynccontextmanager
async def client(
    house: House, *, query: str = "", config: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[ClientConnection]:
    """A connection; with ``config``, one that is ready."""
    async with connect(house.url + query, compression=None, open_timeout=5, close_timeout=2, **options) as socket:
        if config is not None:
            await socket.send(json.dumps(config))
            assert (await message(socket))["status"] == "ready"
        yield socket


async def message(socket: ClientConnection, within: float = 10.0) -> dict[str, Any]:
    """The next message."""
    async with asyncio.timeout(within):
        parsed = json.loads(await socket.recv())
        assert isinstance(parsed, dict)
        return parsed


async def ending(socket: ClientConnection, within: float = 20.0) -> tuple[Messages, int, str]:
    """All messages to the end, and the close code and reason."""
    messages: Messages = []
    try:
        while True:
            messages.append(await message(socket, within))
    except ConnectionClosed as closed:
        frame = closed.rcvd
        return messages, frame.code if frame else 1006, frame.reason if frame else ""


async def stop(socket: ClientConnection) -> tuple[Messages, int, str]:
    """Say stop, and take what is left."""
    await socket.send(json.dumps({"action": "stop"}))
    return await ending(socket)


def finals(messages: Messages) -> list[str]:
    """The texts that are final."""
    return [found["text"] for found in messages if found.get("text")]


def speech(seconds: float, rate: int = 16000, seed: int = 1) -> bytes:
    """Something loud."""
    noise = np.random.default_rng(seed).normal(0, 6000, round(seconds * rate))
    return noise.clip(-30000, 30000).astype("<i2").tobytes()


def silence(seconds: float, rate: int = 16000) -> bytes:
    """Nothing at all."""
    return bytes(2 * round(seconds * rate))


