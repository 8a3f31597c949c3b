"""Who may come in: keys in every place a client can put them, single-use tokens, and the anonymous tier of C3."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from loadtest.recordings import record
from loadtest.subject import Subject
from tests.acceptance.listening import bearer, hear
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.subjects import serving

PATHS = ("/v1/stream", "/v1/stream/tts")
DAY_S = 86_400


@asynccontextmanager
async def opened(address: str, **how: Any) -> AsyncIterator[ClientConnection]:
    """A configured stream."""
    async with asyncio.timeout(20), connect(address, **how) as socket:
        await socket.send("{}")
        assert json.loads(await socket.recv())["status"] == "ready"
        yield socket


async def refused(address: str, **how: Any) -> httpx.Response:
    """How the handshake is refused."""
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(address, **how):
            raise AssertionError("the stream was let in")
    answer = refusal.value.response
    return httpx.Response(answer.status_code, headers=dict(answer.headers), content=bytes(answer.body or b""))


def ways(secret: str) -> list[tuple[str, dict[str, Any], str | None]]:
    """Where a key or token may stand: a query, what else the handshake has, and the subprotocol that is echoed."""
    return [
        ("", {"additional_headers": bearer(secret)}, None),
        ("", {"additional_headers": {"authorization": f"bearer {secret}"}}, None),
        ("", {"subprotocols": ["voxline", f"token.{secret}"]}, "voxline"),
        ("", {"subprotocols": ["token", secret]}, "token"),
        (f"?token={secret}", {}, None),
        (f"?api_key={secret}", {}, None),
    ]


WAYS = range(len(ways("")))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_key_is_taken_wherever_it_stands(live: Subject, path: str, way: int) -> None:
    query, how, echoed = ways(live.key)[way]
    async with opened(f"{live.ws}{path}{query}", **how) as socket:
        assert socket.subprotocol == echoed


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_wrong_key_is_refused_wherever_it_stands(live: Subject, path: str, way: int) -> None:
    """A wrong key is not taken for no key: nobody falls into the anonymous tier unawares."""
    query, how, _ = ways(live.key[:-1] + ("a" if live.key[-1] != "a" else "b"))[way]
    answer = await refused(f"{live.ws}{path}{query}", **how)
    assert answer.status_code == 401
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("way", WAYS)
async def test_a_token_opens_one_session(live: Subject, way: int) -> None:
    """Single use: the second handshake with it is refused, though the first session still lives."""
    async with httpx.AsyncClient(base_url=live.http, headers=bearer(live.key)) as client:
        answer = await client.post("/v1/tokens", json={"expires_in": 30})
    assert answer.status_code == 201 and answer.json()["expires_in"] == 30
    query, how, _ = ways(answer.json()["token"])[way]
    async with opened(f"{live.ws}/v1/stream{query}", **how):
        assert (await refused(f"{live.ws}/v1/stream{query}", **how)).status_code == 401
    assert (await refused(f"{live.ws}/v1/stream/tts{query}", **how)).status_code == 401


async def test_a_token_pays_for_one_call(live: Subject) -> None:
    """The synchronous call takes a token, too, and only once."""
    body = {"text": "Xin chào.", "mode": "sync", "voiceCode": "hn_female_ngochuyen_full_48k-fhg"}
    async with httpx.AsyncClient(base_url=live.http) as client:
        token = (await client.post("/v1/tokens", headers=bearer(live.key))).json()["token"]
        calls = [
            await client.post("/v1/tts", json=body, headers={**bearer(token), "App-Id": "browser"}) for _ in range(2)
        ]
        assert [call.status_code for call in calls] == [200, 401]
        assert (await client.post("/v1/tokens", headers=bearer(token))).status_code == 401, "a token minted another"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Subject]:
    """A server with the anonymous tier as it is by default, and little patience."""
    with serving(anonymous_per_day="3", idle_timeout="0.8", first_message_timeout="0.8") as server:
        yield server


async def test_the_anonymous_tier(guarded: Subject) -> None:
    """C3: an address has one session at once and three a day; more is 429 with C21's body. A key has no such limit."""
    address = f"{guarded.ws}/v1/stream"
    (sentence,) = held_out_sentences("en", 1, seed=21)
    pcm = record([sentence], pause=1.0).pcm
    async with opened(address):  # says nothing, and so does not count for the day
        at_once = await refused(address)
    assert at_once.status_code == 429 and int(at_once.headers["retry-after"]) >= 1
    assert list(at_once.json()) == ["error"] and "at once" in at_once.json()["error"]

    for _ in range(3):
        async with asyncio.timeout(30), connect(address) as socket:
            await socket.send('{"language": "en"}')
            await socket.send(pcm)
            await socket.send('{"action": "stop"}')
            texts = [json.loads(message).get("text") async for message in socket]
        assert sentence in texts

    for headers in ({}, {"X-Forwarded-For": "203.0.113.7"}, {"Forwarded": "for=203.0.113.7"}):
        fourth = await refused(address, additional_headers=headers)
        assert fourth.status_code == 429
        assert DAY_S - 120 < int(fourth.headers["retry-after"]) <= DAY_S
        assert fourth.headers["content-type"] == "application/json"
        assert list(fourth.json()) == ["error"] and "3 sessions a day" in fourth.json()["error"]
    answer = await hear(guarded.ws, guarded.key, [pcm], config={"language": "en"})
    assert answer.check().text == sentence


@pytest.mark.parametrize("path", PATHS)
async def test_who_says_nothing_is_let_go(guarded: Subject, path: str) -> None:
    """A session that never begins, or falls silent, ends with a typed error; keepalives hold it."""
    how: dict[str, Any] = {"additional_headers": bearer(guarded.key)}
    async with asyncio.timeout(20):
        async with connect(f"{guarded.ws}{path}", **how) as silent:
            assert await ending(silent) == ("timeout", 1008)
        async with opened(f"{guarded.ws}{path}", **how) as idle, opened(f"{guarded.ws}{path}", **how) as kept:
            silent_since = time.monotonic()
            ended = asyncio.create_task(ending(idle))
            while not ended.done():
                await kept.send('{"action": "keepalive"}')
                await asyncio.wait([ended], timeout=0.2)
            assert await ended == ("timeout", 1008)
            assert time.monotonic() - silent_since > 0.75
            await kept.send('{"action": "stop"}')
            assert json.loads(await kept.recv())["is_final"] is True


async def ending(socket: ClientConnection) -> tuple[str, int]:
    """The code of the last error, and the close code."""
    code = ""
    try:
        while True:
            code = json.loads(await socket.recv()).get("code", code)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return code, closed.rcvd.code
