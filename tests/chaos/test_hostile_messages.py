"""Row S6, promise P6: messages that are too long, too deep or no text at all get a typed error, never a traceback."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from tests.chaos.clients import BINARY, CALL, CALL_CONFIG, TEXT, configured, frame, opening, raw, rest, transcript
from tests.chaos.conftest import Subject
from tests.chaos.world import World
from tests.engines_scripted import tone

DEEP = 100_000
LARGE = 256 * 1024
LISTEN, SPEAK = "/v1/stream", "/v1/stream/tts"

# No client's message, whatever it was meant to be: the same answer on every path.
NOT_JSON = {
    "nothing": "",
    "a word": "hello",
    "NaN": '{"sample_rate": NaN}',
    "infinity": '{"sample_rate": -Infinity}',
    "arrays too deep": "[" * DEEP + "]" * DEEP,
    "objects too deep": '{"a":' * 40_000 + "1" + "}" * 40_000,
    "arrays as deep as fit": "[" * 30_000 + "]" * 30_000,
    "deeper than 32": '{"a":' + "[" * 40 + "]" * 40 + "}",
    "open arrays": "[" * 60_000,
    "a long number": '{"sample_rate": ' + "9" * 60_000 + "}",
    "a byte order mark": "\ufeff{}",
    "two objects": "{}{}",
    "a list": "[1]",
    "a string": '"config"',
    "null": "null",
    "too much text": '{"x": "' + "y" * 66_000 + '"}',
}

# Values no field may have; "bad_request" names the field.
WRONG = {
    LISTEN: [
        '{"sample_rate": 1e999}', '{"sample_rate": -1e999}', '{"max_utterance_s": 1e999}', '{"language": "\\ud800"}',
        '{"prompt": "\\udfff"}', '{"keyterms": ["\\ud800"]}', '{"vad": {"threshold": 1e999}}', '{"model": "\\u0000"}',
        '{"sample_rate": 1' + "0" * 400 + "}", '{"encoding": {"a": []}}',
    ],
    SPEAK: [
        '{"speed": 1e999}', '{"speed": -1e999}', '{"voice": "\\ud800"}', '{"bitrate": 1e400}', '{"sample_rate": 1e999}',
        '{"max_buffer_delay_ms": 1e999}', '{"action": "mark", "name": 1e999}', '{"text": ["a"]}',
        '{"speed": 1' + "0" * 400 + "}", '{"format": {"a": []}}',
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session took a message."""

    error: str
    code: int
    fatal: bool


async def first(server: World, path: str, line: str) -> Outcome:
    """Said as the first message."""
    stream = await opening(server.ws + path)
    await stream.send(line)
    heard = await rest(stream)
    assert len(heard.messages) == 1, heard.messages
    return Outcome(heard.messages[0].get("code", ""), heard.code, heard.messages[0].get("fatal", True))


async def later(server: World, path: str, line: str) -> Outcome:
    """Said in mid-session, which must then go on."""
    stream = await configured(server.ws + path, {})
    await stream.send(line)
    await stream.send('{"action": "stop"}')
    heard = await rest(stream)
    assert heard.complete, heard.messages
    errors = [message for message in heard.messages if "error" in message]
    assert len(errors) == 1, heard.messages
    return Outcome(errors[0]["code"], heard.code, errors[0]["fatal"])


@pytest.mark.parametrize("path", [LISTEN, SPEAK])
async def test_what_is_no_message_is_a_typed_error(subject: Subject, path: str) -> None:
    server = subject.world
    for name, line in {**NOT_JSON, **{line: line for line in WRONG[path]}}.items():
        large = len(line) > 65_536
        outcome, after = await asyncio.gather(first(server, path, line), later(server, path, line))
        assert outcome == Outcome("too_large" if large else "bad_request", 1009 if large else 1008, True), name[:60]
        assert after == Outcome(outcome.error, 1000, False), name[:60]


@pytest.mark.parametrize("path", [LISTEN, SPEAK])
@pytest.mark.parametrize("kind", [TEXT, BINARY])
async def test_what_is_too_large_is_refused_before_it_is_read(subject: Subject, path: str, kind: int) -> None:
    """1009, in one frame or in fragments, and a head that announces a gigabyte costs none."""
    server = subject.world
    for data in (
        frame(kind, b"x" * (LARGE + 1)),
        frame(kind, b"x" * LARGE, fin=False) + frame(0, b"x"),
        frame(kind, length=1 << 30),
    ):
        async with raw(server.host, server.port, path) as client:
            await client.send(frame(TEXT, b"{}"))
            await client.send(data)
            assert await client.close_code() == 1009
    census = await asyncio.to_thread(server.census)
    assert census.resident <= subject.before.resident + (8 << 20)


async def test_odd_bytes_of_sound_make_no_difference(subject: Subject) -> None:
    """A sample may be cut anywhere, and the last one may be half."""
    pcm, config = tone(1.0) + bytes(16000), {"interim_results": False, "vad": False}
    whole = await transcript(subject.world.hears, pcm, config, size=640)
    odd = await transcript(subject.world.hears, pcm + b"\x7f", config, size=333)
    assert odd.finals == whole.finals and whole.finals and odd.complete


async def test_binary_messages_to_a_stream_that_takes_none(subject: Subject) -> None:
    stream = await configured(subject.world.speaks, {})
    await stream.send(b"\xff" * 1000)
    await stream.send('{"action": "stop"}')
    heard = await rest(stream)
    assert heard.complete and heard.messages[0]["code"] == "bad_request"


async def test_a_client_that_offers_deflate_gets_a_stream_without(subject: Subject) -> None:
    server = subject.world
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    async with raw(server.host, server.port, LISTEN, headers=offer) as client:
        assert b"permessage-deflate" not in client.answer.lower()
        await client.send(frame(TEXT, json.dumps(CALL_CONFIG).encode()))
        assert b"ready" in (await client.until(TEXT) or b"")
        await client.send(frame(BINARY, CALL) + frame(TEXT, b'{"action": "stop"}'))
        assert b"alpha bravo" in (await client.until(TEXT) or b"")


BODIES = {
    **{name: line.encode("utf-8", "surrogatepass") for name, line in NOT_JSON.items() if "deeper" not in name},
    "not UTF-8": b'{"text": "\xff\xfe"}',
    "1e999": b'{"text": "a", "voiceCode": "v", "mode": "sync", "speed": 1e999}',
    "a surrogate": b'{"text": "\\ud800", "voiceCode": "v", "mode": "sync"}',
    "a megabyte": b'{"text": "' + b"x" * (1 << 20) + b'"}',
}


async def test_a_call_answers_each_of_them_in_its_own_envelope(subject: Subject) -> None:
    """E10, E11: 400 BAD_REQUEST with a message, and nothing else."""
    server = subject.world
    headers = {"Authorization": f"Bearer {server.key}", "App-Id": "x", "Content-Type": "application/json"}
    for name, body in BODIES.items():
        status, answer = await asyncio.to_thread(server.request, "POST", "/v1/tts", body, headers)
        error = json.loads(answer)["error"]
        assert (status, error["code"]) == (400, "BAD_REQUEST") and error["message"], (name, status, answer)
