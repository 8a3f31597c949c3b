"""Voxline's own wire for speech out: golden messages both ways, errors that name the key."""

import json
import random
from typing import Any

import pytest

from protocol.audio import AudioFormat, Encoding
from protocol.dialects import voxline
from protocol.dialects.voxline import close_code, config, decode, encode, error_reply, ready
from protocol.errors import Code, VoiceError
from protocol.events import (
    Clear,
    Cleared,
    Closed,
    Failed,
    Flush,
    KeepAlive,
    Mark,
    Marked,
    Ready,
    SpeakConfig,
    SpeakEvent,
    SpeakOutcome,
    Speech,
    SpeechDone,
    Stop,
    Text,
    WordSpoken,
)


def complaint(message: object, *, configured: bool = True) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        decode(message if isinstance(message, str) else json.dumps(message), configured=configured)
    return caught.value


def test_an_empty_configuration_is_the_defaults() -> None:
    assert decode("{}", configured=False) == (SpeakConfig(),)
    assert decode('{"voice": null, "mystery": [1], "speed": null}', configured=False) == (SpeakConfig(),)


def test_a_full_configuration() -> None:
    message = {
        "voice": "vi-south-female-1", "language": "vi-VN", "format": "mp3", "sample_rate": 24000, "bitrate": 64,
        "speed": 1.25, "word_timestamps": True, "pace": False, "max_buffer_delay_ms": 500,
    }  # fmt: skip
    assert config(message) == SpeakConfig(
        voice="vi-south-female-1",
        language="vi-VN",
        audio=AudioFormat(Encoding.MP3, 24000),
        bitrate=64_000,
        speed=1.25,
        word_timestamps=True,
        pace=False,
        max_buffer_delay_ms=500,
    )


@pytest.mark.parametrize(
    ("name", "rate"), [("pcm_s16le", 22050), ("mulaw", 8000), ("alaw", 8000), ("mp3", 22050), ("opus", 24000)]
)
def test_each_format_has_its_rate(name: str, rate: int) -> None:
    assert config({"format": name}).audio == AudioFormat(Encoding(name), rate)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("voice", 5), ("voice", "../etc/passwd"), ("voice", ""), ("language", "english please"), ("format", "flac"),
        ("format", "wav"), ("format", 1), ("sample_rate", 7999), ("sample_rate", "16000"), ("sample_rate", True),
        ("bitrate", 0), ("bitrate", 64.5), ("speed", 0.1), ("speed", "fast"), ("word_timestamps", 1), ("pace", "no"),
        ("max_buffer_delay_ms", -1),
    ],
)  # fmt: skip
def test_a_wrong_value_is_an_error_that_names_the_key(key: str, value: object) -> None:
    error = complaint({key: value}, configured=False)
    assert error.code is Code.BAD_REQUEST and error.facts["field"] == key and key in error.message
    assert error.facts["allowed"]


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ({"text": "Hel"}, (Text("Hel"),)),
        ({"text": ""}, (Text(""),)),
        ({"text": "half \ud83d"}, (Text("half \ud83d"),)),
        ({"text": "All.", "flush": True}, (Text("All."), Flush())),
        ({"text": "All.", "flush": False}, (Text("All."),)),
        ({"text": "All.", "action": "stop"}, (Text("All."), Stop())),
        ({"action": "flush"}, (Flush(),)),
        ({"action": "clear"}, (Clear(),)),
        ({"action": "keepalive"}, (KeepAlive(),)),
        ({"action": "stop"}, (Stop(),)),
        ({"action": "mark", "name": "end of greeting"}, (Mark("end of greeting"),)),
    ],
)
def test_messages_after_the_configuration(message: dict[str, Any], events: tuple[SpeakEvent, ...]) -> None:
    assert decode(json.dumps(message), configured=True) == events


