"""A store in a temporary directory, and clocks that move when told to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accounts.store import Store, open_store


class Clock:
    """A time that stands still until it is set."""

    def __init__(self, time: float = 1_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db")
    yield store
    await store.aclose()
