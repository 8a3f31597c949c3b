"""Every configuration key of both streams: what is of the wrong type or out of range is named before the close."""

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed

from loadtest.subject import Subject
from protocol.dialects import stt_ai, voxline
from protocol.errors import Code
from tests.acceptance.listening import bearer
from tests.admission import admitted

LISTEN: list[tuple[str, object]] = [
    ("language", 5), ("language", "klingon language"), ("language", ["en"]),
    ("model", 3), ("model", "../../etc/passwd"),
    ("encoding", "mp3"), ("encoding", 1),
    ("sample_rate", "16000"), ("sample_rate", 7999), ("sample_rate", 48001), ("sample_rate", 16000.5),
    ("sample_rate", True),
    ("interim_results", "yes"), ("interim_results", 1),
    ("word_timestamps", "true"), ("word_timestamps", 0),
    ("prompt", 1), ("prompt", "p" * 2001),
    ("keyterms", "one"), ("keyterms", ["k"] * 101), ("keyterms", [1]),
    ("vad", "on"), ("vad", True), ("vad", []),
    ("vad.threshold", "high"), ("vad.threshold", 1.5),
    ("vad.min_speech_ms", -1), ("vad.min_speech_ms", "100"),
    ("vad.min_silence_ms", 99), ("vad.min_silence_ms", 500.5),
    ("vad.prefix_padding_ms", 2001), ("vad.prefix_padding_ms", {}),
    ("max_utterance_s", 0), ("max_utterance_s", 29), ("max_utterance_s", "20"),
    ("events", "all"), ("events", 1),
]  # fmt: skip

SPEAK: list[tuple[str, object]] = [
    ("voice", 1), ("voice", "no such voice!"), ("voice", "nobody-at-all"),
    ("language", 5), ("language", "klingon language"),
    ("format", "wma"), ("format", 1),
    ("sample_rate", "22050"), ("sample_rate", 7999), ("sample_rate", 48001),
    ("bitrate", "64"), ("bitrate", 5),
    ("speed", "fast"), ("speed", 0.2), ("speed", 4.1),
    ("word_timestamps", 1), ("pace", "no"),
    ("max_buffer_delay_ms", -1), ("max_buffer_delay_ms", "0"),
]  # fmt: skip


def message(key: str, value: object) -> str:
    """A configuration with this one key."""
    outer, _, inner = key.partition(".")
    return json.dumps({outer: {inner: value}} if inner else {outer: value})


async def refusal(address: str, key: str, first: str | bytes) -> tuple[dict[str, object], int]:
    """The last message and the close code after this first message."""
    last: dict[str, object] = {}
    async with asyncio.timeout(20), await admitted(address, additional_headers=bearer(key)) as socket:
        await socket.send(first)
        try:
            while True:
                last = json.loads(await socket.recv())
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return last, closed.rcvd.code


@pytest.mark.parametrize(("key", "value"), LISTEN)
async def test_a_wrong_key_of_speech_in_is_named(live: Subject, key: str, value: object) -> None:
    error, code = await refusal(f"{live.ws}/v1/stream", live.key, message(key, value))
    assert str(error["error"]).startswith(key) and str(error["field"]).startswith(key)
    assert (error["code"], error["fatal"], code) == ("bad_request", True, 1008)


@pytest.mark.parametrize(("key", "value"), SPEAK)
async def test_a_wrong_key_of_speech_out_is_named(live: Subject, key: str, value: object) -> None:
    error, code = await refusal(f"{live.ws}/v1/stream/tts", live.key, message(key, value))
    assert str(error["field"]) == key and key in str(error["error"])
    assert (error["code"], error["fatal"], code) in (("bad_request", True, 1008), ("not_found", True, 1008))


def test_no_key_was_forgotten() -> None:
    """A new key of either stream needs its line above."""
    listen = {*stt_ai.FIXED_KEYS, *stt_ai.OPEN_KEYS, *(f"vad.{name}" for name in stt_ai.VAD_KEYS)}
    assert {key for key, _ in LISTEN} == listen
    assert {key for key, _ in SPEAK} == set(voxline.KEYS)


@pytest.mark.parametrize(
    ("first", "code", "close"),
    [
        (b"\x00\x00" * 100, "out_of_order", 1008),
        ("{", "bad_request", 1008),
        ("[]", "bad_request", 1008),
        ("nonsense", "bad_request", 1008),
        ('{"action": "stop"}', "out_of_order", 1008),
        ('{"action": "finalize"}', "out_of_order", 1008),
        ('{"language": "tlh"}', "not_found", 1008),
        ('{"model": "no-such-model"}', "not_found", 1008),
        ('{"prompt": "' + "p" * 70_000 + '"}', "too_large", 1009),
    ],
    ids=["audio", "broken", "list", "words", "stop", "finalize", "language", "model", "large"],
)
async def test_a_first_message_that_is_no_configuration(
    live: Subject, first: str | bytes, code: str, close: int
) -> None:
    error, closed = await refusal(f"{live.ws}/v1/stream", live.key, first)
    assert (error["code"], closed) == (code, close), error
    assert stt_ai.ERRORS[Code(code)][1] == close  # the table in docs/streaming.md
