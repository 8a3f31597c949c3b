"""The envelope of every path (CONTRACT X1-X5, X11)."""

import json
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocol.errors import Code, VoiceError
from server.envelopes import error_reply, error_response
from server.routes import Parts, http_routes

A, B, C, D, E = {"detail"}, {"error_code"}, {"error"}, {"error.code"}, {"error.CODE"}
ELEVEN = {"detail.status"}
ID = "5509d1e6-8906-4291-899b-c25643a624af"


def shape(body: bytes) -> set[str]:
    """Which dialect's envelope it is."""
    told = json.loads(body)
    error = told.get("error")
    if isinstance(error, dict):
        return E if error["code"].isupper() else D
    if isinstance(told.get("detail"), dict):
        return ELEVEN
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
        ("/api/v1/account/", C),
        (f"/api/v1/transcripts/{ID}/export/srt/", C),
        ("/api/v1/keys", C),
        ("/nowhere", C),
        ("/", C),
        ("/api", C),
        ("/v1/tts/", D),
        ("/v1/voices/", D),
        ("/v1/tts/clone/", D),
        ("/v1/voices/preview/af_bella.mp3", D),
        ("/v1/results/task_abc123", D),
        ("/v1/audio/tmp/resp_xyz.mp3", D),
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
    settings = SimpleNamespace(vbee_http_errors=False, cors_origins=(), bound_hosts={})
    application: Any = http_routes(cast(Parts, SimpleNamespace(settings=settings)), cast(Any, None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as client:
        reply = await client.get("/b/nothing")
        assert (reply.status_code, reply.json()["error_code"]) == (200, "NOT_FOUND")
        assert (await client.get("/a/nothing")).status_code == 404


# -- raised anywhere, reached any way ------------------------------------------------------------------

HOSTS = {"a.test": "a", "b.test": "b", "c.test": "c", "d.test": "d", "e.test": "e", "x.test": "elevenlabs"}
SHAPES = {"a": A, "b": B, "c": C, "d": D, "e": E, "elevenlabs": ELEVEN}
PLAIN = {
    "a": "/api/v1/stt",
    "b": "/api/v1/tts",
    "c": "/v1/transcribe",
    "d": "/v1/stt/",
    "e": "/v1/tts",
}
FAILURES: dict[str, Exception] = {
    "401": VoiceError(Code.UNAUTHORIZED, "Who?"),
    "413": VoiceError(Code.TOO_LARGE, "Too much."),
    "429": VoiceError(Code.RATE_LIMITED, "Slower.", retry_after=3),
    "500": RuntimeError("a bug"),
}


def failing() -> Any:
    """The HTTP half over routes that fail as they are told to by a header, in every dialect."""

    async def fail(request: Request) -> Response:
        raise FAILURES[request.headers["x-fail"]]

    async def realtime(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("E renders its own errors (tests/stream/test_realtime.py)")

    paths = [*PLAIN.values(), "/c/v1/tts", "/d/v1/tts/", "/elevenlabs/v1/models"]
    paths += [f"/{name}{path}" for name, path in PLAIN.items()]
    settings = SimpleNamespace(vbee_http_errors=True, cors_origins=(), bound_hosts=HOSTS)
    routes = [Route(path, fail, methods=["POST"]) for path in paths]
    return http_routes(cast(Parts, SimpleNamespace(settings=settings)), realtime, routes)


WAYS = [
    (name, base, path)
    for name, plain in PLAIN.items()
    if name != "e"
    for base, path in ((f"http://{name}.test", plain), ("http://any", f"/{name}{plain}"), ("http://any", plain))
]


@pytest.mark.parametrize(("name", "base", "path"), WAYS, ids=[f"{base}{path}" for _, base, path in WAYS])
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_anywhere_wears_its_dialects_envelope(name: str, base: str, path: str, failure: str) -> None:
    """X11: by prefix, by host and by path; a bug as well as what a route means to say."""
    transport = httpx.ASGITransport(failing(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        answer = await client.post(path, headers={"x-fail": failure})
    assert shape(answer.content) == SHAPES[name]
    if (name, failure) != ("a", "413"):  # A6 counts it among the 400s
        assert answer.status_code == int(failure)
    assert "a bug" not in answer.text and ("retry-after" in answer.headers) == (failure == "429")


@pytest.mark.parametrize("name", SHAPES)
async def test_what_is_not_there_wears_the_envelope_of_prefix_and_host(name: str) -> None:
    """X11: 404 and 405 before there is a route, and the path is named as it was asked for."""
    transport = httpx.ASGITransport(failing())
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{'x' if name[1:] else name}.test") as on:
        for path in ("/nothing", "/v1/nothing/", "/api/v1/nothing", f"/{name}/nothing"):
            answer = await on.get(path)
            assert answer.status_code == (400 if name == "e" else 404)  # E11 has no 404
            assert shape(answer.content) == SHAPES[name] and path in answer.text
    if name == "e":  # its call is past the routes (tests/stream/test_realtime.py)
        return
    async with httpx.AsyncClient(transport=transport, base_url="http://any") as client:
        answer = await client.get(f"/{name}{PLAIN.get(name, '/v1/models')}")
        assert answer.status_code == 405 and shape(answer.content) == SHAPES[name]


async def test_a_shared_path_fails_as_whose_request_it_is() -> None:
    """X1, X11: C's and D's on the path that alone would be E's."""
    transport = httpx.ASGITransport(failing(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://any") as client:
        for failure in FAILURES:
            headers = {"x-fail": failure}
            cloning = await client.post("/v1/tts", files={"reference": b"RIFF"}, headers=headers)
            assert shape(cloning.content) == C
            speaking = await client.post("/v1/tts", json={"model": "m", "voice": "v"}, headers=headers)
            assert shape(speaking.content) == D
