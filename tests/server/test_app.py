"""The application by itself: a bug in a handler, an engine that does not come up, a request while nothing runs."""

import json
import logging
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from accounts.keys import Keys
from engines.base import Task
from engines.registry import EngineSpec
from server.app import App, create_app
from server.routes import Routes
from server.settings import Settings
from tests.server.serving import serving

Message = MutableMapping[str, Any]
SECRET = "the words of a caller"


def app(tmp_path: Path, **settings: object) -> App:
    """An application without engines."""
    return create_app(Settings(data=tmp_path, **settings), specs=[])  # type: ignore[arg-type]


async def test_a_bug_is_a_plain_500_and_tells_neither_client_nor_log_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P6."""

    async def broken(*_: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(Routes, "health", broken)
    async with serving(app(tmp_path)) as served, httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{served.port}/health")
    assert (answer.status_code, answer.json()) == (500, {"error": "Something went wrong here."})
    assert any(record.message == "request failed" for record in caplog.records)


async def test_a_store_that_fails_is_a_500_for_a_stream_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It used to be uvicorn's own bare answer."""

    async def broken(*_: object) -> None:
        raise OSError(SECRET)

    monkeypatch.setattr(Keys, "verify", broken)
    async with serving(app(tmp_path)) as served:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{served.port}/v1/stream/tts?token=sk-ov-x")
    answer = refused.value.response
    problem = {"error": "Something went wrong here.", "code": "internal"}
    assert (answer.status_code, json.loads(answer.body or b"")) == (500, problem)


async def test_a_request_is_logged_without_its_query_and_a_probe_only_for_debugging(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "voxline.app")
    async with serving(app(tmp_path)) as served, httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        await http.get(f"/v1/languages?token={SECRET}")
        await http.get("/healthz")
    requests = [record for record in caplog.records if record.message == "request"]
    assert [(record.levelno, record.__dict__["path"]) for record in requests] == [
        (logging.INFO, "/v1/languages"),
        (logging.DEBUG, "/healthz"),
    ]
    assert SECRET not in caplog.text


async def test_without_engines_it_is_up_and_says_what_is_missing(tmp_path: Path) -> None:
    async with serving(app(tmp_path)) as served, httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        listed = (await http.get("/v1/models")).json()
        assert listed["data"] == listed["models"] == []
        assert listed["not_installed"]
        assert (await http.get("/v1/voices")).json() == {"voices": [], "total": 0}


async def test_browsers_of_allowed_origins_may_call(tmp_path: Path) -> None:
    origin = "https://app.example"
    async with (
        serving(app(tmp_path, cors_origins=origin)) as served,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http,
    ):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "app-id"}
        answer = await http.options("/v1/tts", headers=asked)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == origin
        ours = await http.get("/v1/models", headers={"Origin": origin})
        assert ours.headers["access-control-expose-headers"] == "*", "what it cost is in a header"
        other = await http.get("/v1/models", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_an_engine_that_cannot_start_is_explained(tmp_path: Path) -> None:
    spec = EngineSpec("gone", Task.RECOGNIZE, "no.such.module:factory", install="pip install gone")
    broken = create_app(Settings(data=tmp_path), specs=[spec])
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    await broken({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert broken.failure and "gone" in broken.failure


async def test_an_application_that_crashes_asks_to_be_replaced(tmp_path: Path) -> None:
    """Engines that all end at once leave a server that can do nothing: better none."""
    crashed: list[bool] = []
    doomed = app(tmp_path)
    doomed.on_crash = lambda: crashed.append(True)
    started = False

    async def receive() -> Message:
        if started:
            raise RuntimeError("the engines are gone")
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        nonlocal started
        started = True

    with pytest.raises(ExceptionGroup):
        await doomed({"type": "lifespan"}, receive, send)
    assert crashed
