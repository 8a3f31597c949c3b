"""Short-lived tokens: one session each, and never longer than their key."""

import asyncio

import pytest
from sqlalchemy import text

from accounts.keys import Keys, State
from accounts.store import Store
from accounts.tokens import Tokens
from protocol.errors import Code, VoiceError
from tests.accounts.conftest import Clock


@pytest.fixture
def keys(store: Store, clock: Clock) -> Keys:
    return Keys(store, now=clock, tick=clock)


@pytest.fixture
def tokens(store: Store, clock: Clock) -> Tokens:
    return Tokens(store, now=clock, tick=clock)


async def test_a_token_opens_one_session(keys: Keys, tokens: Tokens, ann: int, clock: Clock) -> None:
    _, key = await keys.create(user_id=ann)
    token = await tokens.mint(key.id, 60)
    assert token.secret.startswith("vt-") and token.expires_in == 60 and token.expires_at == clock.time + 60
    assert await tokens.redeem(token.secret) == key.id
    assert await tokens.redeem(token.secret) is None


async def test_of_many_at_once_one_gets_it(keys: Keys, tokens: Tokens, ann: int) -> None:
    _, key = await keys.create(user_id=ann)
    token = await tokens.mint(key.id, 60)
    redeemed = await asyncio.gather(*(tokens.redeem(token.secret) for _ in range(20)))
    assert sorted(redeemed, key=str) == [key.id] + [None] * 19


async def test_a_token_ends_with_its_time(keys: Keys, tokens: Tokens, ann: int, clock: Clock) -> None:
    _, key = await keys.create(user_id=ann)
    token = await tokens.mint(key.id, 10)
    clock.time += 10
    assert await tokens.redeem(token.secret) is None


async def test_a_token_ends_with_its_key(keys: Keys, tokens: Tokens, ann: int) -> None:
    _, key = await keys.create(user_id=ann)
    first, second = await tokens.mint(key.id, 60), await tokens.mint(key.id, 60)
    await keys.set_state(key.id, State.DISABLED)
    assert await tokens.redeem(first.secret) is None
    await keys.delete(key.id)
    assert await tokens.redeem(second.secret) is None


async def test_what_is_not_a_token_is_refused(keys: Keys, tokens: Tokens, ann: int) -> None:
    secret, key = await keys.create(user_id=ann)
    token = await tokens.mint(key.id, 60)
    for other in ("", "vt-", secret, token.secret[:-1], token.secret + "0", token.secret.lower()):
        assert await tokens.redeem(other) is None
    assert await keys.verify(token.secret) is None, "a token is no key, so it cannot mint another"


async def test_expired_tokens_are_swept_and_unspent_ones_are_bounded(
    keys: Keys, tokens: Tokens, ann: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.tokens._UNSPENT_PER_KEY", 3)
    _, key = await keys.create(user_id=ann)
    for _ in range(3):
        await tokens.mint(key.id, 10)
    with pytest.raises(VoiceError) as caught:
        await tokens.mint(key.id, 10)
    assert caught.value.code is Code.RATE_LIMITED and caught.value.facts["retry_after"] == 10
    clock.time += 11
    assert await tokens.mint(key.id, 10)


async def test_a_token_of_a_disabled_user_opens_nothing(keys: Keys, tokens: Tokens, ann: int, store: Store) -> None:
    _, key = await keys.create(user_id=ann)
    token = await tokens.mint(key.id, 60)
    async with store.write() as connection:
        await connection.execute(text("UPDATE user_account SET state = 'disabled'"))
    assert await tokens.redeem(token.secret) is None


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_clock_that_is_set_does_not_change_a_token_s_life(
    keys: Keys, ann: int, store: Store, clock: Clock, jump: float
) -> None:
    """R9: the process that minted a token measures its life by a clock nobody sets."""
    tick = Clock(5.0)
    tokens = Tokens(store, now=clock, tick=tick)
    _, key = await keys.create(user_id=ann)
    early, late = await tokens.mint(key.id, 60), await tokens.mint(key.id, 60)
    clock.time += jump
    await tokens.mint(key.id, 60)  # sweeps
    tick.time += 59
    assert await tokens.redeem(early.secret) == key.id
    tick.time += 1
    assert await tokens.redeem(late.secret) is None


async def test_a_token_minted_elsewhere_goes_by_the_time_of_day(
    keys: Keys, tokens: Tokens, ann: int, store: Store, clock: Clock
) -> None:
    elsewhere = Tokens(store, now=clock, tick=Clock(7.0))
    _, key = await keys.create(user_id=ann)
    first, second = await elsewhere.mint(key.id, 60), await elsewhere.mint(key.id, 60)
    assert await tokens.redeem(first.secret) == key.id
    clock.time += 60
    assert await tokens.redeem(second.secret) is None


async def test_the_memory_of_tokens_is_bounded(
    keys: Keys, tokens: Tokens, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.tokens._OURS", 2)
    _, key = await keys.create(user_id=ann)
    minted = [await tokens.mint(key.id, 60) for _ in range(4)]
    assert len(tokens._ends) == 2
    assert [await tokens.redeem(token.secret) for token in minted] == [key.id] * 4
