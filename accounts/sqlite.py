"""The SQLite driver: aiosqlite, with one errand to its thread for each statement instead of four.

The library's own cursor goes there to be made, to execute, to fetch and to be closed. Each errand costs two changes of
thread, and on a busy event loop a wait for its turn: a transaction of ten statements took as long as a sentence takes
to be spoken. Here a statement brings its rows along, which is what a caller that reads them all has anyway.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import aiosqlite

_CHUNK = 64  # rows; of aiosqlite's own cursors, which nobody here uses


class Cursor:
    """What SQLAlchemy's adapter wants of a cursor of aiosqlite's: one statement, then its rows."""

    def __init__(self, connection: "Connection") -> None:
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1
        self._connection = connection
        self._rows: list[Any] = []

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> None:
        """Execute one statement."""
        await self._connection.run(partial(self._execute, "execute", sql, parameters))

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> None:
        """Execute one statement for each of several sets of values."""
        await self._connection.run(partial(self._execute, "executemany", sql, parameters))

    async def fetchall(self) -> list[Any]:
        """The rows of the last statement."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing is open."""

    def _execute(self, how: str, sql: str, parameters: Any, connection: sqlite3.Connection) -> None:
        """In the connection's thread."""
        cursor = connection.cursor()
        try:
            getattr(cursor, how)(sql, parameters)
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            self._rows = cursor.fetchall() if cursor.description else []
        finally:
            cursor.close()


class Connection(aiosqlite.Connection):
    """A connection whose cursors are ours."""

    def cursor(self) -> Cursor:  # type: ignore[override]
        return Cursor(self)

    async def run(self, work: Any) -> None:
        """Do something with the connection in its thread."""
        await self._execute(lambda: work(self._conn))  # type: ignore[no-untyped-call]


def connect(database: str, **options: Any) -> Connection:
    """What SQLAlchemy takes as ``async_creator_fn``; ``options`` are those of ``sqlite3.connect``."""
    connection = Connection(partial(sqlite3.connect, database, **options), _CHUNK)
    connection._thread.daemon = True  # as the adapter has it
    return connection
