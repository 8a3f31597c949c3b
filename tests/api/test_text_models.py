"""Work on texts through a server whose operator has set the address of a language model."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.api import serving
from tests.api.serving import Api
from tests.batch.language_server import LanguageServer, language_server, saying

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET, TALK = "sk-endpoint-secret", "Tom will call the supplier by Friday."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[LanguageServer]:
    async with language_server(lambda _asked: saying("Written for you.", "big-1")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(model: LanguageServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Api, Path]]:
    data = tmp_path_factory.mktemp("texts")
    options = {"text_url": model.url, "text_key": SECRET, "text_model": "big", "workers": "0", "whisper_model": ""}
    with serving.serve(data, **options) as running:
        running.people.append(await asyncio.to_thread(running.person))
        yield running, data


def client(api: Api) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=api.base, headers=api.people[0].bearer, timeout=240)


async def test_it_writes_and_translates(api: tuple[Api, Path], model: LanguageServer) -> None:
    """C7, C13, C15: and is named."""
    async with client(api[0]) as http:
        written = (await http.post("/v1/generate", json={"text": TALK, "type": "blog_post"})).json()
        assert written["model"] == "big-1" and "Written for you." in str(written)
        summary = (await http.post("/v1/summarize", json={"text": TALK})).json()
        assert (summary["summary"], summary["model"]) == ("Written for you.", "big-1")
        body = {"texts": ["Hello", "World"], "target": "mni_Mtei", "source": "en"}
        done = (await http.post("/v1/translate", json=body)).json()
        assert [one["translated_text"] for one in done["translations"]] == ["Written for you."] * 2
    assert "'mni_Mtei'" in model.asked[-1]["messages"][0]["content"]
    assert model.headers[-1]["authorization"] == f"Bearer {SECRET}"


async def test_work_ends_when_its_client_leaves(api: tuple[Api, Path], model: LanguageServer) -> None:
    replies, model.replies = model.replies, [None]
    model.arrived.clear()
    try:
        async with client(api[0]) as http:
            asking = asyncio.ensure_future(http.post("/v1/summarize", json={"text": TALK}))
            async with asyncio.timeout(30):
                await model.arrived.wait()
                asking.cancel()
                await model.left.wait()
    finally:
        model.replies = replies


async def test_a_busy_one_is_busy_to_the_client_too(api: tuple[Api, Path], model: LanguageServer) -> None:
    """C21."""
    replies, model.replies = model.replies, [lambda _asked: (429, {"Retry-After": "0"}, b"{}")]
    try:
        async with client(api[0]) as http:
            reply = await http.post("/v1/generate", json={"text": TALK, "type": "quiz"})
    finally:
        model.replies = replies
    assert reply.status_code in (429, 503) and isinstance(reply.json()["error"], str)


async def test_neither_key_nor_text_is_logged(api: tuple[Api, Path]) -> None:
    log = await asyncio.to_thread((api[1] / "server.log").read_text)
    assert "request" in log and SECRET not in log and "supplier" not in log and "Written for you" not in log
