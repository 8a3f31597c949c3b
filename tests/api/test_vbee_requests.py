"""Seed B's requests and replies on a running server: every error in its envelope, sentences, expiry (B1-B14)."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from accounts.schema import artifact
from server.accounts import Accounts
from tests.api.serving import Api, Person, settled

TTS = "/api/v1/tts"
VOICE, OTHER = "hn_female_ngochuyen_full_48k-fhg", "sg_male_minhhoang_full_48k-fhg"
BODY = {"app_id": "x", "callback_url": "https://example.com/", "input_text": "Xin chào", "voice_code": VOICE}


@pytest.fixture
def client(api: Api, ann: Person) -> Iterator[httpx.Client]:
    with api.client(ann) as http:
        yield http


def refusal(reply: httpx.Response, status: int, code: str, message: str = "") -> None:
    body = reply.json()
    assert reply.status_code == status, reply.text
    assert body.keys() == {"status", "error_code", "error_message", "result"}
    assert (body["status"], body["error_code"], body["result"]) == (0, code, None)
    assert body["error_message"].startswith(message)


def result(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    """What came of a request in the end."""
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not None}
    accepted = client.post(TTS, json=body)
    assert accepted.status_code == 200, accepted.text
    told: dict[str, Any] = settled(client, f"{TTS}/{accepted.json()['result']['request_id']}")["result"]
    return told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"app_id": ""}, "app_id is required"),
        ({"callback_url": None}, "callback_url is required"),
        ({"callback_url": "http://user:pass@example.com/"}, "callback_url must not contain a user name"),
        ({"callback_url": "http://example.com:6379/"}, "callback_url must not use port 6379"),
        ({"input_text": None}, "input_text is required"),
        ({"voice_code": "nobody"}, "There is no voice 'nobody'."),
        ({"sentences": [{"input_text": "a", "voice_code": VOICE}]}, "Give either input_text or sentences"),
        ({"audio_type": "ogg"}, "audio_type must be one of mp3, wav."),
        ({"bitrate": 129}, "bitrate must be one of"),
        ({"speed_rate": "2.0"}, "speed_rate must be a number from 0.1 to 1.9"),
    ],
)
def test_400(client: httpx.Client, changes: dict[str, Any], message: str) -> None:
    refusal(client.post(TTS, json={**BODY, **changes}), 400, "BAD_REQUEST", message)


def test_400_too_much_text(client: httpx.Client) -> None:
    refusal(client.post(TTS, json={**BODY, "input_text": "a" * 50_001}), 400, "TEXT_TOO_LONG")


def test_what_is_not_json(client: httpx.Client) -> None:
    """X6."""
    refusal(client.post(TTS, data=BODY), 415, "UNSUPPORTED_MEDIA")
    refusal(client.post(TTS, content="{", headers={"Content-Type": "application/json"}), 400, "BAD_REQUEST")
    refusal(client.post(TTS, json=[1]), 400, "BAD_REQUEST", "The body must be a JSON object.")
    refusal(client.post(TTS, content=b"[" * 500_000), 400, "BAD_REQUEST")
    refusal(client.post(TTS, content=bytes((1 << 20) + 1)), 413, "TOO_LARGE")


def test_401(api: Api) -> None:
    with api.client() as nobody:
        refusal(nobody.post(TTS, json=BODY), 401, "UNAUTHORIZED")
        refusal(nobody.get(f"{TTS}/{uuid4()}"), 401, "UNAUTHORIZED")


def test_402(api: Api) -> None:
    with api.client(api.person(credits=1)) as poor:
        refusal(poor.post(TTS, json=BODY), 402, "INSUFFICIENT_CREDITS")


def test_404_and_405(client: httpx.Client) -> None:
    refusal(client.get(f"{TTS}/{uuid4()}"), 404, "NOT_FOUND")
    refusal(client.get(f"{TTS}/nonsense"), 404, "NOT_FOUND")
    refusal(client.get(TTS), 405, "METHOD_NOT_ALLOWED")
    refusal(client.delete(f"/b{TTS}"), 405, "METHOD_NOT_ALLOWED")


def test_409(client: httpx.Client) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    ids = {client.post(TTS, json=BODY, headers=key).json()["result"]["request_id"] for _ in range(2)}
    assert len(ids) == 1
    refusal(client.post(TTS, json={**BODY, "input_text": "Khác"}, headers=key), 409, "CONFLICT")


def test_429(idle: Api) -> None:
    with idle.client(idle.person("free")) as client:
        for _ in range(11):
            reply = client.post(TTS, json={**BODY, "input_text": ""})
        refusal(reply, 429, "RATE_LIMITED")
        assert int(reply.headers["retry-after"]) >= 1


def test_sentences(client: httpx.Client) -> None:
    """B5."""
    lines = [
        {"input_text": "Xin chào", "voice_code": VOICE},
        {"input_text": "Tạm biệt", "voice_code": OTHER, "speed_rate": 0.5},
    ]
    told = result(client, input_text=None, voice_code=None, sentences=lines, audio_type="wav")
    assert (told["status"], told["characters"], told["voice_code"]) == ("SUCCESS", 16, f"{VOICE},{OTHER}")
    sound = httpx.get(told["audio_link"])
    assert sound.headers["content-type"] == "audio/wav" and sound.content[:4] == b"RIFF"


def test_every_voice_speaks(client: httpx.Client) -> None:
    """B15, B16: one of each family here; the catalogue's own tests have all 31."""
    for code, text in (
        ("hue_male_duyphuong_full_48k-fhg", "Huế"),
        ("cmn-TW-Standard-A", "你好"),
        ("bg-bg-Standard-A", "Здравей"),
    ):
        assert result(client, voice_code=code, input_text=text)["status"] == "SUCCESS"


def test_expired(api: Api, client: httpx.Client) -> None:
    """B13: ``audio_expired``."""
    told = result(client)
    assert told["audio_expired"] is False

    async def age(accounts: Accounts) -> None:
        name = told["audio_link"].rpartition("/")[2]
        async with accounts.store.write() as connection:
            await connection.execute(update(artifact).where(artifact.c.name == name).values(expires_at=1.0))

    api.within(age)
    later = client.get(f"{TTS}/{told['request_id']}").json()["result"]
    assert later["audio_expired"] is True and later["status"] == "SUCCESS" and "audio_link" not in later
    assert httpx.get(told["audio_link"]).status_code == 410


def test_the_prefix(client: httpx.Client) -> None:
    request_id = client.post(f"/b{TTS}", json=BODY).json()["result"]["request_id"]
    assert settled(client, f"/b{TTS}/{request_id}")["result"]["status"] == "SUCCESS"