def test_a_first_message_may_speak_at_once() -> None:
    found = decode('{"language": "vi", "text": "Xin chào", "action": "stop"}', configured=False)
    assert found == (SpeakConfig(language="vi"), Text("Xin chào"), Stop())


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("", Code.BAD_REQUEST, "JSON"),
        ("[1]", Code.BAD_REQUEST, "object"),
        ("{}", Code.BAD_REQUEST, '"text" or an "action"'),
        ({"text": 5}, Code.BAD_REQUEST, "text must be a string"),
        ({"text": "x" * 5001}, Code.TEXT_TOO_LONG, "5000"),
        ({"text": "x", "flush": 1}, Code.BAD_REQUEST, "flush must be true or false"),
        ({"action": "dance"}, Code.BAD_REQUEST, "action must be one of flush, clear, mark, keepalive, stop"),
        ({"action": ["flush"]}, Code.BAD_REQUEST, "action must be one of"),
        ({"action": "mark"}, Code.BAD_REQUEST, "name must be a string"),
        ({"action": "mark", "name": ""}, Code.BAD_REQUEST, "name must be a string"),
        ({"action": "mark", "name": "x" * 257}, Code.BAD_REQUEST, "name must be a string"),
        ({"text": "x" * 70_000}, Code.TOO_LARGE, "characters"),
        ("[" * 5000, Code.BAD_REQUEST, "JSON"),
    ],
)
def test_bad_messages(message: object, code: Code, words: str) -> None:
    error = complaint(message)
    assert error.code is code and words in error.message


def test_binary_messages_are_refused() -> None:
    assert voxline.binary().code is Code.BAD_REQUEST


def test_ready_says_what_was_left_open() -> None:
    found = json.loads(ready(Ready("s1", "espeak-ng", "en-us-female-1"), SpeakConfig()))
    assert found == {
        "status": "ready", "session": "s1", "engine": "espeak-ng", "voice": "en-us-female-1", "format": "pcm_s16le",
        "sample_rate": 22050,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (WordSpoken("Hello", 0.12345, 0.5, 7), '{"word":"Hello","start":0.123,"end":0.5,"offset":7}'),
        (Marked("m", 1.5), '{"event":"mark","name":"m","at":1.5}'),
        (Cleared("Xin chào", 0.25), '{"event":"cleared","spoken":"Xin chào","at":0.25}'),
        (
            SpeechDone(3, "All.", 1.0, 2.5),
            '{"event":"done","utterance":3,"spoken":"All.","start":1.0,"end":2.5}',
        ),
        (
            Failed(VoiceError(Code.NOT_FOUND, "No.", field="voice", secret="x")),
            '{"error":"No.","code":"not_found","fatal":true,"field":"voice"}',
        ),
        (Speech(b"\x00\x01", 0.5), b"\x00\x01"),
        (Closed(1000), None),
        (Ready("s", "e"), None),
    ],
)
def test_messages_to_the_client(event: SpeakOutcome, message: object) -> None:
    assert encode(event) == message
    assert voxline.final() == '{"is_final":true}'


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_status_and_a_close_code(code: Code) -> None:
    error = VoiceError(code, "what went wrong", retry_after=3)
    reply = error_reply(error)
    assert 400 <= reply.status < 600
    assert json.loads(reply.body) == {"error": "what went wrong", "code": code.value}
    assert (b"retry-after", b"3") in reply.headers
    assert close_code(error) in (1003, 1008, 1009, 1011, 1012, 1013)


def test_mutated_messages_give_events_or_a_voice_error() -> None:
    """F1: 10,000 mutations of real messages, as the first one and as a later one."""
    chance = random.Random(20262)
    seeds = [
        '{"voice":"en-us-female-1","format":"mp3","sample_rate":24000,"speed":1.5,"pace":false}',
        '{"text":"Hello \\ud83d\\ude00, xin ch\\u00e0o","flush":true}',
        '{"action":"mark","name":"x"}',
    ]
    alphabet = '{}[]",:0123456789.eE-+truefalsn\\u\u00e0 \x00\U0001f600'
    for round_ in range(10_000):
        line = list(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(line))
            line[at : at + chance.randint(0, 3)] = chance.choices(alphabet, k=chance.randint(0, 3))
            if not line:
                break
        try:
            decode("".join(line), configured=bool(round_ % 2))
        except VoiceError:
            continue
