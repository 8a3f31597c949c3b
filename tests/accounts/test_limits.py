"""Rates: a moving minute for each user, in Redis or in this process, and never an error of Redis's."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import redis
from sqlalchemy import update

from accounts.limits import LimitsOf, Rate, RateLimiter, Throttle
from accounts.policy import Overrides, Plan, Policies
from accounts.schema import user
from accounts.store import Store
from protocol.errors import Code, VoiceError
from tests.accounts.conftest import Clock
from tests.databases import Redis


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(now=clock, tick=clock)


@pytest.fixture
async def shared(redis_server: Redis) -> AsyncIterator[RateLimiter]:
    limiter = RateLimiter(redis_server.url, now=time.time, tick=time.monotonic)
    yield limiter
    await limiter.aclose()


async def _refused(limiter: RateLimiter, user_id: int, per_minute: int) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        await limiter.hit(user_id, per_minute)
    assert caught.value.code is Code.RATE_LIMITED
    return caught.value


async def test_a_user_has_so_many_a_minute_and_is_told_when_to_come_again(limiter: RateLimiter, clock: Clock) -> None:
    """A3, A5."""
    assert await limiter.hit(1, 10) == Rate(10, 9, 60.0)
    clock.time += 20
    for left in range(8, -1, -1):
        assert (await limiter.hit(1, 10)).remaining == left
    assert (await _refused(limiter, 1, 10)).facts["retry_after"] == 40
    clock.time += 39.5
    assert (await _refused(limiter, 1, 10)).facts["retry_after"] == 1
    clock.time += 0.5
    assert await limiter.hit(1, 10) == Rate(10, 0, 20.0)
    await limiter.aclose()


async def test_each_user_is_counted_alone(limiter: RateLimiter) -> None:
    await limiter.hit(1, 1)
    await limiter.hit(2, 1)
    await _refused(limiter, 1, 1)


async def test_no_limit_counts_nothing(limiter: RateLimiter) -> None:
    for _ in range(50):
        assert await limiter.hit(1, 0) == Rate(0, 0, 0.0)


async def test_processes_share_what_redis_counts(shared: RateLimiter, redis_server: Redis) -> None:
    other = RateLimiter(redis_server.url, now=time.time, tick=time.monotonic)
    for _ in range(2):
        assert (await shared.hit(1, 4)).limit == 4
        rate = await other.hit(1, 4)
    assert rate.remaining == 0 and 50 < rate.reset_after <= 60
    for limiter in (shared, other):
        assert 50 <= float(str((await _refused(limiter, 1, 4)).facts["retry_after"])) <= 60
    await other.aclose()


async def test_many_at_once_share_the_minute_in_redis(shared: RateLimiter) -> None:
    answers = await asyncio.gather(*(shared.hit(7, 5) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(answer, Rate) for answer in answers) == 5
    assert {e.code for e in answers if isinstance(e, VoiceError)} == {Code.RATE_LIMITED}


async def test_redis_gone_frozen_and_back_is_never_an_error(redis_server: Redis) -> None:
    """R5: this process counts at once, and Redis again when it is back."""
    tick = Clock(0.0)
    limiter = RateLimiter(redis_server.url, now=time.time, tick=tick)
    assert (await limiter.hit(1, 3)).remaining == 2
    for harm, repair in ((redis_server.stop, redis_server.start), (redis_server.freeze, redis_server.thaw)):
        harm()
        began = time.monotonic()
        for left in (2, 1, 0):
            assert (await limiter.hit(1, 3)).remaining == left, "a count of this process's own"
        await _refused(limiter, 1, 3)
        assert time.monotonic() - began < 5
        repair()
        redis_server.flush()
        await _refused(limiter, 1, 3), "Redis is left alone for a while"
        tick.time += 5
        assert (await limiter.hit(1, 3)).remaining == 2, "Redis counts again"
        tick.time += 60
    redis_server.flush()
    assert (await limiter.hit(1, 3)).remaining == 2
    await limiter.aclose()


async def test_a_crowd_that_meets_a_frozen_redis_waits_once_and_briefly(redis_server: Redis) -> None:
    limiter = RateLimiter(redis_server.url, now=time.time, tick=time.monotonic)
    await limiter.hit(1, 100)
    redis_server.freeze()
    began = time.monotonic()
    rates = await asyncio.gather(*(limiter.hit(1, 100) for _ in range(30)))
    assert len(rates) == 30 and time.monotonic() - began < 3
    waits = []
    for _ in range(3):  # Redis is not asked again for 5 s: what else the machine does shows in one or two of them
        again = time.monotonic()
        await limiter.hit(1, 100)
        waits.append(time.monotonic() - again)
    assert min(waits) < 0.2
    await limiter.aclose()


async def test_a_redis_that_is_no_redis_is_no_error(unused_tcp_port: int) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(babble, "127.0.0.1", unused_tcp_port):
        limiter = RateLimiter(f"redis://127.0.0.1:{unused_tcp_port}", now=time.time, tick=time.monotonic)
        assert (await limiter.hit(1, 3)).remaining == 2
        await limiter.aclose()


async def test_names_in_redis_tell_nothing(shared: RateLimiter, redis_server: Redis) -> None:
    await Throttle(shared).attempt("login", "ann@example.com", "192.0.2.7")
    with redis.Redis.from_url(redis_server.url) as client:
        names = b" ".join(client.keys())
    assert names.count(b"voxline:limits") == 2 and b"ann" not in names and b"192.0.2" not in names


async def test_guessing_is_slowed_down_by_account_and_by_address(limiter: RateLimiter, clock: Clock) -> None:
    throttle = Throttle(limiter)
    for number in range(10):
        await throttle.attempt("login", "ann@example.com", f"address {number}")
    for number in range(9):
        await throttle.attempt("login", f"user{number}@example.com", "address 0")
    for account, address in (("ANN@example.com", "address 77"), ("somebody@example.com", "address 0")):
        with pytest.raises(VoiceError) as caught:
            await throttle.attempt("login", account, address)
        assert caught.value.code is Code.RATE_LIMITED and caught.value.facts["retry_after"] == 60
    await throttle.attempt("key", "ann@example.com")
    clock.time += 60
    await throttle.attempt("login", "ann@example.com", "address 0")


async def test_what_holds_for_a_user_follows_plan_policy_and_admin_within_a_second(
    store: Store, ann: int, clock: Clock
) -> None:
    policies = Policies(store, now=clock, tick=clock)
    limits = LimitsOf(store, policies, tick=clock)
    assert await limits.of(ann) == Plan()
    async with store.write() as connection:
        own = Overrides(jobs=7).model_dump_json(exclude_none=True)
        await connection.execute(update(user).values(plan="pro", limits=own))
    await Policies(store, now=clock, tick=clock).change({"plans": {"pro": {"voices": 33}}})
    clock.time += 1.0
    found = await limits.of(ann)
    assert (found.jobs, found.voices, found.requests_per_minute) == (7, 33, 60)


async def test_limits_of_nobody_are_not_found(store: Store, clock: Clock) -> None:
    limits = LimitsOf(store, Policies(store, now=clock, tick=clock), tick=clock)
    with pytest.raises(VoiceError) as caught:
        await limits.of(99)
    assert caught.value.code is Code.NOT_FOUND
