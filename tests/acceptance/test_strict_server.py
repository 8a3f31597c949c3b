"""What takes a server of its own: no anonymous tier, two calls at once, one speech engine that falls, the whole log."""

import asyncio
import json
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from loadtest.recordings import record
from loadtest.subject import Subject
from tests.acceptance.calling import body, caller, error, sound
from tests.acceptance.listening import bearer, hear
from tests.acceptance.metering import document, value
from tests.acceptance.speaking import say
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.subjects import serving

LONG = ("Một câu rất dài, để người nghe phải chờ, và chờ thêm nữa. " * 6)[:300].strip()
END_OF_BODY = b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def strict() -> Iterator[Subject]:
    """Keys only, two synchronous calls a key, one synthesis process, and a log of everything."""
    settings = {"calls_per_key": "2", "synthesizers": "1", "log_level": "debug", "log_format": "json"}
    with serving(anonymous="false", **settings) as server:
        yield server


def synthesizers(subject: Subject) -> list[int]:
    """The processes that have espeak-ng loaded."""
    return [pid for pid in subject.engine_pids() if "espeak" in mapped(pid)]


def mapped(pid: int) -> str:
    """The files a process has in its memory; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@asynccontextmanager
async def slow_call(subject: Subject) -> AsyncIterator[asyncio.StreamReader]:
    """A call whose answer, a minute of sound, is larger than what fits between server and client; yields its body."""
    content = json.dumps(body(text=LONG, outputFormat="wav", bitrate=None, speed=0.25)).encode()
    head = (
        f"POST /v1/tts HTTP/1.1\r\nHost: voxline\r\nAuthorization: Bearer {subject.key}\r\nApp-Id: slow\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", subject.port))
    reader, writer = await asyncio.open_connection(sock=plug, limit=4096)
    try:
        async with asyncio.timeout(30):
            writer.write(head.encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200") and b"transfer-encoding: chunked" in answer.lower()
            yield reader
    finally:
        writer.close()


async def test_without_the_anonymous_tier_a_key_is_required(strict: Subject) -> None:
    """C20, C21: 401 before the handshake is accepted; a key is let in."""
    for path in ("/v1/stream", "/v1/stream/tts"):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(strict.ws + path)
        answer = refusal.value.response
        assert answer.status_code == 401
        assert "API key is required" in json.loads(bytes(answer.body or b""))["error"]
        async with connect(strict.ws + path, additional_headers=bearer(strict.key)) as stream:
            await stream.send("{}")
            assert json.loads(await stream.recv())["status"] == "ready"


async def test_too_many_calls_at_once(strict: Subject) -> None:
    """E11: TTS_CCR_MAX_LIMIT_REACHED while two calls of the key are under way, and not one moment longer."""
    async with caller(strict) as client:
        async with slow_call(strict) as first:
            async with slow_call(strict) as second:
                await first.read(1), await second.read(1)
                refused = await client.post("/v1/tts", json=body())
                status, code, message = error(refused)
                assert (status, code) == (429, "TTS_CCR_MAX_LIMIT_REACHED") and "2" in message
                assert int(refused.headers["retry-after"]) >= 1
            await again(client)
        assert value(document(strict), "voxline_rejected_total", kind="call", reason="too_many_sessions") >= 1


async def again(client: httpx.AsyncClient, within: float = 10.0) -> None:
    """Call until it is answered; the server has to notice that something has changed."""
    deadline = time.monotonic() + within
    while (answer := await client.post("/v1/tts", json=body())).status_code != 200:
        assert time.monotonic() < deadline, answer.text


async def test_the_first_sound_leaves_before_the_rest_is_made(strict: Subject) -> None:
    """The engine is stopped in its tracks when the first sound has come: the rest does not come until it goes on."""
    (engine,) = synthesizers(strict)
    async with slow_call(strict) as answer:
        received = await answer.readexactly(1)
        os.kill(engine, signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                while piece := await asyncio.wait_for(answer.read(65536), 0.5):
                    received += piece
            assert not received.endswith(END_OF_BODY), "all was made before anything was sent"
        finally:
            os.kill(engine, signal.SIGCONT)
        before = len(received)
        while not received.endswith(END_OF_BODY):
            received += await answer.read(65536)
        assert before < len(received) and len(received) > 96_000 * 30


async def new_synthesizer(subject: Subject) -> int:
    """A synthesis process that has made nothing yet, in the place of the one there is."""
    (engine,) = synthesizers(subject)
    os.kill(engine, signal.SIGKILL)
    async with asyncio.timeout(15), httpx.AsyncClient(base_url=subject.http) as client:
        while True:
            ready = (await client.get("/readyz")).status_code == 200
            if ready and (engines := [pid for pid in synthesizers(subject) if pid != engine]):
                return engines[0]


async def test_an_engine_that_fails(strict: Subject) -> None:
    """E11: INTERNAL_SERVER_ERROR, which tells nothing of the inside; the call after it is well again."""
    engine = await new_synthesizer(strict)
    size, (_, hard) = psutil.Process(engine).memory_info().vms, resource.prlimit(engine, resource.RLIMIT_AS)
    async with caller(strict) as client:
        resource.prlimit(engine, resource.RLIMIT_AS, (size, hard))  # no room for a thread to speak in
        answer = await client.post("/v1/tts", json=body(text=LONG))
        assert error(answer) == (500, "INTERNAL_SERVER_ERROR", "the engine failed")
        resource.prlimit(engine, resource.RLIMIT_AS, (hard, hard))
        await again(client)


async def test_an_engine_that_dies_in_a_call(strict: Subject) -> None:
    """One that falls before its first sound is replaced, the clause is made again, and the caller never knows."""

    def asked() -> float:
        return value(document(strict), "voxline_queue_delay_seconds_count", engine="espeak-ng")

    (engine,) = synthesizers(strict)
    before, restarts = asked(), value(document(strict), "voxline_engine_restarts_total", engine="espeak-ng")
    async with caller(strict) as client:
        os.kill(engine, signal.SIGSTOP)  # so that it is at it when it dies
        call = asyncio.create_task(client.post("/v1/tts", json=body()))
        async with asyncio.timeout(5):
            while await asyncio.to_thread(asked) == before:
                assert not call.done()
        os.kill(engine, signal.SIGKILL)
        answer = await asyncio.wait_for(call, 15)
    assert sound(answer, "mp3", 48000).loudness > 0.02
    assert synthesizers(strict) != [engine]
    assert value(document(strict), "voxline_engine_restarts_total", engine="espeak-ng") == restarts + 1


async def test_the_log_has_no_words_and_no_keys(strict: Subject) -> None:
    """Everything private that a client can send, at the most talkative level: none of it is in the log."""
    (sentence,) = held_out_sentences("en", 1, seed=21)
    planted = "zebracanary"
    wrong = "sk-ov-" + planted * 3
    async with httpx.AsyncClient(base_url=strict.http, headers=bearer(strict.key)) as client:
        token = (await client.post("/v1/tokens")).json()["token"]
        await client.post("/v1/tokens", content=f'{{"{planted}')
        await client.get(f"/nothing?token={strict.key}&q={planted}")
        await client.get("/v1/voices", params={"language": planted})
    async with caller(strict) as client:
        assert (await client.post("/v1/tts", json=body(text=f"Hello {planted}."))).status_code == 200
        for changes in ({"mode": planted}, {"voiceCode": planted}, {"outputFormat": planted}, {"text": planted * 30}):
            assert (await client.post("/v1/tts", json=body(**changes))).status_code == 400
        await client.post("/v1/tts", content=f'{{"text": "{planted}')
        await client.post("/v1/tts", json=body(), headers=bearer(wrong))
    config = {"language": "en", "prompt": planted, "keyterms": [planted], "word_timestamps": True}
    script: list[bytes | dict[str, object]] = [{"action": planted}, {"prompt": 5, planted: 1}, record([sentence]).pcm]
    heard = await hear(strict.ws, strict.key, script, config=config)
    assert heard.text == sentence
    said = await say(strict.ws, strict.key, [f"Good {planted} morning, ", sentence], {"pace": False})
    assert planted in said.check().spoken
    for query in (f"?token={token}", f"?token={wrong}", f"?api_key={wrong}"):
        try:
            async with connect(f"{strict.ws}/v1/stream{query}") as stream:
                await stream.send(f'{{"model": "{planted}"}}')
                await stream.recv()
        except InvalidStatus as refusal:
            assert refusal.response.status_code == 401
    log = strict.log.read_text()
    assert "listen session ended" in log and "speak session ended" in log and '"path": "/v1/tts"' in log
    after = log[log.index("listen session ended") :].lower()
    for private in (planted, sentence, *bigrams(sentence), said.spoken.lower(), "good morning"):
        assert private not in after, f"{private!r} was logged"
    for secret in (strict.key, strict.key.removeprefix("sk-ov-"), token, token.removeprefix("vt-"), wrong):
        assert secret not in log, "a key was logged"


def bigrams(sentence: str) -> Iterator[str]:
    """Neighbouring words: a single one may well be a word of the log's own."""
    words = sentence.split()
    return (f"{first} {second}" for first, second in pairwise(words))
