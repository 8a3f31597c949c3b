"""Seed E's wire: its example, its limits to the character, its messages and codes (E1-E11)."""

import json
import random
import time
import unicodedata
from typing import Any

import pytest

from protocol.audio import Encoding
from protocol.dialects import vbee_realtime
from protocol.dialects.vbee_realtime import MAX_TEXT, Request, credentials, decode, error_reply, parse_json
from protocol.errors import Code, VoiceError

EXAMPLE = """{
    "text": "Xin chào, đây là giọng nói tổng hợp từ Vbee.",
    "voiceCode": "hn_female_ngochuyen_full_48k-fhg",
    "outputFormat": "mp3",
    "bitrate": 128,
    "speed": 1.0,
    "mode": "sync"
  }"""
VOICE = "hn_female_ngochuyen_full_48k-fhg"
LEAST: dict[str, Any] = {"text": "Xin chào", "mode": "sync", "voiceCode": VOICE}


def complaint(**changes: Any) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        decode({name: value for name, value in {**LEAST, **changes}.items() if value is not ...})
    return caught.value


def test_the_documents_example() -> None:
    text = "Xin chào, đây là giọng nói tổng hợp từ Vbee."
    assert decode(parse_json(EXAMPLE.encode())) == Request(text, VOICE, Encoding.MP3, 128, 1.0, None)


def test_defaults() -> None:
    """E5-E8: mp3, 128 kbps (left open, as the rate is), natural speed, the voice's own rate."""
    nulls = dict.fromkeys(("outputFormat", "bitrate", "speed", "sampleRate"))
    assert decode(LEAST) == decode({**LEAST, **nulls}) == Request("Xin chào", VOICE, Encoding.MP3, None, 1.0, None)


def test_text_is_trimmed_and_counted_in_composed_code_points() -> None:
    """E2: 300 pass, 301 fail; NFD Vietnamese counts as its NFC."""
    assert decode({**LEAST, "text": "  \n" + "ế" * 300 + "\t "}).text == "ế" * 300
    typed = unicodedata.normalize("NFD", "ế" * 300)
    assert len(typed) == 900 and decode({**LEAST, "text": typed}).text == "ế" * 300
    assert decode({**LEAST, "text": "👍" * 300}).text == "👍" * 300
    for text in ("x" * 301, unicodedata.normalize("NFD", "ế" * 301)):
        error = complaint(text=text)
        assert error.message == "text must be less than or equal to 300 characters"  # E10, word for word
        assert error.code is Code.TEXT_TOO_LONG


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": ...}, "text is required"),
        ({"text": None}, "text is required"),
        ({"text": 5}, "text must be a string"),
        ({"text": ""}, "text must not be empty"),
        ({"text": " \n\u00a0"}, "text must not be empty"),
        ({"text": "\ud83d"}, "text must be valid Unicode"),
        ({"mode": ...}, "mode is required"),
        ({"mode": "async"}, "mode must be sync"),
        ({"mode": True}, "mode must be a string"),
        ({"voiceCode": ...}, "voiceCode is required"),
        ({"voiceCode": " "}, "voiceCode must not be empty"),
        ({"voiceCode": ["x"]}, "voiceCode must be a string"),
        ({"outputFormat": "ogg"}, "outputFormat must be one of mp3, wav, pcm"),
        ({"outputFormat": 3}, "outputFormat must be one of mp3, wav, pcm"),
        ({"bitrate": 160}, "bitrate must be one of 8, 16, 32, 64, 128"),  # valid in B, not here (E6)
        ({"bitrate": 8.5}, "bitrate must be one of 8, 16, 32, 64, 128"),
        ({"bitrate": "128"}, "bitrate must be a number"),
        ({"bitrate": True}, "bitrate must be a number"),
        ({"bitrate": float("inf")}, "bitrate must be a number"),
        ({"speed": 0.24}, "speed must be greater than or equal to 0.25"),
        ({"speed": 1.91}, "speed must be less than or equal to 1.9"),
        ({"speed": "1"}, "speed must be a number"),
        ({"sampleRate": 11025}, "sampleRate must be one of 8000, 16000, 22050, 24000, 32000, 44100, 48000"),
        ({"sampleRate": []}, "sampleRate must be a number"),
    ],
)
def test_complaints_name_the_field(changes: dict[str, Any], message: str) -> None:
    error = complaint(**changes)
    assert error.message == message and error.facts["field"] == next(iter(changes))
    assert json.loads(error_reply(error).body) == {"error": {"code": "BAD_REQUEST", "message": message}}
    assert error_reply(error).status == 400


