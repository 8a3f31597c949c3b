"""Seed D's error table (D22), each row earned by a request, all in one shape, with the limits beside it (D3).

Its last rows, of engines that fail or load, are in test_tts_ai_engines.
"""

import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from server.accounts import Accounts
from tests.api.serving import PATIENCE_S, Api

TTS = "/v1/tts/"
BODY = {"model": "kokoro", "text": "Hello!", "voice": "af_bella"}


@pytest.fixture
def client(idle: Api) -> Iterator[httpx.Client]:
    with idle.client(idle.people[0]) as http:
        yield http


def refusal(reply: httpx.Response, status: int, code: str, **facts: Any) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error["code"] == code and isinstance(error["message"], str) and error["message"]
    assert error.items() >= facts.items()
    limits = [int(reply.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset")]
    assert 0 <= limits[1] <= limits[0] and time.time() - 5 < limits[2] < time.time() + 65
    return error


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": None}, "model"),
        ({"text": None}, "text"),
        ({"text": "  "}, "text"),
        ({"voice": None}, "voice"),
        ({"format": "aiff"}, "format"),
        ({"speed": 0.4}, "speed"),
        ({"speed": 2.1}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"language": "klingon"}, "language"),
        ({"stream": "perhaps"}, "stream"),
        ({"webhook_url": "ftp://example.com/"}, "webhook_url"),
        ({"webhook_url": "http://user:pass@example.com/"}, "webhook_url"),
        ({"webhook_url": "http://example.com/", "stream": True}, "webhook_url"),
    ],
)
def test_400_a_field_of_speech(client: httpx.Client, changes: dict[str, Any], field: str) -> None:
    """D5: named, and what is allowed where there is a choice."""
    error = refusal(client.post(TTS, json={**BODY, **changes}), 400, "bad_request", field=field)
    if field == "format":
        assert error["allowed"] == ["mp3", "wav", "flac", "ogg"]


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("stt", {"timestamps": "maybe"}, "timestamps"),
        ("stt", {"language": "klingon"}, "language"),
        ("voice-convert", {}, "target_voice"),
        ("voice-convert", {"target_voice": "af_bella", "format": "ogg"}, "format"),
        ("speech-to-speech", {}, "voice"),
        ("speech-to-speech", {"voice": "af_bella", "emotion": "bored"}, "emotion"),
        ("speech-to-speech", {"voice": "af_bella", "speed": "3"}, "speed"),
        ("audio/enhance", {"strength": "4"}, "strength"),
        ("audio/enhance", {"denoise": "perhaps"}, "denoise"),
        ("audio/separate", {"stems": "3"}, "stems"),
        ("audio/separate", {"format": "ogg"}, "format"),
        ("audio/de-echo", {"type": "delay"}, "type"),
        ("audio/de-echo", {"intensity": "0"}, "intensity"),
        ("audio/convert", {}, "format"),
        ("audio/convert", {"format": "mp3", "bitrate": "100"}, "bitrate"),
        ("audio/convert", {"format": "mp3", "sample_rate": "8000"}, "sample_rate"),
        ("audio/convert", {"format": "mp3", "channels": "5.1"}, "channels"),
    ],
)
def test_400_a_field_of_a_form(client: httpx.Client, path: str, fields: dict[str, str], field: str) -> None:
    """D7, D10, D12-D17."""
    sent = {"file": ("a.wav", b"x")}
    refusal(client.post(f"/v1/{path}/", data=fields, files=sent), 400, "bad_request", field=field)


def test_400_no_file_or_none_that_can_be_read(client: httpx.Client) -> None:
    for path in ("stt", "audio/analyze", "audio/enhance"):
        refusal(client.post(f"/v1/{path}/", data={"model": "whisper"}), 400, "bad_request", field="file")
        sent = {"file": ("a.mp3", b"not a sound at all" * 99)}
        refusal(client.post(f"/v1/{path}/", files=sent), 400, "bad_request")
    refusal(client.post("/v1/tts/clone/", data={"text": "a"}), 400, "bad_request", field="reference_audio")


