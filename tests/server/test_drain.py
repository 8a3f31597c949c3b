"""Row S9 and promise P7: SIGTERM to a real server with fifty people in mid-sentence."""

import asyncio
import json
import signal
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from loadtest.recordings import CHECKPOINT
from tests.admission import admitted
from tests.checkpoints.nano_whisper.held_out import held_out_sentences, speak
from tests.server.conftest import Started, started

SESSIONS = 50
OPEN = {"sessions_per_key": "0", "sessions_per_address": "0", "connections_per_address": "0", "anonymous_per_day": "0"}


def spoken(sentence: str) -> bytes:
    """The sentence as s16le at 16 kHz, with no silence after it: nobody can know yet that it is over."""
    return (speak(sentence, "en-us") * 32767).astype("<i2").tobytes()


async def speaking(server: Started, sound: bytes) -> ClientConnection:
    """A session in mid-sentence: the server has noticed that speech began."""
    stream = await admitted(f"{server.ws}/v1/stream", additional_headers={"Authorization": f"Bearer {server.key}"})
    await stream.send(json.dumps({"language": "en", "events": True, "interim_results": False}))
    for piece in (bytes(16000), *(sound[at : at + 65536] for at in range(0, len(sound), 65536))):
        await stream.send(piece)
    async for line in stream:
        if json.loads(line).get("event") == "speech_started":
            break
    return stream


async def last_words(stream: ClientConnection) -> tuple[str, int]:
    """All text that still comes, and the close code."""
    texts, over = [], False
    try:
        async for line in stream:
            message = json.loads(line)
            texts.append(message.get("text", ""))
            over = over or message.get("is_final", False)
    except ConnectionClosed:
        pass
    assert over, "no is_final"
    return " ".join(filter(None, texts)), stream.close_code or 0


async def test_sigterm_lets_everybody_finish(tmp_path: Path) -> None:
    sentence = held_out_sentences("en", 1)[0]
    sound = spoken(sentence)
    with started(tmp_path, whisper_model=str(CHECKPOINT), **OPEN) as server:
        streams = await asyncio.gather(*(speaking(server, sound) for _ in range(SESSIONS)))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        ends = asyncio.gather(*map(last_words, streams))
        refused = await new_session(server)
        outcomes = await ends
        status = await asyncio.to_thread(server.process.wait, 30)
        took = time.monotonic() - began
        assert {code for _, code in outcomes} == {1012}
        assert {text.rstrip(".").lower() for text, _ in outcomes} == {sentence}
        assert refused in (503, None)
        assert status == 0 and took < 25
        assert '"level": "error"' not in server.log


async def new_session(server: Started) -> int | None:
    """What a newcomer is told once the server no longer calls itself ready; None when nobody listens any more."""
    async with httpx.AsyncClient(base_url=server.base) as http:
        try:
            async with asyncio.timeout(10):
                while (await http.get("/readyz")).status_code == 200:
                    pass
            stream = await connect(f"{server.ws}/v1/stream")
        except InvalidStatus as error:
            assert error.response.headers["retry-after"]
            return error.response.status_code
        except (OSError, httpx.HTTPError):
            return None
        await stream.close()
        return 101


async def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    """With PocketSphinx, and speech enough to keep its one process busy for a while."""
    sound = spoken(" ".join(held_out_sentences("en", 12)))
    with started(tmp_path, **OPEN) as server:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                stream = await speaking(server, sound)
                stack.push_async_callback(stream.close)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGINT)  # two of the same kind may arrive as one
            with pytest.raises(ConnectionClosed):
                while True:
                    await stream.recv()
            status = await asyncio.to_thread(server.process.wait, 30)
        assert status in (0, 1) and time.monotonic() - began < 10


async def test_a_reply_that_is_being_sent_is_sent_to_its_end(tmp_path: Path) -> None:
    """A call whose client has a slow line was cut off after the seconds that are meant for what does not end."""
    body = json.dumps({
        "text": "One two three four five six seven eight nine ten. " * 5, "mode": "sync", "speed": 0.25,
        "voiceCode": "en-us-female-1", "outputFormat": "wav", "sampleRate": 48000,
    }).encode()  # fmt: skip
    with started(tmp_path, drain_hard="0.2") as server, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", int(server.base.rsplit(":", 1)[1])))
        reader, writer = await asyncio.open_connection(sock=line, limit=16384)
        head = f"POST /v1/tts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\napp-id: x\r\n"
        writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGTERM)
        last = b""
        while piece := await reader.read(65536):
            last = last[-10:] + piece
            await asyncio.sleep(0.02)  # as slow a line
        assert last.endswith(b"0\r\n\r\n"), "the end of a body in chunks"
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        assert '"level": "error"' not in server.log
        writer.close()
