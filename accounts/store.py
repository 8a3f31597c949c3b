"""The database, and the only module that opens it: SQLAlchemy Core, async; SQLite by default, Postgres by its URL.

SQLite: every write is one transaction that takes the write lock at its start, so that two writers wait for each other
instead of failing halfway (``BEGIN IMMEDIATE``); every commit is on the disk before it is answered.
Postgres: the same writes at READ COMMITTED, reads from one snapshot. What must not change between a look and a write
is locked by the look (``with_for_update()``, which SQLite has no need of and leaves out).
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from accounts.migrations import UnknownRevisionError, bring_up_to_date
from accounts.mounts import network_file_system
from accounts.sqlite import connect as connect_sqlite
from protocol.errors import Code, VoiceError

T = TypeVar("T")

_MAKING_S, _AGAIN_S = 5.0, 0.05  # how long others may be making a file that is opened, and how often to look
_PATIENCE_S = 30  # for whoever writes now, in this process or another
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_PATIENCE_S * 1000}")
_WRITE = "voxline_write"
_SCHEMES = ("sqlite+aiosqlite", "postgresql+asyncpg")


class _Connection(sqlite3.Connection):
    """Who is cancelled in the middle of a statement leaves its cursor behind, and with it SQLite keeps even a closed
    connection, its transaction and its lock, until Python happens to free the cursor. So roll back first."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()
        super().close()


_SQLITE = {"connect_args": {"factory": _Connection, "async_creator_fn": connect_sqlite}}
_POSTGRES = {
    "pool_size": 10,
    "max_overflow": 10,
    "pool_timeout": 10,
    "pool_pre_ping": True,
    "connect_args": {
        "timeout": 10,
        "server_settings": {
            "application_name": "voxline",
            "lock_timeout": "30s",
            "statement_timeout": "60s",
            "idle_in_transaction_session_timeout": "60s",
            "jit": "off",
        },
    },
}
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_DISK_FULL = "53100"  # SQLSTATE of Postgres
_FOR_NOW = ("08", "40001", "40P01", "53", "55P03", "57")  # the same: connection, conflict, resources, lock, shutdown
_FULL = ("disk is full", "disk I/O error")  # words of SQLite


class StoreError(OSError):
    """The database cannot be opened; the message says why."""


class Store:
    """Transactions on the database. A full disk is STORAGE_FULL and an absent database BUSY, nothing left behind."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        file = engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:")
        self._writer = _Writer(engine.url) if file else None
        self.postgres = engine.dialect.name == "postgresql"
        # SQLite has whoever finds it locked sleep, longer each time; here who waits is next when the lock is given up.
        self._lock = None if self.postgres else asyncio.Lock()

    @property
    def engines(self) -> tuple[Engine, ...]:
        """What its statements go through, for who listens in."""
        return (self._engine.sync_engine, *(() if self._writer is None else (self._writer.engine,)))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view for some queries: all see the database as it was at the first one."""
        async with self._connected() as connection:
            if self.postgres:
                await connection.execution_options(**_SNAPSHOT)
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back when an exception leaves it."""
        async with self._turn(), self._connected() as connection:
            await connection.execution_options(**{_WRITE: True})
            async with connection.begin():
                yield connection

    async def transact(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """A ``write`` whose ``work`` waits for nothing but the connection; what it returns.

        With SQLite all of it is one errand to a thread, where ``write`` has one for each statement: on a busy event
        loop each of those waits for its turn. Whoever is cancelled here waits for its end first.
        """
        if self._writer is None:
            async with self.write() as connection:
                return await work(connection)
        async with self._turn():
            errand = asyncio.get_running_loop().run_in_executor(self._writer.thread, self._writer.do, work)
            errand.add_done_callback(_seen)
            try:
                return await asyncio.shield(errand)
            except asyncio.CancelledError:
                await asyncio.wait([errand])
                raise
            except DBAPIError as error:
                if typed := _typed(error):
                    raise typed from error
                raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The writers of this process one after the other. BUSY when it takes too long."""
        if self._lock is None:
            yield
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._lock.acquire()
        except TimeoutError:
            raise _away() from None
        try:
            yield
        finally:
            self._lock.release()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await self._engine.connect()
        except (OSError, PoolTimeoutError) as error:
            raise _away() from error
        except DBAPIError as error:
            if typed := _typed(error):
                raise typed from error
            raise
        try:
            yield connection
        except DBAPIError as error:
            if typed := _typed(error):
                raise typed from error
            raise
        except ConnectionError as error:
            raise _away() from error
        finally:
            await asyncio.shield(connection.close())  # whoever is cancelled here must not keep it

    async def aclose(self) -> None:
        """Close all connections."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.aclose()
        await self._engine.dispose()


class _Writer:
    """A thread with a connection to an SQLite file, where a whole transaction is done in one go."""

    def __init__(self, url: URL) -> None:
        self.thread = ThreadPoolExecutor(1, "write")
        self.engine = create_engine(url.set(drivername="sqlite"), connect_args={"factory": _Connection})
        _listen(self.engine)

    def do(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """In the thread: one transaction."""
        with self.engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
            steps = work(cast(AsyncConnection, _Here(connection)))
            try:
                steps.send(None)
            except StopIteration as end:
                return cast(T, end.value)
            steps.close()
            raise RuntimeError("a transaction waited for something besides its database")

    async def aclose(self) -> None:
        """Close the connection, and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self.thread, self.engine.dispose)
        self.thread.shutdown(wait=False)