def test_400_what_is_no_json(client: httpx.Client) -> None:
    refusal(client.post(TTS, content="{"), 400, "bad_request")
    refusal(client.post(TTS, json=[1]), 400, "bad_request")
    refusal(client.post("/v1/voice-chat/", content=b"[" * 5000), 400, "bad_request")


def test_400_too_much_text(idle: Api) -> None:
    """D2: 5,000 characters for Pro, 50,000 for Enterprise."""
    for plan, most in (("pro", 5_000), ("enterprise", 50_000)):
        with idle.client(idle.person(plan)) as client:
            for stream in (False, True):
                asked = {**BODY, "text": "a" * (most + 1), "stream": stream}
                refusal(client.post(TTS, json=asked), 400, "bad_request", field="text", allowed=most)


def test_401(idle: Api) -> None:
    """D1: on all requests."""
    with idle.client() as nobody:
        for path in ("/v1/models/", "/v1/voices/", "/v1/results/task_" + "0" * 32):
            refusal(nobody.get(path), 401, "unauthorized")
        reply = nobody.post(TTS, json=BODY)
        refusal(reply, 401, "unauthorized")
        assert reply.headers["www-authenticate"] == "Bearer"
    with idle.client(address="127.0.0.7") as stranger:
        wrong = {"Authorization": "Bearer sk-tts-nonsense"}
        before = stranger.post(TTS, json=BODY, headers=wrong)
        refusal(before, 401, "unauthorized")
        after = stranger.post(TTS, json=BODY, headers=wrong)
        assert int(after.headers["x-ratelimit-remaining"]) == int(before.headers["x-ratelimit-remaining"]) - 1


def test_402(idle: Api) -> None:
    """The document's own numbers: 4 credits for 1,000 characters of a premium model, 2 that are there."""
    with idle.client(idle.person(credits=2)) as poor:
        for more in ({}, {"stream": True}):
            asked = {**BODY, "model": "chatterbox", "text": "a" * 1000, **more}
            refusal(poor.post(TTS, json=asked), 402, "insufficient_credits", credits_required=4, credits_available=2)


def test_403(idle: Api) -> None:
    """A plan without an API."""

    async def close(accounts: Accounts) -> None:
        await accounts.policies.change({"plans": {"viewer": {"api": False}}})

    idle.within(close)
    with idle.client(idle.person("viewer")) as client:
        for _ in range(60):  # fewer than may be asked in a minute
            reply = client.get("/v1/models/")
            if reply.status_code == 403:
                break
            time.sleep(0.05)  # an admin's change is seen within a second
        refusal(reply, 403, "forbidden")
        refusal(client.post(TTS, json=BODY), 403, "forbidden")


def test_404(client: httpx.Client) -> None:
    """D22: a model or a voice; D21: a task or a file."""
    refusal(client.post(TTS, json={**BODY, "model": "gpt"}), 404, "not_found", field="model")
    refusal(client.post(TTS, json={**BODY, "voice": "nobody"}), 404, "not_found", field="voice")
    sent = {"file": ("a.wav", b"x")}
    for path, fields, field in (
        ("stt", {"model": "kokoro"}, "model"),
        ("audio/separate", {"model": "kokoro"}, "model"),
        ("voice-convert", {"target_voice": "nobody"}, "target_voice"),
        ("voice-convert", {"target_voice": "af_bella", "model": "demucs"}, "model"),
        ("speech-to-speech", {"voice": "nobody"}, "voice"),
        ("speech-to-speech", {"voice": "af_bella", "model": "knn-vc"}, "model"),
    ):
        refusal(client.post(f"/v1/{path}/", data=fields, files=sent), 404, "not_found", field=field)
    clone = {"reference_audio": ("a.wav", b"x")}
    asked = {"text": "a", "model": "kokoro"}
    refusal(client.post("/v1/tts/clone/", data=asked, files=clone), 404, "not_found", field="model")
    for name in ("task_abc123", "task_" + "0" * 32):
        refusal(client.get(f"/v1/results/{name}"), 404, "not_found")
    for path in ("/v1/results/translate_abc123.mp3", "/v1/audio/tmp/resp_xyz.mp3", "/v1/voices/preview/x.mp3"):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_404_and_405_of_the_router(client: httpx.Client) -> None:
    for path, status in (("/v1/nothing/", 404), ("/d/v1/nothing", 404), ("/v1/stt/", 405), ("/v1/stt", 405)):
        reply = client.get(path)
        assert reply.status_code == status and reply.json()["error"]["code"] in ("not_found", "bad_request")


