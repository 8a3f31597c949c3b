"""Seed A's error table (A6), each row earned by a request, all in one shape: ``{"detail", "code", ...}``."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from accounts.schema import artifact
from server.accounts import Accounts
from tests.api import serving
from tests.api.serving import Api, Person

AUTO = "/api/v1/tts/auto"


@pytest.fixture
def client(idle: Api) -> Iterator[httpx.Client]:
    with idle.client(idle.people[0]) as http:
        _until(lambda: http.post("/api/v1/stt", files={"audio_file": ("a.wav", bytes(2 << 20))}), "too_large")
        yield http


def _until(ask: Callable[[], httpx.Response], code: str) -> None:
    """An admin's change is seen within a second."""
    for _ in range(100):
        if ask().json().get("code") == code:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {code}")


def refusal(reply: httpx.Response, status: int, code: str, **facts: Any) -> dict[str, Any]:
    body: dict[str, Any] = reply.json()
    assert (reply.status_code, body["code"]) == (status, code), reply.text
    assert isinstance(body["detail"], str) and body["detail"]
    assert body.items() >= facts.items()
    return body


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("design", {}, "text"),
        ("design", {"text": " "}, "text"),
        ("design", {"text": "a", "gender": "robot"}, "gender"),
        ("auto", {"text": "a", "language": "klingon"}, "language"),
        ("auto", {"text": "a", "speed": "fast"}, "speed"),
        ("auto", {"text": "a", "async_mode": "True"}, "async_mode"),
        ("saved", {"text": "a"}, "voice_id"),
        ("clone", {"text": "a"}, "ref_audio"),
        ("dialogue", {"text": "no names", "char_voice_map": '{"MC": 1}'}, "text"),
        ("dialogue", {"text": "#MC\na", "char_voice_map": "MC"}, "char_voice_map"),
        ("dialogue", {"text": "#MC\na", "char_voice_map": '{"Guest": 1}'}, "char_voice_map"),
    ],
)
def test_400_a_field(client: httpx.Client, path: str, fields: dict[str, str], field: str) -> None:
    multipart = {"files": {"x": ("", b"")}} if path == "clone" else {}
    refusal(client.post(f"/api/v1/tts/{path}", data=fields, **multipart), 400, "bad_request", field=field)  # type: ignore[arg-type]


def test_400_a_body_that_is_no_form(client: httpx.Client) -> None:
    refusal(client.post(AUTO, json={"text": "a"}), 400, "bad_request", field="Content-Type")


def test_400_too_much_text(client: httpx.Client) -> None:
    refusal(client.post(AUTO, data={"text": "a" * 50_001}), 400, "text_too_long", field="text", allowed=50_000)


def test_400_a_file_too_large(client: httpx.Client) -> None:
    """A42: refused as it arrives, by the name of its kind."""
    reply = client.post("/api/v1/stt", files={"audio_file": ("a.wav", bytes((1 << 20) + 1))})
    refusal(reply, 400, "too_large")


def test_400_a_recording_too_long(client: httpx.Client, files: Path) -> None:
    reply = client.post("/api/v1/stt", files={"audio_file": ("a.wav", (files / "sample.wav").read_bytes())})
    assert "2 s" in refusal(reply, 400, "too_large")["detail"]


def test_400_a_file_that_is_no_sound(client: httpx.Client) -> None:
    for path in ("/api/v1/stt", "/api/v2/stt"):
        reply = client.post(path, files={"audio_file": ("a.mp3", b"not a sound at all" * 99)})
        refusal(reply, 400, "unsupported_media")


def test_400_subtitles(client: httpx.Client, files: Path) -> None:
    def send(data: bytes) -> httpx.Response:
        return client.post("/api/v1/srt-to-voice", data={"voice_id": "1"}, files={"srt_file": ("a.srt", data)})

    refusal(send(b"nothing of the kind"), 400, "bad_request", field="srt_file")
    refusal(send((files / "subtitles.srt").read_bytes()), 400, "too_large", field="srt_file", maximum=1)


def test_400_what_no_engine_here_can_do(client: httpx.Client) -> None:
    """Before the file is even looked at, and with the command that helps."""
    reply = client.post("/api/v2/stt", data={"language": "vietnamese"}, files={"audio_file": ("a.wav", b"x")})
    body = refusal(reply, 400, "not_installed", field="language")
    assert body["install"] == "voxline models pull small"


def test_401(idle: Api) -> None:
    with idle.client() as nobody:
        reply = nobody.get("/api/v1/voices")
        refusal(reply, 401, "unauthorized")
        assert reply.headers["www-authenticate"] == "Bearer"
        wrong = {"Authorization": "Bearer sk-ov-nonsense"}
        refusal(nobody.get("/api/v1/voices", headers=wrong), 401, "unauthorized")


def test_402(idle: Api) -> None:
    with idle.client(idle.person(credits=1)) as poor:
        body = refusal(poor.post(AUTO, data={"text": "Hello"}), 402, "insufficient_credits")
        assert (body["required"], body["available"]) == (6, 1)


def test_404(client: httpx.Client) -> None:
    refusal(client.get("/api/v1/job/abc"), 404, "not_found")
    refusal(client.get("/api/v1/job/%00"), 404, "not_found")
    refusal(client.post("/api/v1/job/abc/cancel"), 404, "not_found")
    refusal(client.get("/audio/tts_xxx.wav"), 404, "not_found")
    refusal(client.get("/api/v1/nothing"), 404, "not_found")
    refusal(client.post("/api/v1/tts/saved", data={"text": "a", "voice_id": "999"}), 404, "not_found", field="voice_id")


def test_405(client: httpx.Client) -> None:
    """X5: not "unknown request"."""
    reply = client.get("/api/v1/tts/design")
    refusal(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


def test_409_and_429(idle: Api) -> None:
    """A4 and A3 by a new account's limits: two jobs at once, ten requests a minute; each with Retry-After."""
    with idle.client(idle.person("free")) as client:
        key = {"Idempotency-Key": "one"}
        for text in ("a", "b"):
            assert client.post(
                AUTO, data={"text": text, "async_mode": "1"}, headers=key if text == "a" else {}
            ).is_success
        refusal(client.post(AUTO, data={"text": "c", "async_mode": "1"}, headers=key), 409, "conflict")
        reply = client.post(AUTO, data={"text": "c", "async_mode": "1"})
        refusal(reply, 429, "too_many_sessions")
        assert int(reply.headers["retry-after"]) >= 1
        for _ in range(10):
            reply = client.post(AUTO, data={"text": "c", "async_mode": "1"})
        refusal(reply, 429, "rate_limited")
        assert 1 <= int(reply.headers["retry-after"]) <= 60


def test_410(api: Api, ann: Person) -> None:
    """What was made is kept for a day."""
    with api.client(ann) as client:
        job = client.post(AUTO, data={"text": "Hello", "async_mode": "1"}).json()
        url = serving.settled(client, f"/api/v1/job/{job['job_id']}")["audio_url"]
        assert client.get(url).is_success

        async def age(accounts: Accounts) -> None:
            old = update(artifact).where(artifact.c.job_id == job["job_id"]).values(expires_at=1.0)
            async with accounts.store.write() as connection:
                await connection.execute(old)

        api.within(age)
        refusal(client.get(url), 410, "gone")
