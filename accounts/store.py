"""The database, and the only module that opens it: SQLAlchemy Core, async, SQLite by default.

Every write is one transaction that takes the write lock at its start, so that two writers wait for each other instead
of failing halfway (``BEGIN IMMEDIATE``); every commit is on the disk before it is answered (``synchronous=FULL``).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from accounts.schema import metadata
from protocol.errors import Code, VoiceError

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000")
_WRITE = "voxline_write"


class StoreError(OSError):
    """The database cannot be opened; the message says why."""


class Store:
    """Transactions on the database. A full or locked disk is STORAGE_FULL to the caller, and leaves nothing behind."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view for some queries."""
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back when an exception leaves it."""
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(**{_WRITE: True})
                async with connection.begin():
                    yield connection
        except OperationalError as error:
            if "full" in str(error.orig) or "locked" in str(error.orig):
                raise VoiceError(Code.STORAGE_FULL, "The server cannot store anything now.", retry_after=30) from error
            raise

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


async def open_store(url: str) -> Store:
    """Open the database of an SQLAlchemy URL, making it and its tables where they are missing. Raises StoreError."""
    parsed = make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database:
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot use {Path(parsed.database).parent} as data directory: {error.strerror}") from None
    engine = create_async_engine(parsed, pool_pre_ping=not sqlite)
    if sqlite:
        event.listen(engine.sync_engine, "connect", _on_connect)
        event.listen(engine.sync_engine, "begin", _on_begin)
    store = Store(engine)
    try:
        async with store.write() as connection:
            await connection.run_sync(metadata.create_all)
    except DBAPIError as error:
        await store.aclose()
        raise StoreError(f"cannot use the database {parsed.database}: {error.orig}") from None
    except BaseException:
        await store.aclose()
        raise
    return store


def _on_connect(connection: Any, _record: object) -> None:
    """Transactions begin where we say, not where the driver guesses."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITE) else "BEGIN")
