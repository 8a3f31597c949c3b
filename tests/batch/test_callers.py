"""Who comes in by which secret, and how often (A1-A5, X12)."""

import pytest

from accounts.apps import Apps
from accounts.identity import Identities
from accounts.keys import Keys, State
from accounts.ledger import Ledger
from accounts.limits import LimitsOf, RateLimiter
from accounts.policy import Policies
from accounts.store import Store
from accounts.tokens import Tokens
from batch.callers import READS, Callers
from protocol.errors import Code, VoiceError
from tests.accounts.conftest import Clock
from tests.accounts.money import person
from tests.databases import sqlite_only

pytestmark = sqlite_only
FREE = 10  # requests a minute (A3)


class Door:
    """Callers, and what they show."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.keys = Keys(store, now=clock, tick=clock)
        self.tokens = Tokens(store, now=clock, tick=clock)
        self.apps = Apps(store, now=clock)
        identities = Identities(self.keys, self.tokens, self.apps)
        limits = LimitsOf(store, Policies(store, now=clock, tick=clock), tick=clock)
        self.callers = Callers(identities, limits, RateLimiter(now=clock, tick=clock))

    async def refusal(self, authorization: str | None, *, reading: bool = False, address: str = "::1") -> VoiceError:
        with pytest.raises(VoiceError) as caught:
            await self.callers.identify(authorization, address, reading=reading)
        return caught.value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(store: Store, clock: Clock) -> Door:
    return Door(store, clock)


@pytest.fixture
async def ada(store: Store, clock: Clock) -> int:
    return await person(store, Ledger(clock))


async def test_keys_tokens_and_apps_open(door: Door, ada: int) -> None:
    secret, key = await door.keys.create("k", user_id=ada)
    app, jwt = await door.apps.create(ada, "app", 3600)
    token = await door.tokens.mint(key.id, 60)
    for shown, app_id in ((secret, None), (token.secret, None), (jwt, app.id)):
        caller = await door.callers.identify(f"Bearer {shown}", "::1")
        assert (caller.user_id, caller.app_id) == (ada, app_id)
        assert caller.plan.jobs == 2  # A4
        assert caller.by_key is (shown == secret)  # what may make keys that stay
    assert (await door.refusal(f"Bearer {token.secret}")).code is Code.UNAUTHORIZED  # spent
    assert (await door.callers.identify(f"bearer  {secret} ", "::1")).user_id == ada


async def test_what_opens_nothing(door: Door, ada: int) -> None:
    """A2."""
    secret, key = await door.keys.create("k", user_id=ada)
    for shown in (None, "", "Bearer", "Bearer ", f"Basic {secret}", secret, "Bearer nonsense", "Bearer a.b.c"):
        assert (await door.refusal(shown)).code is Code.UNAUTHORIZED
    await door.keys.set_state(key.id, State.DISABLED)
    assert (await door.refusal(f"Bearer {secret}")).code is Code.UNAUTHORIZED


async def test_so_many_requests_a_minute(door: Door, clock: Clock, ada: int) -> None:
    """A3, A5; those that only read have a count of their own, since jobs are polled every few seconds (A20)."""
    secret, _ = await door.keys.create("k", user_id=ada)
    other, _ = await door.keys.create("another", user_id=ada)
    for _ in range(FREE):
        await door.callers.identify(f"Bearer {secret}", "::1")
    refusal = await door.refusal(f"Bearer {other}")  # counted for the user, not the key
    assert refusal.code is Code.RATE_LIMITED and isinstance(refusal.facts["retry_after"], int)
    for _ in range(FREE * READS):
        await door.callers.identify(f"Bearer {secret}", "::1", reading=True)
    assert (await door.refusal(f"Bearer {secret}", reading=True)).code is Code.RATE_LIMITED
    clock.time += 61
    await door.callers.identify(f"Bearer {secret}", "::1")


async def test_guessing_is_slowed_down(door: Door, ada: int) -> None:
    """RELIABILITY section 4: ten wrong keys a minute from one address; right ones are let in all the same."""
    secret, _ = await door.keys.create("k", user_id=ada)
    for _ in range(10):
        assert (await door.refusal("Bearer sk-ov-wrong", address="192.0.2.7")).code is Code.UNAUTHORIZED
    assert (await door.refusal("Bearer sk-ov-wrong", address="192.0.2.7")).code is Code.RATE_LIMITED
    assert (await door.refusal("Bearer sk-ov-wrong", address="192.0.2.8")).code is Code.UNAUTHORIZED
    assert (await door.callers.identify(f"Bearer {secret}", "192.0.2.7")).user_id == ada