@pytest.mark.parametrize("bitrate", [8, 16, 32, 64, 128, 128.0])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 32000, 44100, 48000])
def test_what_the_document_lists_is_taken(bitrate: float, rate: int) -> None:
    request = decode({**LEAST, "bitrate": bitrate, "sampleRate": rate, "speed": 0.25})
    assert (request.bitrate, request.sample_rate, request.speed) == (int(bitrate), rate, 0.25)
    assert decode({**LEAST, "speed": 1.9, "outputFormat": "wav"}).encoding is Encoding.WAV
    assert decode({**LEAST, "outputFormat": "pcm"}).encoding is Encoding.PCM_S16LE


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"speed": NaN}', b"[" * 100_000, b"1e999 x"])
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(VoiceError) as caught:
        parse_json(body)
    assert caught.value.message == "request body must be valid JSON"


@pytest.mark.parametrize("body", [None, [], "text", 5])
def test_what_is_not_an_object(body: object) -> None:
    with pytest.raises(VoiceError) as caught:
        decode(body)
    assert caught.value.message == "request body must be a JSON object"


def test_credentials() -> None:
    """E1, E11: both headers, names in any case (the shell lowers them), App-id as the sample writes it."""
    assert credentials({"authorization": "bearer  abc ", "app-id": " x "}) == ("abc", "x")
    for headers in ({}, {"app-id": "x"}, {"authorization": "Basic abc", "app-id": "x"}, {"authorization": "Bearer "}):
        with pytest.raises(VoiceError) as caught:
            credentials(headers)
        assert caught.value.code is Code.UNAUTHORIZED and "Authorization" in caught.value.message
    with pytest.raises(VoiceError) as caught:
        credentials({"authorization": "Bearer abc", "app-id": " "})
    assert caught.value.message == "App-Id header is required"


DOCUMENTED = {
    "UNAUTHORIZED": 401,
    "BAD_REQUEST": 400,
    "TTS_CCR_MAX_LIMIT_REACHED": 429,
    "TTS_SPEND_CREDITS_FAILED": 500,
    "INTERNAL_SERVER_ERROR": 500,
}


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_place_in_the_documents_table(code: Code) -> None:
    """E11."""
    reply = error_reply(VoiceError(code, "what went wrong"))
    error = json.loads(reply.body)["error"]
    assert error["message"] == "what went wrong" and set(error) == {"code", "message"}
    assert DOCUMENTED[error["code"]] == reply.status or (code, reply.status) == (Code.METHOD_NOT_ALLOWED, 405)


def test_mutated_bodies_give_a_request_or_a_voice_error() -> None:
    """F1: 10,000 mutations of the document's example."""
    chance = random.Random(20261)
    seed = EXAMPLE.encode()
    alphabet = b'{}[]",:0123456789.eE-+truefalsn\\u\xc3\xa0 \x00\xff'
    began = time.perf_counter()
    for _ in range(10_000):
        body = bytearray(seed)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(body))
            match chance.randrange(4):
                case 0:
                    body[at] = chance.choice(alphabet)
                case 1:
                    del body[at : at + chance.randint(1, 20)]
                case 2:
                    body[at:at] = bytes(chance.choices(alphabet, k=chance.randint(1, 10)))
                case 3:
                    body[at:at] = body[: chance.randint(1, 80)]
            if not body:
                break
        try:
            request = decode(parse_json(bytes(body)))
        except VoiceError:
            continue
        assert 0 < len(request.text) <= MAX_TEXT and request.encoding in vbee_realtime.FORMATS.values()
    assert time.perf_counter() - began < 10
