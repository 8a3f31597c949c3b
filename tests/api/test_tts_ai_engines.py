"""What seed D's clients are told when engines fail or load (D22), with engines that do as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from accounts.schema import user
from engines.registry import EngineSpec
from server.accounts import opened
from server.app import create_app
from server.settings import Settings
from tests import engines_scripted as scripted
from tests.server.serving import serving

TTS = "/v1/tts/"
BODY = {"model": "tones", "text": "one two three", "voice": "tones-low", "format": "wav"}
IDLE_S = 0.3
PATIENCE_S = 20.0


@asynccontextmanager
async def server(data: Path, *specs: EngineSpec) -> AsyncIterator[httpx.AsyncClient]:
    """A server with these engines, and somebody rich to ask it."""
    settings = Settings(data=data)
    async with serving(create_app(settings, specs=specs)) as served:
        async with opened(settings.database_url) as accounts:
            somebody = await accounts.users.register("somebody@example.com", "correct horse battery")
            secret, _ = await accounts.keys.create("test", user_id=somebody.id)
        base, bearer = f"http://127.0.0.1:{served.port}", {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=base, headers=bearer, timeout=PATIENCE_S) as client:
            yield client


def error(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    told: dict[str, Any] = reply.json()["error"]
    assert told["code"] == code and "x-ratelimit-remaining" in reply.headers
    return told


async def spent(data: Path) -> int:
    """What everybody was charged so far."""
    async with opened(Settings(data=data).database_url) as accounts, accounts.store.read() as connection:
        users = (await connection.execute(select(user.c.id))).scalars().all()
        return sum([(await accounts.ledger.balance(connection, one)).spent for one in users])


async def test_engines_that_stand_ready(tmp_path: Path) -> None:
    """D2, D19, D20, D22: as many streams at once as the plan has jobs; an engine's own name is a model, its voices are
    its own; one that fails is not paid."""
    async with server(tmp_path, scripted.synthesizer(processes=2)) as client:
        await own_name(client, tmp_path)
        slow = {**BODY, "text": "one [[slow:2]] two", "stream": True}
        replies = await asyncio.gather(*(client.post(TTS, json=slow) for _ in range(3)))
        assert sorted(reply.status_code for reply in replies) == [200, 200, 429]
        refused = next(reply for reply in replies if reply.status_code == 429)
        error(refused, 429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
    async with server(tmp_path / "failing", scripted.synthesizer()) as client:
        error(await client.post(TTS, json={**BODY, "text": "one [[raise]] two"}), 500, "internal_error")
        at_once = {**BODY, "text": "[[raise]] one", "stream": True}
        error(await client.post(TTS, json=at_once), 500, "internal_error")
        with pytest.raises(httpx.RemoteProtocolError):  # it has begun: all that is left is to break off
            await client.post(TTS, json={**at_once, "text": "one [[raise]] two"})
    assert await spent(tmp_path / "failing") == 0


async def own_name(client: httpx.AsyncClient, data: Path) -> None:
    models = {row["id"]: row for row in (await client.get("/v1/models/")).json()["models"]}
    assert models["tones"]["tier"] == "free" and models["tones"]["credits_per_1k_chars"] == 1
    assert "whisper" not in models, "nothing here hears"
    listed = (await client.get("/v1/voices/", params={"model": "tones"})).json()
    assert {row["engine"] for row in listed["voices"]} == {"tones"} and listed["total"] >= 1
    spoken = await client.post(TTS, json=BODY)
    assert spoken.status_code == 200 and spoken.headers["x-engine"] == "tones"
    assert float(spoken.headers["x-credits-used"]) == len(BODY["text"]) / 1000
    assert await spent(data) == len(BODY["text"]) * 10
    told = error(await client.post(TTS, json={**BODY, "voice": "af_bella"}), 404, "not_found")
    assert "espeak-ng" in told["message"] and told["install"]


async def test_503_a_model_that_loads(tmp_path: Path) -> None:
    """Who streams is told when to come again; a whole file is waited for, while nobody else has begun to load it."""
    voice = replace(scripted.synthesizer(warm_s=0.5), idle_s=IDLE_S)
    async with server(tmp_path, voice) as client:
        for stream in (True, False):
            async with asyncio.timeout(PATIENCE_S):
                while await state(client) != "on_demand":  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.05)
            reply = await client.post(TTS, json={**BODY, "stream": stream})
            if stream:
                error(reply, 503, "model_loading")
                assert int(reply.headers["retry-after"]) >= 1
                again = await client.post(TTS, json=BODY)
                assert again.status_code in (200, 503), again.text
            else:
                assert reply.status_code == 200, reply.text


async def state(client: httpx.AsyncClient) -> str:
    rows = (await client.get("/v1/models")).json()["data"]
    return str(next(row["state"] for row in rows if row["owned_by"] == "tones"))
