"""Whoever is cancelled in the middle of a transaction leaves nothing locked."""

import asyncio
import gc
from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select

from accounts.ledger import Ledger
from accounts.schema import webhook_secret
from accounts.store import Store
from tests.accounts.money import person


@pytest.fixture
def kept() -> Iterator[None]:
    """Nothing is freed by chance."""
    gc.disable()
    yield
    gc.enable()


async def test_a_cancelled_transaction_frees_the_database_at_once(store: Store, kept: None) -> None:
    """A client that went away in the middle of a SELECT left SQLite's write lock behind, for as long as Python kept the
    cursor: all writers waited for half a minute and then failed."""
    ada = await person(store, Ledger(lambda: 0.0))

    async def transaction(secret: str) -> None:
        async with store.write() as connection:
            await connection.execute(insert(webhook_secret).values(user_id=ada, secret=secret, created_at=0.0))
            await connection.execute(select(webhook_secret))
            raise LookupError

    for steps in range(60):
        task = asyncio.ensure_future(transaction(str(steps)))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(error, asyncio.CancelledError | LookupError)
        async with asyncio.timeout(5), store.write() as connection:
            assert (await connection.execute(select(webhook_secret))).all() == []
