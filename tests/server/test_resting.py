"""A live model that was put away for want of use: who comes next is told when to come again (D22), and then served."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from server.app import create_app
from server.settings import Settings
from tests import engines_scripted as scripted
from tests.server.serving import serving

IDLE_S = 0.5
PATIENCE_S = 20.0


async def models(http: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    return {row["owned_by"]: row for row in (await http.get("/v1/models")).json()["data"]}


async def until_state(http: httpx.AsyncClient, engine: str, state: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while (row := (await models(http))[engine])["state"] != state:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.02)
    return row


async def test_a_caller_is_told_that_the_model_is_loading_and_when_to_come_again(tmp_path: Path) -> None:
    ears = replace(scripted.recognizer(name="scripted-recognizer", warm_s=0.5), idle_s=IDLE_S)
    voice = replace(scripted.synthesizer(), idle_s=IDLE_S)
    application = create_app(
        Settings(data=tmp_path, anonymous_per_day=0, anonymous_at_once=0), specs=[ears, voice, scripted.detector()]
    )
    async with serving(application) as served, httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        loaded = (await models(http))["scripted-recognizer"]
        assert loaded["state"] == "loaded" and loaded["load_seconds"] >= 0.5 and loaded["memory_mb"] > 0
        away = await until_state(http, "scripted-recognizer", "on_demand")
        assert away["memory_mb"] == 0 and away["load_seconds"] == loaded["load_seconds"]
        assert (await http.get("/readyz")).status_code == 200
        hears = f"ws://127.0.0.1:{served.port}/v1/stream"
        with pytest.raises(InvalidStatus) as refused:
            await connect(hears)
        answer = refused.value.response
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert "loaded" in json.loads(answer.body or b"")["error"]
        assert (await models(http))["scripted-recognizer"]["state"] == "loading"
        await until_state(http, "scripted-recognizer", "loaded")
        async with connect(hears) as stream:
            await stream.send('{"language": "en"}')
            assert json.loads(await stream.recv())["status"] == "ready"
            await stream.send(scripted.tone(0.9))
            await stream.send('{"action": "stop"}')
            said = [json.loads(message).get("text") async for message in stream]
        assert scripted.words_of(0.9) in said


async def test_so_is_who_wants_to_hear_something(tmp_path: Path) -> None:
    voice = replace(scripted.synthesizer(), idle_s=IDLE_S)
    settings = Settings(data=tmp_path, anonymous_per_day=0, anonymous_at_once=0)
    application = create_app(settings, specs=[voice])
    async with serving(application) as served, httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        await until_state(http, "tones", "on_demand")
        codes = []
        for _ in range(2):
            async with connect(f"ws://127.0.0.1:{served.port}/v1/stream/tts") as stream:
                await stream.send('{"voice": "tones-low", "pace": false}')
                await stream.send('{"text": "one two"}')
                await stream.send('{"action": "stop"}')
                told: list[str | bytes] = []
                with suppress(ConnectionClosedError):
                    async for message in stream:
                        told.append(message)
            errors = [json.loads(one) for one in told if isinstance(one, str) and "error" in json.loads(one)]
            codes.append(stream.close_code)
            if errors:
                assert errors[-1]["code"] == "model_loading" and errors[-1]["retry_after"] >= 1
                await until_state(http, "tones", "loaded")
            else:
                assert any(isinstance(one, bytes) for one in told)
        assert codes == [1013, 1000]
