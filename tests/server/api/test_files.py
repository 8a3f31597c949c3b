"""``/audio/{name}`` over HTTP: whole files and parts, what is not there, and what an answer lets a browser do."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from accounts.schema import artifact
from accounts.store import Store, open_store
from batch.artifacts import Artifacts
from batch.disk import Watermark
from protocol.errors import Code, VoiceError
from server.api.files import Files
from tests.batch.clocks import Clock
from tests.batch.rows import make_job, make_user
from tests.batch.test_artifacts import traversals

DATA = bytes(range(256)) * 1000
STATUS = {Code.NOT_FOUND: 404, Code.GONE: 410}


@dataclass
class Output:
    role: str
    path: Path


@dataclass
class Served:
    """The route, and files behind it."""

    client: httpx.AsyncClient
    app: Starlette
    artifacts: Artifacts
    store: Store
    clock: Clock
    directory: Path

    async def publish(self, extension: str = "mp3", data: bytes = DATA, lifetime_s: float = 86400) -> str:
        """The path of a new file."""
        path = self.directory / f"new.{extension}"
        path.write_bytes(data)
        user = await make_user(self.store)
        made = await self.artifacts.publish(
            [Output("audio", path)],
            kind="tts",
            job_id=await make_job(self.store, user),
            user_id=user,
            lifetime_s=lifetime_s,
        )
        async with self.store.write() as connection:
            await connection.execute(insert(artifact), [each.values() for each in made])
        return f"/audio/{made[0].name}"


async def failed(_request: Request, error: VoiceError) -> Response:
    return Response(error.message, STATUS[error.code])


async def made_now(request: Request) -> Response:
    """As a route answers that waited for its job: A19, A40."""
    files: Files = request.app.state.files
    return await files.whole(request.path_params["name"], {"X-Credits-Used": "5", "Content-Disposition": "attachment"})


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    store, clock = await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db"), Clock()
    artifacts = Artifacts(tmp_path / "artifacts", store, now=clock, choice=secrets.choice, watermark=Watermark(0, 0, 0))
    files = Files(artifacts, now=clock, send_deadline_s=0.2)
    handlers: dict[Any, Any] = {VoiceError: failed}
    routes = [Route("/audio/{name}", files.get), Route("/now/{name}", made_now, methods=["POST"])]
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.files = files
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield Served(client, app, artifacts, store, clock, tmp_path)
    await store.aclose()


async def test_a_whole_file_to_anybody_with_or_without_a_key(served: Served) -> None:
    """A26."""
    path = await served.publish()
    for headers in ({}, {"Authorization": "Bearer whatever"}):
        answer = await served.client.get(path, headers=headers)
        assert (answer.status_code, answer.content) == (200, DATA)
        assert answer.headers["content-length"] == str(len(DATA))
        assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("extension", "media_type", "disposition"),
    [
        ("wav", "audio/wav", "inline"),
        ("mp3", "audio/mpeg", "inline"),
        ("flac", "audio/flac", "inline"),
        ("ogg", "audio/ogg", "inline"),
        ("srt", "application/x-subrip; charset=utf-8", "attachment"),
        ("vtt", "text/vtt; charset=utf-8", "attachment"),
        ("txt", "text/plain; charset=utf-8", "attachment"),
        ("json", "application/json", "attachment"),
    ],
)
async def test_a_browser_may_play_it_or_save_it_and_nothing_else(
    served: Served, extension: str, media_type: str, disposition: str
) -> None:
    path = await served.publish(extension)
    headers = (await served.client.get(path)).headers
    assert headers["content-type"] == media_type
    assert headers["content-disposition"] == f'{disposition}; filename="{path.removeprefix("/audio/")}"'
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "private, max-age=3600"
    policy = headers["content-security-policy"].split("; ")
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert not any("script" in each for each in policy)


async def test_no_cache_keeps_it_longer_than_we_do(served: Served) -> None:
    path = await served.publish(lifetime_s=100)
    served.clock.time += 40
    assert (await served.client.head(path)).headers["cache-control"] == "private, max-age=60"


async def test_head_says_all_and_sends_nothing(served: Served) -> None:
    path = await served.publish()
    whole, head = await served.client.get(path), await served.client.head(path, headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_file_can_only_be_read(served: Served, method: str) -> None:
    assert (await served.client.request(method, await served.publish())).status_code == 405


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=100-199", 100, 199), ("bytes=-100", 255_900, 255_999), ("bytes=255999-", 255_999, 255_999)],
)
async def test_a_part(served: Served, asked: str, first: int, last: int) -> None:
    """What a player asks for when somebody moves its slider."""
    answer = await served.client.get(await served.publish(), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, DATA[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize(
    "asked", ["bytes=256000-", "bytes=-0", "bytes=" + ",".join(f"{at}-{at}" for at in range(1000))]
)
async def test_no_such_part(served: Served, asked: str) -> None:
    """X8: a Range of 1,000 parts among them."""
    answer = await served.client.get(await served.publish(), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


async def test_several_parts_are_answered_with_the_whole(served: Served) -> None:
    answer = await served.client.get(await served.publish(), headers={"Range": "bytes=0-1,5-6"})
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_what_a_client_has_already_is_not_sent_again(served: Served) -> None:
    path = await served.publish()
    tag = (await served.client.get(path)).headers["etag"]
    for known in (tag, "*", f'"x", W/{tag}'):
        answer = await served.client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
    assert (await served.client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
    part = {"Range": "bytes=0-9"}
    assert (await served.client.get(path, headers={**part, "If-Range": tag})).status_code == 206
    assert (await served.client.get(path, headers={**part, "If-Range": '"other"'})).status_code == 200


async def test_an_empty_file(served: Served) -> None:
    path = await served.publish("txt", b"")
    answer = await served.client.get(path)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await served.client.get(path, headers={"Range": "bytes=0-"})).status_code == 416


async def test_gone_is_not_the_same_as_never(served: Served) -> None:
    path = await served.publish(lifetime_s=60)
    assert (await served.client.get("/audio/tts_" + "a" * 22 + ".wav")).status_code == 404
    served.clock.time += 60
    assert (await served.client.get(path)).status_code == 410
    await served.artifacts.sweep()
    assert (await served.client.get(path)).status_code == 410


async def test_the_same_file_answers_the_call_that_had_it_made(served: Served) -> None:
    """A40: a file with X-Credits-Used and the like."""
    name = (await served.publish("wav")).removeprefix("/audio/")
    answer = await served.client.post(f"/now/{name}", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, DATA)
    assert (answer.headers["content-type"], answer.headers["x-credits-used"]) == ("audio/wav", "5")
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["content-length"] == str(len(DATA))
    assert not {"etag", "accept-ranges"} & answer.headers.keys()


async def test_no_path_leads_anywhere_else(served: Served) -> None:
    """X4, through a real router: 200 traversal strings, as they are and escaped."""
    name = (await served.publish()).removeprefix("/audio/")
    asked = [each for each in traversals(name) if each != name and len(each) < 1000]
    for each in asked:
        scope = {"type": "http", "method": "GET", "path": f"/audio/{each}", "headers": [], "query_string": b""}
        sent: list[dict[str, Any]] = []

        async def send(message: Any, sent: list[dict[str, Any]] = sent) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        await served.app(scope, receive, send)
        assert sent[0]["status"] in (404, 307), each
        assert DATA[:256] not in b"".join(message.get("body", b"") for message in sent)


async def test_a_client_that_takes_nothing_is_left_and_the_file_closed(served: Served) -> None:
    """pytest turns a file that was never closed into an error."""
    path, forever = await served.publish(), asyncio.Event()
    sent = 0

    async def send(message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 3:
            await forever.wait()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    async with asyncio.timeout(5):
        await served.app(scope, receive, send)
    assert sent == 3
