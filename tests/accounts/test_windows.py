"""Moving windows in this process."""

import pytest

from accounts.windows import ProcessWindows
from tests.accounts.conftest import Clock


async def test_a_use_counts_for_as_long_as_the_window(clock: Clock) -> None:
    windows = ProcessWindows(clock)
    assert await windows.get_moving_window("k", 2, 60) == (clock.time, 0)
    assert await windows.acquire_entry("k", 2, 60)
    clock.time += 30
    assert await windows.acquire_entry("k", 2, 60)
    assert not await windows.acquire_entry("k", 2, 60)
    assert await windows.get_moving_window("k", 2, 60) == (clock.time - 30, 2)
    clock.time += 30
    assert await windows.acquire_entry("k", 2, 60) and not await windows.acquire_entry("k", 2, 60)
    assert not await windows.acquire_entry("other", 2, 60, amount=3)


async def test_what_is_remembered_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.windows.MAX_KEYS", 2)
    windows = ProcessWindows(clock)
    for key in "abab":
        assert await windows.acquire_entry(key, 5, 60)
    assert await windows.acquire_entry("c", 5, 60)
    counts = [(await windows.get_moving_window(key, 5, 60))[1] for key in "abc"]
    assert counts == [0, 2, 1]


def test_the_library_s_own_storage_keeps_its_place() -> None:
    from limits.aio.storage import MemoryStorage
    from limits.storage import storage_from_string

    assert type(storage_from_string("async+memory://")) is MemoryStorage
