"""``POST /v1/tts``: each error of the document's table by a request that earns it (E10, E11), and whose it is (X1)."""

from typing import Any

import httpx
import pytest

from loadtest.subject import Subject
from protocol.dialects import vbee_realtime
from protocol.errors import Code
from tests.acceptance.calling import VOICE, body, caller, error
from tests.acceptance.listening import bearer

BAD = [
    ({"text": None}, "text is required"),
    ({"text": 5}, "text must be a string"),
    ({"text": ""}, "text must not be empty"),
    ({"text": " \n\u00a0"}, "text must not be empty"),
    ({"text": "a" * 301}, "text must be less than or equal to 300 characters"),
    ({"mode": None}, "mode is required"),
    ({"mode": "async"}, "mode must be sync"),
    ({"mode": True}, "mode must be a string"),
    ({"voiceCode": None}, "voiceCode is required"),
    ({"voiceCode": ""}, "voiceCode must not be empty"),
    ({"voiceCode": 7}, "voiceCode must be a string"),
    ({"voiceCode": "hn_female_nobody_48k-fhg"}, "voiceCode does not exist"),
    ({"outputFormat": "flac"}, "outputFormat must be one of mp3, wav, pcm"),
    ({"outputFormat": "MP3"}, "outputFormat must be one of mp3, wav, pcm"),
    ({"bitrate": 160}, "bitrate must be one of 8, 16, 32, 64, 128"),  # valid in B, not here (E6)
    ({"bitrate": "128"}, "bitrate must be a number"),
    ({"speed": 0.24}, "speed must be greater than or equal to 0.25"),
    ({"speed": 1.91}, "speed must be less than or equal to 1.9"),
    ({"speed": "1.0"}, "speed must be a number"),
    ({"speed": True}, "speed must be a number"),
    ({"sampleRate": 11025}, "sampleRate must be one of 8000, 16000, 22050, 24000, 32000, 44100, 48000"),
    ({"sampleRate": "48000"}, "sampleRate must be a number"),
    (
        {"sampleRate": 48000, "voiceCode": "da-DK-Standard-A"},
        "sampleRate must be one of 8000, 16000, 22050, 24000 for voiceCode da-DK-Standard-A",
    ),
    (
        {"sampleRate": 48000, "bitrate": 8},
        "bitrate 8 is not possible at sampleRate 48000 in mp3: at sampleRate 48000 bitrate must be one of 32, 64, 128; "
        "at bitrate 8 sampleRate must be one of 8000, 16000, 22050, 24000",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
async def test_a_bad_request_is_told_why(live: Subject, changes: dict[str, Any], message: str) -> None:
    async with caller(live) as client:
        assert error(await client.post("/v1/tts", json=body(**changes))) == (400, "BAD_REQUEST", message)


@pytest.mark.parametrize("value", ["text", "mode", "voiceCode", "outputFormat", "bitrate", "speed", "sampleRate"])
async def test_the_field_is_named_whatever_it_is(live: Subject, value: str) -> None:
    """Every field of the table, with an object in its place."""
    async with caller(live) as client:
        status, code, message = error(await client.post("/v1/tts", json=body(**{value: {"no": "value"}})))
    assert (status, code) == (400, "BAD_REQUEST") and message.startswith(value)


@pytest.mark.parametrize(
    "content",
    [
        b"{", b"", b"nonsense", b"[]", b'"text"', b"null", b"\xff\xfe\xfa", b'{"text": NaN}', b"[" * 20_000,
        b"{" + b" " * 70_000,
    ],
    ids=["cut off", "empty", "words", "list", "string", "null", "not utf-8", "NaN", "deep", "large"],
)  # fmt: skip
async def test_a_body_that_is_no_request(live: Subject, content: bytes) -> None:
    """Bad syntax, and a body too large to be 300 characters."""
    async with caller(live, **{"Content-Type": "application/json"}) as client:
        status, code, message = error(await client.post("/v1/tts", content=content))
    assert (status, code) == (400, "BAD_REQUEST") and message.startswith(("request body", "text"))


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"App-Id": "app"}, "Authorization header is required: Bearer <access_token>"),
        ({"App-Id": "app", "Authorization": "KEY"}, "Authorization header is required: Bearer <access_token>"),
        ({"App-Id": "app", "Authorization": "Basic KEY"}, "Authorization header is required: Bearer <access_token>"),
        ({"App-Id": "app", "Authorization": "Bearer sk-ov-wrong"}, "access token is invalid"),
        ({"App-Id": "app", "Authorization": "Bearer vt-wrong"}, "access token is invalid"),
        ({"Authorization": "Bearer KEY"}, "App-Id header is required"),
        ({"Authorization": "Bearer KEY", "App-Id": ""}, "App-Id header is required"),
    ],
)
async def test_who_may_not_ask_is_told_so_first(live: Subject, headers: dict[str, str], message: str) -> None:
    """UNAUTHORIZED: no Authorization, a token that is none, no App-Id; whatever else is wrong with the request."""
    headers = {name: value.replace("KEY", live.key) for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=live.http, headers=headers) as client:
        for wrong in ({}, {"text": "a" * 301}, {"speed": 9}):
            assert error(await client.post("/v1/tts", json=body(**wrong))) == (401, "UNAUTHORIZED", message)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_another_method(live: Subject, method: str) -> None:
    async with caller(live) as client:
        status, code, _ = error(await client.request(method, "/v1/tts"))
    assert (status, code) == (405, "BAD_REQUEST")


