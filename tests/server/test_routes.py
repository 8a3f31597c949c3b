"""The HTTP routes of a server started without any settings, and who it lets in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from loadtest.recordings import CHECKPOINT
from tests.admission import admitted
from tests.server.conftest import Started, started
from tests.server.serving import until


@pytest.fixture
def http(server: Started) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base, timeout=10) as client:
        yield client


def bearer(server: Started) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.key}"}


async def ready(server: Started, path: str = "/v1/stream", **options: Any) -> dict[str, Any]:
    """Open a stream and end it; the server's first message."""
    async with await admitted(server.ws + path, **options) as stream:
        await stream.send("{}")
        message: dict[str, Any] = json.loads(await stream.recv())
        await stream.send('{"action": "stop"}')
        async for _ in stream:
            pass
        return message


async def refusal(server: Started, path: str = "/v1/stream", **options: Any) -> httpx.Response:
    """How a handshake is refused."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(server.ws + path, **options)
    response = refused.value.response
    return httpx.Response(response.status_code, headers=dict(response.headers), content=bytes(response.body or b""))


def test_the_banner_says_what_there_is_and_what_to_paste(server: Started) -> None:
    assert "pocketsphinx" in server.banner and "US English only, modest accuracy" in server.banner
    assert "models pull" in server.banner and "espeak-ng" in server.banner
    pasted = server.banner.split("Try it:")[1]
    assert all(word in pasted for word in ("curl", "/v1/tts", server.key, "listen", "doctor"))


def test_health(http: httpx.Client) -> None:
    """C19."""
    assert http.get("/health").json().keys() == {"status", "gpu_available", "gpu_name", "gpu_memory_mb"}
    assert http.get("/health").json()["status"] == "ok"
    assert http.get("/healthz").text == "ok\n"
    assert (http.get("/readyz").status_code, http.get("/readyz").text) == (200, "ready\n")
    assert http.head("/healthz").status_code == 200


def test_models_serve_two_kinds_of_client_at_once(http: httpx.Client) -> None:
    """C11 and X3: ``languages`` is a number, and OpenAI's list is there too."""
    document = http.get("/v1/models").json()
    (model,) = document["models"]
    assert model == {"id": "pocketsphinx", "name": "PocketSphinx US English", "languages": 1, "speed": "very_fast"}
    assert document["object"] == "list"
    by_task = {row["id"]: row["task"] for row in document["data"]}
    assert (by_task["pocketsphinx"], by_task["espeak-ng"]) == ("recognize", "synthesize")
    assert all(row["object"] == "model" for row in document["data"])


def test_languages(http: httpx.Client) -> None:
    """C12."""
    assert http.get("/v1/languages").json() == {"languages": [{"code": "en", "name": "english"}]}


def test_voices_can_be_filtered(http: httpx.Client) -> None:
    """D20."""
    everything = http.get("/v1/voices").json()
    assert everything["total"] == len(everything["voices"]) > 60
    assert "hn_female_ngochuyen_full_48k-fhg" in {voice["id"] for voice in everything["voices"]}
    some = http.get("/v1/voices", params={"language": "vi", "gender": "male"}).json()["voices"]
    assert some and all(voice["language"] == "vi" and voice["gender"] == "male" for voice in some)
    assert http.get("/v1/voices", params={"model": "none"}).json() == {"voices": [], "total": 0}


def test_metrics_are_prometheus_text(http: httpx.Client) -> None:
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for name in ("sessions", "queue_delay", "decode", "partial_latency", "final_latency", "first_audio",
                 "realtime_factor", "loop_lag", "rejected"):  # fmt: skip
        assert f"# TYPE voxline_{name}" in answer.text, name


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/nothing", 404, {"error": "There is nothing at /nothing."}),
        ("GET", "/v1/x/", 404, {"error": {"code": "not_found", "message": "There is nothing at /v1/x/."}}),
        ("POST", "/health", 405, {"error": "POST is not possible at /health."}),
        ("GET", "/v1/stream", 404, {"error": "There is nothing at /v1/stream."}),
    ],
)
def test_what_is_not_there_is_a_plain_error_and_never_a_redirect(
    http: httpx.Client, method: str, path: str, status: int, body: dict[str, object]
) -> None:
    """C21, X2; and D22's envelope where the path is written as seed D writes its own."""
    answer = http.request(method, path)
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_wrong_method_on_the_call_wears_its_dialect(http: httpx.Client) -> None:
    """X11."""
    for path in ("/v1/tts", "/e/v1/tts"):
        answer = http.get(path)
        assert answer.status_code == 405 and answer.json()["error"].keys() == {"code", "message"}


# -- tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["", "{}", '{"expires_in": 30}'])
def test_a_key_mints_a_token(server: Started, http: httpx.Client, body: str) -> None:
    answer = http.post("/v1/tokens", content=body, headers=bearer(server))
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    assert answer.json()["expires_in"] == (30 if "30" in body else 60)
    assert answer.json()["token"].startswith("vt-")


@pytest.mark.parametrize("value", ["0", "601", "1.5", '"60"', "true", "null"])
def test_a_wrong_life_of_a_token_is_named(server: Started, http: httpx.Client, value: str) -> None:
    answer = http.post("/v1/tokens", content=f'{{"expires_in": {value}}}', headers=bearer(server))
    assert answer.status_code == 400 and "expires_in" in answer.json()["error"]


