"""API keys: made, shown once, checked, disabled, deleted."""

import asyncio
import secrets
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import text

from accounts.keys import Keys, State
from accounts.secrets import _checksum, new_secret, well_formed
from accounts.store import Store, open_store
from protocol.errors import Code, VoiceError
from tests.accounts.conftest import Clock, add_user


@pytest.fixture
def keys(store: Store, clock: Clock) -> Keys:
    return Keys(store, now=clock, tick=clock)


async def test_a_new_key_is_valid_and_has_the_documented_form(keys: Keys, ann: int) -> None:
    secret, key = await keys.create("  my laptop ", user_id=ann)
    assert secret.startswith("sk-ov-") and len(secret) == 6 + 32 + 6 and secret[6:].isalnum()
    assert key.name == "my laptop" and key.last4 == secret[-4:] and key.state is State.ACTIVE
    assert await keys.verify(secret) == key
    assert await keys.all() == [key]


async def test_two_keys_differ(keys: Keys, ann: int) -> None:
    first, second = await keys.create("a", user_id=ann), await keys.create("b", user_id=ann)
    assert first[0] != second[0] and first[1].id != second[1].id
    assert [key.name for key in await keys.all()] == ["a", "b"]


async def test_what_is_not_one_of_our_keys_is_refused(keys: Keys, ann: int) -> None:
    secret, _ = await keys.create(user_id=ann)
    wrong_letter = "A" if secret[10] != "A" else "B"
    for other in ("", "sk-ov-", secret[:-1], secret + "0", secret[:10] + wrong_letter + secret[11:],
                  secret.upper(), "vt-" + secret[6:], "sk-ov-" + "é" * 38, "sk-ov-" + "0" * 38):  # fmt: skip
        assert await keys.verify(other) is None, other


async def test_a_well_formed_key_that_was_never_made_is_refused(keys: Keys) -> None:
    foreign = new_secret("sk-ov-", secrets.choice)
    assert well_formed(foreign, "sk-ov-")
    assert await keys.verify(foreign) is None


async def test_a_disabled_key_opens_nothing_until_it_is_enabled(keys: Keys, ann: int) -> None:
    secret, key = await keys.create(user_id=ann)
    assert await keys.verify(secret)
    await keys.set_state(key.id, State.DISABLED)
    assert await keys.verify(secret) is None
    assert [key.state for key in await keys.all()] == [State.DISABLED]
    await keys.set_state(key.id, State.ACTIVE)
    assert await keys.verify(secret) == key


async def test_a_deleted_key_is_gone_and_its_id_is_not_used_again(keys: Keys, ann: int) -> None:
    secret, key = await keys.create(user_id=ann)
    await keys.delete(key.id)
    assert await keys.verify(secret) is None and await keys.all() == []
    _, second = await keys.create(user_id=ann)
    assert second.id > key.id


@pytest.mark.parametrize("key_id", [0, 99, -1, 2**31, 10**30])
async def test_changing_a_key_that_is_not_there_says_so(keys: Keys, key_id: int) -> None:
    for attempt in (keys.delete(key_id), keys.set_state(key_id, State.DISABLED)):
        with pytest.raises(VoiceError) as caught:
            await attempt
        assert caught.value.code is Code.NOT_FOUND


async def test_a_change_by_another_process_shows_within_a_second(
    keys: Keys, ann: int, store: Store, clock: Clock
) -> None:
    secret, key = await keys.create(user_id=ann)
    assert await keys.verify(secret)
    await Keys(store, now=clock, tick=clock).set_state(key.id, State.DISABLED)
    clock.time += 1.0
    assert await keys.verify(secret) is None


async def test_keys_outlive_the_process_and_the_secret_is_not_in_the_file(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/kept.db"
    store = await open_store(url)
    secret, _ = await Keys(store, now=clock, tick=clock).create("kept", user_id=await add_user(store))
    await store.aclose()
    assert secret.encode() not in b"".join(map(Path.read_bytes, tmp_path.glob("kept.db*")))  # noqa: ASYNC240
    store = await open_store(url)
    found = await Keys(store, now=clock, tick=clock).verify(secret)
    await store.aclose()
    assert found is not None and found.name == "kept"


async def test_a_key_in_use_is_looked_up_once_a_second(
    keys: Keys, ann: int, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, key = await keys.create(user_id=ann)
    reads = Mock(wraps=store.read)
    monkeypatch.setattr(store, "read", reads)
    for _ in range(5):
        assert await keys.verify(secret) == key
    assert reads.call_count == 1
    clock.time += 1.0
    assert await keys.verify(secret) == key
    assert reads.call_count == 2


async def test_each_user_has_his_own_keys_and_cannot_touch_another_s(keys: Keys, ann: int, bob: int) -> None:
    hers, his = (await keys.create("hers", user_id=ann))[1], (await keys.create("his", user_id=bob))[1]
    assert await keys.of(ann) == [hers] and await keys.of(bob) == [his]
    for attempt in (keys.delete(hers.id, bob), keys.set_state(hers.id, State.DISABLED, bob)):
        with pytest.raises(VoiceError) as caught:
            await attempt
        assert caught.value.code is Code.NOT_FOUND
    assert await keys.get(hers.id) == hers and await keys.get(99) is None
    await keys.set_state(hers.id, State.DISABLED, ann)
    await keys.delete(hers.id, ann)
    assert await keys.of(ann) == [] and await keys.of(bob) == [his]


async def test_a_key_of_a_disabled_user_opens_nothing(keys: Keys, ann: int, store: Store, clock: Clock) -> None:
    secret, _ = await keys.create(user_id=ann)
    assert await keys.verify(secret)
    async with store.write() as connection:
        await connection.execute(text("UPDATE user_account SET state = 'disabled'"))
    clock.time += 1.0
    assert await keys.verify(secret) is None


async def test_a_key_needs_a_user_and_there_are_not_too_many(
    keys: Keys, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VoiceError) as caught:
        await keys.create(user_id=99)
    assert caught.value.code is Code.NOT_FOUND
    monkeypatch.setattr("accounts.keys._KEYS_PER_USER", 3)
    answers = await asyncio.gather(*(keys.create(user_id=ann) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(answer, VoiceError) and answer.code is Code.CONFLICT for answer in answers) == 3
    assert len(await keys.of(ann)) == 3


async def test_a_name_is_kept_on_one_line_without_what_cannot_be_seen(keys: Keys, ann: int) -> None:
    _, key = await keys.create("a\x00b\nc\ud800\u202e<d>" + "e" * 200, user_id=ann)
    assert key.name == ("abc<d>" + "e" * 200)[:100]
    assert (await keys.of(ann))[0].name == key.name


async def test_what_is_wrong_with_a_secret_costs_no_look_up_and_a_wrong_one_a_look_up_by_its_hash_alone(
    keys: Keys, ann: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X5: what a key's look-up does depends on nothing that an attacker could learn letter by letter."""
    secret, _ = await keys.create(user_id=ann)
    reads = Mock(wraps=store.read)
    monkeypatch.setattr(store, "read", reads)
    for _ in range(200):
        assert await keys.verify(new_secret("sk-xx-", secrets.choice)) is None
        assert await keys.verify(secret[:-1] + ("0" if secret[-1] != "0" else "1")) is None
    reads.assert_not_called()
    for _ in range(50):
        body = new_secret(secret[:20], secrets.choice)[: len(secret) - 6]  # shares its first letters with a real one
        assert await keys.verify(body + _checksum(body)) is None
    assert reads.call_count == 50
