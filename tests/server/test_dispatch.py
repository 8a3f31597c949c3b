"""Every request reaches its own dialect's routes, whole, and no more of it is read than it takes to tell (X1-X4)."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from protocol.route import PEEK_BYTES
from server.dialects import claims
from server.dispatch import Dispatcher, enter
from server.envelopes import error_response
from stream.socket import Message, Receive, Scope, Send

HOSTS = {"api.stt.ai": "c", "api.tts.ai": "d", "api.vbee.vn": "e"}
JSON = {"content-type": "application/json"}
CALL = {"text": "hi", "voiceCode": "v", "mode": "sync"}
OURS = {"model": "kokoro", "voice": "af_bella", "text": "hi"}


def application(hosts: dict[str, str] = HOSTS, **options: Any) -> Dispatcher:
    """A dispatcher before routes that tell who answered, and what was sent."""

    async def told(request: Request) -> Response:
        body = await request.body()
        return JSONResponse({"at": request.scope["path"], "size": len(body), "tail": body[-9:].decode("latin-1")})

    async def realtime(scope: Scope, receive: Receive, send: Send) -> None:
        response = await told(Request(scope, receive))
        await response(scope, receive, send)

    paths = ["/c/v1/tts", "/d/v1/tts/", "/c/v1/models", "/d/v1/models/", "/v1/models", "/v1/voices", "/healthz"]
    paths += ["/d/v1/voices/", "/elevenlabs/v1/models", "/elevenlabs/v1/voices", "/c/api/v1/account/"]
    others = Starlette(routes=[Route(path, told, methods=["GET", "POST"]) for path in paths])
    others.router.redirect_slashes = False
    return Dispatcher(realtime, others, claims(hosts), error_response, **options)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://anywhere") as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/tts", "/v1/tts/"])
async def test_a_call_reaches_its_own_routes_whole(http: httpx.AsyncClient, path: str) -> None:
    """X1, X2: on either spelling, and the body is all there."""
    files = {"reference": ("me.wav", b"RIFF" * 100_000)}
    assert (await http.post(path, files=files, data={"text": "x"})).json()["at"] == "/c/v1/tts"
    for body, headers, where in (
        (CALL, {}, "/e/v1/tts"),
        (OURS, {}, "/d/v1/tts/"),
        (OURS, {"App-Id": "one"}, "/e/v1/tts"),
        ({"text": "x"}, {}, "/d/v1/tts/" if path.endswith("/") else "/e/v1/tts"),
    ):
        sent = json.dumps(body).encode()
        answer = (await http.post(path, content=sent, headers={**JSON, **headers})).json()
        assert answer == {"at": where, "size": len(sent), "tail": sent[-9:].decode()}


async def test_a_long_body_is_told_by_its_start_and_arrives_whole(http: httpx.AsyncClient) -> None:
    """A text of 50,000 characters written as JSON escapes is longer than what is looked at."""
    text_last, text_first = {**OURS, "text": "\u1ea1" * 50_000}, {"text": "x" * 70_000, "model": "m", "voice": "v"}
    for body, where in ((text_last, "/d/v1/tts/"), (text_first, "/e/v1/tts")):
        sent = json.dumps(body).encode()
        assert len(sent) > PEEK_BYTES
        answer = (await http.post("/v1/tts", content=sent, headers=JSON)).json()
        assert (answer["at"], answer["size"]) == (where, len(sent))


@pytest.mark.parametrize(
    ("method", "path", "host", "where"),
    [
        ("GET", "/v1/models", "anywhere", "/v1/models"),
        ("GET", "/v1/models", "api.stt.ai", "/c/v1/models"),
        ("GET", "/v1/models", "API.TTS.ai:8443", "/d/v1/models/"),
        ("GET", "/v1/voices", "api.tts.ai", "/d/v1/voices/"),
        ("POST", "/v1/tts", "api.stt.ai", "/c/v1/tts"),
        ("POST", "/v1/tts", "api.tts.ai", "/d/v1/tts/"),
        ("POST", "/v1/tts/", "api.vbee.vn", "/e/v1/tts"),
        ("POST", "/d/v1/tts", "api.stt.ai", "/d/v1/tts/"),
        ("GET", "/api/v1/account/", "api.stt.ai", "/c/api/v1/account/"),
        ("GET", "/healthz", "api.stt.ai", "/healthz"),
    ],
)
async def test_a_host_is_as_good_as_a_prefix(
    http: httpx.AsyncClient, method: str, path: str, host: str, where: str
) -> None:
    """The escape hatch: nothing is sniffed, and a prefix wins."""
    answer = await http.request(method, path, headers={**JSON, "host": host}, json=CALL if method == "POST" else None)
    assert answer.json()["at"] == where


@pytest.mark.parametrize(
    ("path", "host", "where"),
    [
        ("/v1/stream", "api.stt.ai", "/c/v1/stream"),
        ("/c/v1/stream", "api.tts.ai", "/c/v1/stream"),
        ("/v1/stream", "api.tts.ai", "/d/v1/stream"),
        ("/v1/stream/tts", "elsewhere", "/v1/stream/tts"),
    ],
)
def test_streams_follow_the_host(path: str, host: str, where: str) -> None:
    connection: Scope = {"type": "websocket", "path": path, "headers": [(b"host", host.encode())]}
    assert enter(connection, claims(HOSTS)) == connection["path"] == where


async def test_elevenlabs_clients_are_known_by_their_header(http: httpx.AsyncClient) -> None:
    """X3, X4."""
    for path in ("/v1/models", "/v1/voices"):
        assert (await http.get(path, headers={"xi-api-key": "k"})).json()["at"] == f"/elevenlabs{path}"
        assert (await http.get(path)).json()["at"] == path


async def test_a_get_waits_for_no_body(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/tts")).json()["at"] == "/e/v1/tts"
    assert (await http.get("/v1/tts/")).json()["at"] == "/d/v1/tts/"


# -- what is read, and when --------------------------------------------------------------------------


def scope(path: str, **headers: str) -> Scope:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": fields}


async def passed(path: str, **headers: str) -> int:
    """How many pieces of a body were taken before the dialect's own routes were asked."""
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b'{"a": "' + b"x" * 16_384, "more_body": True}

    async def routes(_scope: Scope, _receive: Receive, _send: Send) -> None:
        return None

    async def send(_message: Message) -> None:
        raise AssertionError("nobody answers")

    await Dispatcher(routes, routes, claims(), error_response)(scope(path, **headers), receive, send)
    return taken


