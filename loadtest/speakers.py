"""Callers that have text spoken: over `/v1/stream/tts`, and by the synchronous `POST /v1/tts`."""

import asyncio
import json
import time
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

TEXT = (
    "The quick brown fox jumps over the lazy dog near the river bank, and then it runs home. "
    "Nobody saw where it went, but the farmer heard a noise. In the morning, there were small tracks "
    "across the fresh snow, leading from the old barn to the edge of the dark forest beyond the northern hill side."
)[:300]
VOICE = "hn_female_ngochuyen_full_48k-fhg"
BYTES_PER_SECOND = 2 * 16000


@dataclass(slots=True)
class Spoken:
    """What callers felt: seconds, and bytes of sound received."""

    first_audio: list[float] = field(default_factory=list)  # text sent -> first sound
    whole: list[float] = field(default_factory=list)  # request sent -> last byte
    underrun: list[float] = field(default_factory=list)  # silence a player would have heard, per caller
    frames: int = 0
    audio_s: float = 0.0
    errors: list[str] = field(default_factory=list)
    late: float = 0.0  # how late it began


async def speak(url: str, key: str, *, text: str = TEXT, turns: int = 1, pace: bool = True) -> Spoken:
    """Have ``text`` spoken ``turns`` times over one stream, playing the sound as it comes."""
    spoken = Spoken()
    config = {"language": "en", "format": "pcm_s16le", "sample_rate": 16000, "pace": pace}
    try:
        async with connect(url, additional_headers={"Authorization": f"Bearer {key}"}, compression=None) as socket:
            await socket.send(json.dumps(config))
            await socket.recv()
            for _ in range(turns):
                await _turn(socket, text, spoken)
            await socket.send(json.dumps({"action": "stop"}))
            async for _ in socket:
                continue
    except (OSError, WebSocketException) as failure:
        spoken.errors.append(f"{type(failure).__name__}: {failure}")
    return spoken


async def _turn(socket: ClientConnection, text: str, spoken: Spoken) -> None:
    asked = time.monotonic()
    await socket.send(json.dumps({"text": text}))
    await socket.send(json.dumps({"action": "flush"}))
    began = 0.0
    played = underrun = 0.0
    async for message in socket:
        now = time.monotonic()
        if isinstance(message, bytes):
            if not began:
                began = now
                spoken.first_audio.append(now - asked)
            underrun += max(0.0, now - (began + underrun + played))
            played += len(message) / BYTES_PER_SECOND
            spoken.frames += 1
            continue
        answer = json.loads(message)
        if "error" in answer:
            spoken.errors.append(str(answer["error"]))
            return
        if answer.get("event") == "done":
            break
    spoken.whole.append(time.monotonic() - asked)
    spoken.underrun.append(underrun)
    spoken.audio_s += played


async def call(port: int, key: str, *, rounds: int, output: str = "wav", text: str = TEXT) -> Spoken:
    """``rounds`` synchronous calls one after another over one kept connection.

    Plain HTTP/1.1 on a socket: a client library takes longer to read the answer than the server to make it.
    """
    spoken = Spoken()
    body = json.dumps({"text": text, "mode": "sync", "voiceCode": VOICE, "outputFormat": output, "sampleRate": 22050})
    head = f"POST /v1/tts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\nApp-Id: loadtest\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(rounds):
            asked = time.monotonic()
            writer.write(head.encode() + body.encode())
            await _answer(reader, asked, spoken)
    except (OSError, asyncio.IncompleteReadError) as failure:
        spoken.errors.append(f"{type(failure).__name__}: {failure}")
    finally:
        writer.close()
    return spoken


async def _answer(reader: asyncio.StreamReader, asked: float, spoken: Spoken) -> None:
    """Read a chunked answer (RFC 9112 section 7.1), noting when its first and its last piece of sound came."""
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in answer.split(b"\r\n")[0] or b"chunked" not in answer:
        spoken.errors.append(answer.decode("latin-1").split("\r\n")[0])
        await reader.read(65536)
        return
    first = True
    while size := int(await reader.readline(), 16):
        if first and size > 44:  # more than the header of a WAV file
            spoken.first_audio.append(time.monotonic() - asked)
            first = False
        await reader.readexactly(size + 2)
    await reader.readexactly(2)
    spoken.whole.append(time.monotonic() - asked)


async def calls(port: int, key: str, *, callers: int, rounds: int, output: str = "wav") -> Spoken:
    """Bursts of several callers at once, each with its own connection, ``rounds`` of them."""
    bursts = []
    for _ in range(rounds):
        bursts += await asyncio.gather(*(call(port, key, rounds=1, output=output) for _ in range(callers)))
    return merge(bursts)


def merge(results: list[Spoken]) -> Spoken:
    """All callers' figures in one."""
    whole = Spoken()
    for result in results:
        whole.first_audio += result.first_audio
        whole.whole += result.whole
        whole.underrun += result.underrun
        whole.errors += result.errors
        whole.late = max(whole.late, result.late)
        whole.frames += result.frames
        whole.audio_s += result.audio_s
    return whole