@pytest.mark.parametrize("body", ["[]", "{", "nothing", b"\xff\xfe", "9" * 70_000, "[" * 30_000])
def test_a_body_that_is_no_object_is_refused(server: Started, http: httpx.Client, body: str | bytes) -> None:
    assert http.post("/v1/tokens", content=body, headers=bearer(server)).status_code in (400, 413)


def test_without_a_key_or_with_a_token_no_token_is_minted(server: Started, http: httpx.Client) -> None:
    token = http.post("/v1/tokens", headers=bearer(server)).json()["token"]
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {token}"}):
        answer = http.post("/v1/tokens", headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert isinstance(answer.json()["error"], str)


async def test_a_token_opens_one_stream(server: Started) -> None:
    async with httpx.AsyncClient(base_url=server.base) as http:
        token = (await http.post("/v1/tokens", headers=bearer(server))).json()["token"]
    assert (await ready(server, subprotocols=["voxline", f"token.{token}"]))["status"] == "ready"
    assert (await refusal(server, f"/v1/stream?token={token}")).status_code == 401


async def test_a_token_is_not_spent_on_a_refusal(tmp_path: Path) -> None:
    """The server asked whose it was, which spends it, before it said that it was full."""
    with started(tmp_path, sessions="1", whisper_model=str(CHECKPOINT)) as full:
        async with httpx.AsyncClient(base_url=full.base) as http:
            token = (await http.post("/v1/tokens", headers=bearer(full))).json()["token"]
        for path in ("/v1/stream", "/v1/stream/tts"):
            async with connect(full.ws + path, additional_headers=bearer(full)) as stream:
                await stream.send("{}")
                await stream.recv()
                answer = await refusal(full, f"{path}?token={token}")
                assert answer.status_code == 503 and answer.headers["retry-after"]
        await until(lambda: 'voxline_sessions{kind="speak"} 0.0' in httpx.get(f"{full.base}/metrics").text)
        assert (await ready(full, f"/v1/stream?token={token}"))["status"] == "ready"


# -- who may come in ---------------------------------------------------------------------------------


async def test_a_stream_takes_the_key_in_each_of_its_places(server: Started) -> None:
    """C10, X12."""
    assert (await ready(server, additional_headers=bearer(server)))["status"] == "ready"
    assert (await ready(server, subprotocols=["token", server.key]))["status"] == "ready"
    assert (await ready(server, f"/v1/stream?token={server.key}"))["status"] == "ready"
    assert (await ready(server, "/c/v1/stream", additional_headers=bearer(server)))["status"] == "ready"


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/stream/tts"])
async def test_a_wrong_key_is_refused_before_the_stream_is_accepted(server: Started, path: str) -> None:
    wrong = server.key[:-1] + ("y" if server.key.endswith("x") else "x")
    answer = await refusal(server, path, additional_headers={"Authorization": f"Bearer {wrong}"})
    assert answer.status_code == 401 and isinstance(answer.json()["error"], str)


async def test_a_stream_that_is_not_there_is_a_404(server: Started) -> None:
    answer = await refusal(server, "/v2/stream")
    assert answer.status_code == 404 and answer.json() == {"error": "There is no stream at /v2/stream."}


async def test_without_a_key_one_stream_at_once(server: Started) -> None:
    """C3; the second is told when to come back."""
    async with await admitted(f"{server.ws}/v1/stream") as stream:
        await stream.send("{}")
        assert json.loads(await stream.recv())["status"] == "ready"
        answer = await refusal(server)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0


async def test_nothing_that_was_said_is_in_the_log(server: Started) -> None:
    """What PocketSphinx makes of a synthetic voice is often wrong; it is nobody else's business all the same."""
    text = "Zanzibar marmalade forward seven meters."
    call = {"text": text, "voiceCode": "en-us-male-1", "outputFormat": "pcm", "sampleRate": 16000, "mode": "sync"}
    async with httpx.AsyncClient(base_url=server.base) as http:
        sound = (await http.post("/v1/tts", json=call, headers={**bearer(server), "App-Id": "test"})).content
    assert len(sound) > 32000
    async with await admitted(f"{server.ws}/v1/stream", additional_headers=bearer(server)) as stream:
        await stream.send(json.dumps({"language": "en", "prompt": "Timbuktu"}))
        await stream.send(sound)
        await stream.send('{"action": "stop"}')
        heard = [json.loads(line) async for line in stream]
    final = " ".join(message["text"] for message in heard if message.get("text"))
    assert final
    await until(lambda: "listen session ended" in server.log)
    assert not any(words in server.log for words in (final, "Zanzibar", "marmalade", "Timbuktu"))


async def test_no_key_and_no_token_is_in_the_log(server: Started) -> None:
    """X5; by now the tests above have used them in every place."""
    await ready(server, f"/v1/stream?token={server.key}")
    async with httpx.AsyncClient(base_url=server.base) as http:
        await http.get(f"/nothing?token={server.key}")
    await until(lambda: "/nothing" in server.log)
    assert server.key not in server.log and not re.search(r"(sk-ov-|vt-)\w{8}", server.log)
    assert "Traceback" not in server.log and '"level": "error"' not in server.log