async def test_no_more_is_read_than_it_takes() -> None:
    """A multipart body is not touched, nor one that is E's by its header or its prefix."""
    for path in ("/v1/tts", "/v1/tts/"):
        assert await passed(path, content_type="multipart/form-data; boundary=x") == 0
        assert await passed(path, content_type="application/json") == 4, "64 KiB"
    for path in ("/e/v1/tts", "/c/v1/tts", "/d/v1/tts/"):
        assert await passed(path, content_type="application/json") == 0
    assert await passed("/v1/tts", content_type="application/json", app_id="one") == 0


async def answered(*messages: Message, **options: Any) -> list[Message]:
    """What is sent to a client that sends no more than this."""
    waiting: Iterator[Message] = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await application(**options)(scope("/v1/tts/"), receive, send)
    return sent


async def test_a_body_that_never_comes_is_told_in_the_paths_envelope() -> None:
    sent = await answered({"type": "http.request", "body": b"{", "more_body": True}, body_s=0.05)
    assert sent[0]["status"] == 408 and json.loads(sent[1]["body"])["error"]["code"] == "bad_request"


async def test_a_client_that_leaves_in_the_middle_is_not_answered() -> None:
    gone: Message = {"type": "http.disconnect"}
    assert await answered({"type": "http.request", "body": b"{", "more_body": True}, gone) == []