def test_the_table_is_the_documents() -> None:
    """E11: five codes with their statuses, and every failure there can be is one of them. What spends credits has its
    place there already: TTS_SPEND_CREDITS_FAILED is what a ledger that cannot be written answers."""
    table = {(code, status) for status, code in vbee_realtime.ERRORS.values() if status != 405}
    assert table == {
        ("UNAUTHORIZED", 401), ("BAD_REQUEST", 400), ("TTS_CCR_MAX_LIMIT_REACHED", 429),
        ("TTS_SPEND_CREDITS_FAILED", 500), ("INTERNAL_SERVER_ERROR", 500),
    }  # fmt: skip
    assert vbee_realtime.ERRORS[Code.INSUFFICIENT_CREDITS] == (400, "BAD_REQUEST")
    assert set(vbee_realtime.ERRORS) == set(Code)


async def test_a_path_shared_by_three_documents(live: Subject) -> None:
    """X1, X2: each request is answered as its own document says, on either spelling, and never by a redirect."""
    cloning = {"files": {"reference": ("me.wav", b"RIFF")}, "data": {"text": "hello"}}
    other = {"model": "kokoro", "voice": "af_bella", "text": "hello"}
    async with httpx.AsyncClient(base_url=live.http, headers=bearer(live.key), follow_redirects=False) as client:
        for path in ("/v1/tts", "/v1/tts/"):
            multipart = await client.post(path, **cloning)  # type: ignore[arg-type]
            assert multipart.status_code >= 400 and isinstance(multipart.json()["error"], str)  # C21
            answer = await client.post(path, json={**other, "voice": "nobody"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")  # D22
            assert "x-ratelimit-limit" in answer.headers  # D3
            assert error(await client.post(path, json=body()))[:2] == (401, "UNAUTHORIZED")  # E: no App-Id
            spoken = await client.post(path, json=body(), headers={"App-Id": "one"})
            assert spoken.status_code == 200 and spoken.headers["content-type"] == "audio/mpeg"
        lost = await client.post("/v1/tts/", content=b"{", headers={"Content-Type": "application/json"})
        assert (lost.status_code, lost.json()["error"]["code"]) == (400, "bad_request")  # D's path
        lost = await client.post("/v1/tts", content=b"{", headers={"Content-Type": "application/json"})
        assert error(lost)[:2] == (401, "UNAUTHORIZED")  # E's path
        prefixed = await client.post("/e/v1/tts", json={**other, **body(voiceCode=VOICE)}, headers={"App-Id": "one"})
        assert prefixed.status_code == 200
        assert error(await client.post("/e/v1/tts", json=other, headers={"App-Id": "one"}))[:2] == (400, "BAD_REQUEST")
