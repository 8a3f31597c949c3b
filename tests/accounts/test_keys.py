"""API keys: made, shown once, checked, disabled, deleted."""

from pathlib import Path

import pytest

from accounts.keys import Keys, State
from accounts.secrets import well_formed
from accounts.store import Store, open_store
from protocol.errors import Code, VoiceError
from tests.accounts.conftest import Clock


@pytest.fixture
def keys(store: Store, clock: Clock) -> Keys:
    return Keys(store, now=clock, tick=clock)


async def test_a_new_key_is_valid_and_has_the_documented_form(keys: Keys) -> None:
    secret, key = await keys.create("  my laptop ")
    assert secret.startswith("sk-ov-") and len(secret) == 6 + 32 + 6 and secret[6:].isalnum()
    assert key.name == "my laptop" and key.last4 == secret[-4:] and key.state is State.ACTIVE
    assert await keys.verify(secret) == key
    assert await keys.all() == [key]


async def test_two_keys_differ(keys: Keys) -> None:
    first, second = await keys.create("a"), await keys.create("b")
    assert first[0] != second[0] and first[1].id != second[1].id
    assert [key.name for key in await keys.all()] == ["a", "b"]


async def test_what_is_not_one_of_our_keys_is_refused(keys: Keys) -> None:
    secret, _ = await keys.create()
    wrong_letter = "A" if secret[10] != "A" else "B"
    for other in ("", "sk-ov-", secret[:-1], secret + "0", secret[:10] + wrong_letter + secret[11:],
                  secret.upper(), "vt-" + secret[6:], "sk-ov-" + "é" * 38, "sk-ov-" + "0" * 38):  # fmt: skip
        assert await keys.verify(other) is None, other


async def test_a_well_formed_key_that_was_never_made_is_refused(keys: Keys, clock: Clock, tmp_path: Path) -> None:
    elsewhere = await open_store(f"sqlite+aiosqlite:///{tmp_path}/other.db")
    foreign, _ = await Keys(elsewhere, now=clock, tick=clock).create()
    await elsewhere.aclose()
    assert well_formed(foreign, "sk-ov-")
    assert await keys.verify(foreign) is None


async def test_a_disabled_key_opens_nothing_until_it_is_enabled(keys: Keys) -> None:
    secret, key = await keys.create()
    assert await keys.verify(secret)
    await keys.set_state(key.id, State.DISABLED)
    assert await keys.verify(secret) is None
    assert [key.state for key in await keys.all()] == [State.DISABLED]
    await keys.set_state(key.id, State.ACTIVE)
    assert await keys.verify(secret) == key


async def test_a_deleted_key_is_gone_and_its_id_is_not_used_again(keys: Keys) -> None:
    secret, key = await keys.create()
    await keys.delete(key.id)
    assert await keys.verify(secret) is None and await keys.all() == []
    _, second = await keys.create()
    assert second.id > key.id


@pytest.mark.parametrize("key_id", [0, 99, -1])
async def test_changing_a_key_that_is_not_there_says_so(keys: Keys, key_id: int) -> None:
    for attempt in (keys.delete(key_id), keys.set_state(key_id, State.DISABLED)):
        with pytest.raises(VoiceError) as caught:
            await attempt
        assert caught.value.code is Code.NOT_FOUND


async def test_a_change_by_another_process_shows_within_a_second(keys: Keys, store: Store, clock: Clock) -> None:
    secret, key = await keys.create()
    assert await keys.verify(secret)
    await Keys(store, now=clock, tick=clock).set_state(key.id, State.DISABLED)
    clock.time += 1.0
    assert await keys.verify(secret) is None


async def test_keys_outlive_the_process_and_the_secret_is_not_in_the_file(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/kept.db"
    store = await open_store(url)
    secret, _ = await Keys(store, now=clock, tick=clock).create("kept")
    await store.aclose()
    assert secret.encode() not in b"".join(map(Path.read_bytes, tmp_path.glob("kept.db*")))  # noqa: ASYNC240
    store = await open_store(url)
    found = await Keys(store, now=clock, tick=clock).verify(secret)
    await store.aclose()
    assert found is not None and found.name == "kept"


async def test_the_memory_of_valid_keys_is_bounded(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.keys._REMEMBERED_KEYS", 2)
    secrets = [(await keys.create())[0] for _ in range(4)]
    for secret in secrets:
        assert await keys.verify(secret)
    assert len(keys._valid) == 2