class _Here:
    """What a transaction uses of an ``AsyncConnection``, done at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, *what: Any) -> Any:
        return self._connection.execute(*what)


def _seen(errand: "asyncio.Future[Any]") -> None:
    """Whoever was cancelled twice is not told of an error any more."""
    if not errand.cancelled():
        errand.exception()


async def open_store(url: str) -> Store:
    """Open the database of an SQLAlchemy URL; its tables are made, or brought up to date. Raises StoreError."""
    parsed = _checked(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    name = parsed.database or "in memory"
    engine = create_async_engine(parsed, **(_SQLITE if sqlite else _POSTGRES))
    if sqlite:
        _listen(engine.sync_engine)
    store = Store(engine)
    try:
        await _prepare(engine)
    except DBAPIError as error:
        await store.aclose()
        denied = sqlite and parsed.database and not os.access(Path(parsed.database).parent, os.W_OK)
        why = "permission denied" if denied else error.orig
        raise StoreError(f"cannot use the database {name}: {why}") from None
    except (UnknownRevisionError, OSError) as error:
        await store.aclose()
        raise StoreError(f"cannot use the database {name}: {error}") from None
    except BaseException:
        await store.aclose()
        raise
    return store


async def _prepare(engine: AsyncEngine) -> None:
    """Make the tables, or bring them up to date.

    Where several processes open a new SQLite file at one moment, the journal's mode is changed by one of them, and
    SQLite tells the others at once that the file is locked, however long they would wait: so they come again. Who was
    told so after a long wait has been let wait, and does not.
    """
    until = time.monotonic() + _MAKING_S
    while True:
        try:
            async with engine.connect() as connection:
                await connection.execution_options(**{_WRITE: True})
                async with connection.begin():
                    await connection.run_sync(bring_up_to_date)
            return
        except DBAPIError as error:
            if time.monotonic() >= until or "database is locked" not in str(error.orig):
                raise
            await asyncio.sleep(_AGAIN_S)


def _checked(url: str) -> URL:
    """The URL, when it is one of ours; an SQLite file's directory is made."""
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError):
        raise StoreError(f"the database must be a URL that begins with {' or '.join(_SCHEMES)}") from None
    if parsed.drivername not in _SCHEMES:
        raise StoreError(f"the database {parsed.drivername} is not one of {', '.join(_SCHEMES)}")
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        directory = Path(parsed.database).parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot use {directory} as data directory: {error.strerror}") from None
        if system := network_file_system(directory):
            raise StoreError(
                f"{directory} is on a network file system ({system}), where SQLite's locks do not hold; "
                "use a local directory, or a postgresql+asyncpg:// database"
            )
    return parsed


def _typed(error: DBAPIError) -> VoiceError | None:
    """What a database may say in an evil hour, as an error every dialect can render; None: a bug of ours."""
    state, words = str(getattr(error.orig, "sqlstate", None) or ""), str(error.orig)
    if state == _DISK_FULL or (not state and any(sign in words for sign in _FULL)):
        return VoiceError(Code.STORAGE_FULL, "The server cannot store anything now.", retry_after=30)
    if not state and "readonly database" in words:
        return VoiceError(Code.STORAGE_FULL, "The server may not write to its database.", retry_after=30)
    if error.connection_invalidated or state.startswith(_FOR_NOW) or (not state and "locked" in words):
        return _away()
    return None


def _away() -> VoiceError:
    return VoiceError(Code.BUSY, "The server's database does not answer now.", retry_after=2)


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)


def _on_connect(connection: Any, _record: object) -> None:
    """Transactions begin where we say, not where the driver guesses."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITE) else "BEGIN")
