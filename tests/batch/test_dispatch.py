"""Hints: within a process, between processes by a real Redis, and when that is stopped, frozen or emptied (R5)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from batch.dispatch import JOBS, LocalDispatch, job_done, open_dispatch
from batch.redis_dispatch import RedisDispatch
from protocol.errors import Code, VoiceError
from tests.databases import Redis


async def connected(dispatch: LocalDispatch, *, wanted: bool = True) -> None:
    assert isinstance(dispatch, RedisDispatch)
    async with asyncio.timeout(10):
        while dispatch.connected is not wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def processes(redis: Redis, count: int = 2) -> AsyncIterator[list[LocalDispatch]]:
    """As many as there would be processes."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(open_dispatch(redis.url)) for _ in range(count)]
        for dispatch in opened:
            await connected(dispatch)
        yield opened


async def test_news_are_heard_by_those_who_listen_to_their_topic() -> None:
    async with open_dispatch("") as dispatch:
        with dispatch.listening(JOBS) as jobs, dispatch.listening(job_done("1")) as done:
            dispatch.announce(JOBS)
            assert await jobs.wait(0) and not await done.wait(0)
            dispatch.announce(job_done("1"))
            assert await done.wait(0) and not await jobs.wait(0)


async def test_news_that_come_while_nobody_waits_are_not_missed() -> None:
    dispatch = LocalDispatch()
    with dispatch.listening(JOBS) as ear:
        dispatch.announce(JOBS)
        dispatch.announce(JOBS)
        assert await ear.wait(10)
        assert not await ear.wait(0), "once for all that came before"


async def test_an_ear_that_is_closed_leaves_nothing_behind() -> None:
    dispatch = LocalDispatch()
    for number in range(10):
        with dispatch.listening(job_done(str(number))):
            pass
    assert not dispatch._ears


async def test_redis_carries_news_between_processes(redis_server: Redis) -> None:
    async with processes(redis_server) as (one, other):
        with other.listening(JOBS) as ear, other.listening(job_done("7")) as done:
            one.announce(JOBS)
            assert await ear.wait(5)
            one.announce(job_done("7"))
            assert await done.wait(5)


async def test_a_stopped_redis_costs_nothing_and_a_started_one_is_found_again(redis_server: Redis) -> None:
    async with processes(redis_server) as (one, other):
        redis_server.stop()
        await connected(other, wanted=False)
        with one.listening(JOBS) as mine, other.listening(JOBS) as theirs:
            began = time.monotonic()
            for _ in range(2000):
                one.announce(JOBS)
            assert time.monotonic() - began < 0.5, "telling never waits"
            assert await mine.wait(0), "within the process hints go on"
            assert not await theirs.wait(0)
            redis_server.start()
            assert await theirs.wait(10), "once it is back everybody looks: news may have been missed"
            await connected(one)
            await theirs.wait(0)
            one.announce(JOBS)
            assert await theirs.wait(5)


async def test_a_flushed_redis_carries_on(redis_server: Redis) -> None:
    async with processes(redis_server) as (one, other):
        redis_server.flush()
        with other.listening(JOBS) as ear:
            one.announce(JOBS)
            assert await ear.wait(5)


async def test_a_frozen_redis_is_noticed_and_found_again(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch.redis_dispatch._QUIET_S", 0.2)
    monkeypatch.setattr("batch.redis_dispatch._REPLY_S", 0.3)
    async with processes(redis_server) as (one, other):
        await asyncio.to_thread(time.sleep, 0.7)  # a Redis that is merely quiet answers, and is not given up
        assert isinstance(other, RedisDispatch) and other.connected
        redis_server.freeze()
        await connected(other, wanted=False)
        one.announce(JOBS)
        redis_server.thaw()
        await connected(other)
        await connected(one)
        with other.listening(JOBS) as ear:
            one.announce(JOBS)
            assert await ear.wait(5)


async def test_redis_need_not_be_there_at_the_start(redis_server: Redis) -> None:
    redis_server.stop()
    async with open_dispatch(redis_server.url) as dispatch:
        with dispatch.listening(JOBS) as ear:
            dispatch.announce(JOBS)
            assert await ear.wait(0)
        redis_server.start()
        await connected(dispatch)


async def test_what_is_no_url_of_a_redis_is_said_at_the_start() -> None:
    with pytest.raises(VoiceError) as caught:
        async with open_dispatch("http://localhost"):
            raise AssertionError
    assert caught.value.code is Code.BAD_REQUEST and caught.value.facts["field"] == "redis_url"


async def test_the_end_comes_at_once_even_with_a_frozen_redis(redis_server: Redis) -> None:
    async with asyncio.timeout(10):
        async with processes(redis_server) as (one, _):
            redis_server.freeze()
            for _ in range(50):
                one.announce(JOBS)
            began = time.monotonic()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("call", ["PubSub.get_message", "Redis.publish"])
@pytest.mark.parametrize("error", [None, ConnectionError("cut off")])
async def test_it_ends_though_the_client_loses_its_cancellation(
    redis_server: Redis, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception | None
) -> None:
    """Told to stop while it was still connecting, a server did not."""
    waiting = asyncio.Event()

    async def broken(*_: object, **__: object) -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if error is not None:
                raise error from None

    monkeypatch.setattr(f"redis.asyncio.client.{call}", broken)
    async with asyncio.timeout(10):
        async with open_dispatch(redis_server.url) as dispatch:
            if call == "Redis.publish":
                await connected(dispatch)
            dispatch.announce(JOBS)
            await waiting.wait()
