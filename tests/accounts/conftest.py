"""Clocks that move when told to; the store is that of ``tests.databases``, on SQLite and on Postgres."""

import pytest
from sqlalchemy import insert

from accounts.schema import user
from accounts.store import Store


class Clock:
    """A time that stands still until it is set."""

    def __init__(self, time: float = 1_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def add_user(store: Store, email: str = "ann@example.com", *, plan: str = "free") -> int:
    """An account without a password or a ledger, for tests of what belongs to accounts: its id."""
    row = {
        "email": email,
        "name": "",
        "role": "user",
        "state": "active",
        "plan": plan,
        "limits": "{}",
        "created_at": 1.0,
    }
    async with store.write() as connection:
        made: int = (await connection.execute(insert(user).values(**row).returning(user.c.id))).scalar_one()
    return made


@pytest.fixture
async def ann(store: Store) -> int:
    """An account."""
    return await add_user(store, "ann@example.com")


@pytest.fixture
async def bob(store: Store, ann: int) -> int:
    """Another one."""
    return await add_user(store, "bob@example.com")
