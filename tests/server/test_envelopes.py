"""The envelope of every path (CONTRACT X1-X5, X11)."""

import json
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from protocol.errors import Code, VoiceError
from server.envelopes import error_reply, error_response
from server.routes import Parts, http_routes

A, B, C, D, E = {"detail"}, {"error_code"}, {"error"}, {"error.code"}, {"error.CODE"}
ID = "5509d1e6-8906-4291-899b-c25643a624af"


def shape(body: bytes) -> set[str]:
    """Which dialect's envelope it is."""
    told = json.loads(body)
    error = told.get("error")
    if isinstance(error, dict):
        return E if error["code"].isupper() else D
    return C if "error" in told else B if "error_code" in told else A


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("/api/v1/health", A),
        ("/api/v1/tts/design", A),
        ("/api/v1/tts/dialogue", A),
        ("/api/v1/stt", A),
        ("/api/v2/stt", A),
        (f"/api/v1/job/{ID}", A),
        (f"/api/v1/job/{ID}/cancel", A),
        ("/api/v9/anything", A),
        ("/audio/tts_x.wav", A),
        ("/a/anything", A),
        ("/api/v1/tts", B),
        (f"/api/v1/tts/{ID}", B),
        ("/api/v1/tts/", B),
        ("/api/v1/tts/nonsense", B),
        ("/b/api/v1/tts", B),
        ("/v1/transcribe", C),
        ("/c/v1/transcribe", C),
        ("/nowhere", C),
        ("/", C),
        ("/api", C),
        ("/v1/tts/", D),
        ("/v1/voices/", D),
        ("/v1/tts/clone/", D),
        ("/d/v1/tts/", D),
        ("/v1/tts", E),
        ("/e/v1/tts", E),
    ],
)
def test_a_path_has_an_envelope(path: str, whose: set[str]) -> None:
    assert shape(error_reply(path, VoiceError(Code.NOT_FOUND, "Nothing.")).body) == whose


def test_seed_b_can_tell_its_errors_with_200() -> None:
    """B14, a setting."""
    error = VoiceError(Code.RATE_LIMITED, "Slower.", retry_after=7)
    response = error_response("/api/v1/tts", error, vbee_http_errors=False)
    assert response.status_code == 200 and response.headers["retry-after"] == "7"
    assert json.loads(bytes(response.body))["status"] == 0
    assert error_reply("/api/v1/stt", error, vbee_http_errors=False).status == 429


async def test_the_setting_reaches_every_error_of_seed_b() -> None:
    settings = SimpleNamespace(vbee_http_errors=False, cors_origins=())
    application: Any = http_routes(cast(Parts, SimpleNamespace(settings=settings)), cast(Any, None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as client:
        reply = await client.get("/b/nothing")
        assert (reply.status_code, reply.json()["error_code"]) == (200, "NOT_FOUND")
        assert (await client.get("/a/nothing")).status_code == 404
