"""Callers that stream speech in: each plays a recording at real-time pace and notes when it was answered."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import pairwise

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from loadtest.recordings import RATE, Recording


@dataclass(slots=True)
class Heard:
    """What one caller felt, in seconds; one entry an utterance unless said otherwise."""

    first_partial: list[float] = field(default_factory=list)  # first sound of an utterance sent -> first partial
    partial_gap: list[float] = field(default_factory=list)  # between partials of one utterance
    final: list[float] = field(default_factory=list)  # last sound of an utterance sent -> its final
    texts: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    late: float = 0.0  # how far this caller itself fell behind real time, at worst


@dataclass(slots=True)
class _Call:
    recording: Recording
    heard: Heard
    began: float = 0.0
    events: list[tuple[float, str, str]] = field(default_factory=list)  # (when, partial|final, text)
    done: bool = False


async def _play(socket: ClientConnection, call: _Call, frame_ms: int, stop_after_speech: bool) -> None:
    step = RATE * 2 * frame_ms // 1000
    pcm = call.recording.pcm
    if stop_after_speech:
        pcm = pcm[: int(call.recording.utterances[-1].end * RATE) * 2]
    call.began = time.monotonic()
    for index, at in enumerate(range(0, len(pcm), step)):
        due = call.began + (index + 1) * frame_ms / 1000
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        else:
            call.heard.late = max(call.heard.late, -wait)
        await socket.send(pcm[at : at + step])
    await socket.send(json.dumps({"action": "stop"}))


async def _hear(socket: ClientConnection, call: _Call) -> None:
    async for message in socket:
        now = time.monotonic()
        answer = json.loads(message)
        if "error" in answer:
            call.heard.errors.append(str(answer["error"]))
        if answer.get("partial"):
            call.events.append((now, "partial", answer["partial"]))
        if answer.get("text"):
            call.events.append((now, "final", answer["text"]))
        if answer.get("is_final"):
            call.done = True


def _judge(call: _Call) -> None:
    """Turn the times of the answers into what the caller felt, utterance by utterance."""
    heard = call.heard
    events = iter(call.events)
    for utterance in call.recording.utterances:
        heard.wanted.append(utterance.text)
        partials: list[float] = []
        for when, kind, text in events:
            if kind == "partial":
                partials.append(when)
                continue
            heard.texts.append(text)
            heard.final.append(when - (call.began + utterance.end))
            break
        if partials:
            heard.first_partial.append(partials[0] - (call.began + utterance.start))
            heard.partial_gap += [b - a for a, b in pairwise(partials)]
    if not call.done:
        heard.errors.append("the stream ended without is_final")


async def listen(
    url: str, key: str, recording: Recording, *, frame_ms: int = 20, config: dict[str, object] | None = None,
    stop_after_speech: bool = False,
) -> Heard:  # fmt: skip
    """Stream one recording to ``url`` and return what its caller felt; a refusal is an entry in ``errors``."""
    call = _Call(recording, Heard())
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with connect(url, additional_headers=headers, compression=None, max_queue=None) as socket:
            await socket.send(json.dumps({"language": "en", **(config or {})}))
            ready = json.loads(await socket.recv())
            if ready.get("status") != "ready":
                call.heard.errors.append(str(ready))
                return call.heard
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_hear(socket, call))
                tasks.create_task(_play(socket, call, frame_ms, stop_after_speech))
    except (OSError, WebSocketException, ExceptionGroup) as failure:
        call.heard.errors.append(_reason(failure))
    _judge(call)
    return call.heard


async def listen_bytes(
    url: str, key: str, pcm: bytes, *, bytes_a_frame: int, config: dict[str, object], frame_s: float = 0.02,
    paced: bool = True,
) -> Heard:  # fmt: skip
    """Send bytes, a frame every ``frame_s`` seconds (or as fast as they are taken), then stop and wait for the end."""
    heard = Heard()
    try:
        async with connect(url, additional_headers={"Authorization": f"Bearer {key}"}, compression=None) as socket:
            await socket.send(json.dumps({"language": "en", **config}))
            await socket.recv()
            began = time.monotonic()
            for index, at in enumerate(range(0, len(pcm), bytes_a_frame)):
                wait = began + (index + 1) * frame_s - time.monotonic() if paced else 0.0
                if wait > 0:
                    await asyncio.sleep(wait)
                else:
                    heard.late = max(heard.late, -wait)
                await socket.send(pcm[at : at + bytes_a_frame])
            await socket.send(json.dumps({"action": "stop"}))
            async for message in socket:
                answer = json.loads(message)
                if "error" in answer:
                    heard.errors.append(str(answer["error"]))
    except (OSError, WebSocketException) as failure:
        heard.errors.append(_reason(failure))
    return heard


def _reason(failure: Exception) -> str:
    if isinstance(failure, ExceptionGroup):
        return _reason(failure.exceptions[0])
    if isinstance(failure, ConnectionClosed) and failure.rcvd is not None:
        return f"closed with {failure.rcvd.code} {failure.rcvd.reason}"
    return f"{type(failure).__name__}: {failure}"


async def finalize_round_trips(url: str, key: str, *, rounds: int, frame_ms: int = 20, started: float = 0.0) -> Heard:
    """Time from an explicit ``finalize`` to its final, ``rounds`` times, while frames go on at real-time pace."""
    heard = Heard()
    loud = bytes([0, 0x20, 0, 0xE0]) * (RATE * frame_ms // 1000 // 2)
    try:
        async with connect(url, additional_headers={"Authorization": f"Bearer {key}"}, compression=None) as socket:
            await socket.send(json.dumps({"language": "en", "interim_results": False, "vad": False}))
            await socket.recv()
            await asyncio.sleep(started)
            for _ in range(rounds):
                await _one_round(socket, loud, frame_ms, heard)
            await socket.send(json.dumps({"action": "stop"}))
            async for _ in socket:
                continue
    except (OSError, WebSocketException) as failure:
        heard.errors.append(_reason(failure))
    return heard


async def _one_round(socket: ClientConnection, frame: bytes, frame_ms: int, heard: Heard) -> None:
    began = time.monotonic()
    for index in range(1000 // frame_ms):
        wait = began + (index + 1) * frame_ms / 1000 - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        else:
            heard.late = max(heard.late, -wait)
        await socket.send(frame)
    asked = time.monotonic()
    await socket.send(json.dumps({"action": "finalize"}))
    while True:
        answer = json.loads(await socket.recv())
        if answer.get("text"):
            heard.final.append(time.monotonic() - asked)
            return
        if "error" in answer:
            heard.errors.append(str(answer["error"]))
            return
