"""What the tests of the synchronous call (E1-E12) share: the document's request, and the shapes of answers."""

import struct
from typing import Any

import httpx

from loadtest.subject import Subject
from tests.acceptance.listening import bearer
from tests.acceptance.speaking import Media, decoded

VOICE = "hn_female_ngochuyen_full_48k-fhg"
TEXT = "Xin chào, đây là giọng nói tổng hợp từ Vbee."
TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm"}


def body(**changes: Any) -> dict[str, Any]:
    """The document's example with some fields changed, or left out where they are None."""
    example = {"text": TEXT, "voiceCode": VOICE, "outputFormat": "mp3", "bitrate": 128, "speed": 1.0, "mode": "sync"}
    return {name: value for name, value in {**example, **changes}.items() if value is not None}


def caller(subject: Subject, **headers: str) -> httpx.AsyncClient:
    """A client with a key and an app."""
    return httpx.AsyncClient(
        base_url=subject.http, headers={**bearer(subject.key), "App-Id": "acceptance", **headers}, timeout=60
    )


def error(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message of a failure, which has E10's shape and nothing else."""
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert list(document) == ["error"] and sorted(document["error"]) == ["code", "message"], document
    return answer.status_code, document["error"]["code"], document["error"]["message"]


def sound(answer: httpx.Response, kind: str, rate: int) -> Media:
    """The sound of a success in a format, decoded."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].split(";")[0] == TYPES[kind]
    if kind != "pcm":
        return decoded(answer.content)
    assert f"rate={rate}" in answer.headers["content-type"] and len(answer.content) % 2 == 0
    # libavformat takes no bare PCM; a header that says what E9's Content-Type says makes a file of it.
    size = len(answer.content)
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    head = struct.pack("<4sI8s", b"RIFF", 36 + size, b"WAVEfmt ") + form + struct.pack("<4sI", b"data", size)
    return decoded(head + answer.content)