def test_409_an_idempotency_key_of_another_request(idle: Api) -> None:
    with idle.client(idle.person()) as mine:
        key = {"Idempotency-Key": "one"}
        asked = {**BODY, "webhook_url": "http://127.0.0.1:9999/"}
        first = mine.post(TTS, json=asked, headers=key)
        assert first.status_code == 202
        assert mine.post("/d/v1/tts/", json=asked, headers=key).json()["task_id"] == first.json()["task_id"]
        refusal(mine.post(TTS, json={**asked, "text": "Bye!"}, headers=key), 409, "bad_request")


@pytest.mark.parametrize(
    ("path", "megabytes"),
    [
        ("stt", 100),
        ("speech-translate", 100),
        ("tts/clone", 20),
        ("voice-convert", 50),
        ("speech-to-speech", 50),
        ("audio/enhance", 100),
    ],
)
def test_413(idle: Api, path: str, megabytes: int) -> None:
    """D7, D9-D13: each route's own; told before the body is sent, by its length."""
    address = urlsplit(idle.base)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_S)
    connection.putrequest("POST", f"/v1/{path}/")
    for name, value in (
        ("Authorization", f"Bearer {idle.people[0].key}"),
        ("Content-Type", "multipart/form-data; boundary=b"),
        ("Content-Length", str((megabytes + 2) << 20)),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    told = httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
    connection.close()
    refusal(told, 413, "file_too_large")


def test_429(idle: Api) -> None:
    """D2, D3: 60 requests a minute for Pro, counted down in every reply; five at once."""
    with idle.client(idle.person("pro")) as client:
        asked = {**BODY, "webhook_url": "http://127.0.0.1:9999/"}
        replies = [client.post(TTS, json=asked) for _ in range(6)]
        assert [reply.status_code for reply in replies] == [202] * 5 + [429]
        refusal(replies[-1], 429, "rate_limited")
        left = [int(reply.headers["x-ratelimit-remaining"]) for reply in replies]
        assert left == [59, 58, 57, 56, 55, 54] and replies[0].headers["x-ratelimit-limit"] == "60"
        for _ in range(54):
            client.post(TTS, json={})
        reply = client.post(TTS, json=asked)
        refusal(reply, 429, "rate_limited")
        assert reply.headers["x-ratelimit-remaining"] == "0" and 1 <= int(reply.headers["retry-after"]) <= 60


def test_a_plan_without_a_limit(idle: Api) -> None:
    with idle.client(idle.person("owner")) as client:
        reply = client.post(TTS, json={})
        refusal(reply, 400, "bad_request")
        assert reply.headers["x-ratelimit-limit"] == reply.headers["x-ratelimit-remaining"] == "1000000"


def test_the_task_of_another(idle: Api) -> None:
    """D21: nobody's but its owner's."""
    with idle.client(idle.person()) as mine, idle.client(idle.person()) as other:
        task = mine.post(TTS, json={**BODY, "webhook_url": "http://127.0.0.1:9999/"}).json()["task_id"]
        assert mine.get(f"/v1/results/{task}").json()["status"] == "queued"
        refusal(other.get(f"/v1/results/{task}"), 404, "not_found")
