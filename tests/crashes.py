"""Crashes between any two statements: what is in the store afterwards is what was before, or what should be (R4)."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, select

from accounts.schema import metadata
from accounts.store import Store

Snapshot = dict[str, list[tuple[Any, ...]]]


class Crash(BaseException):
    """The process dies here; nothing in it may catch this."""


@contextmanager
def crash_at(store: Store, statement: int) -> Iterator[list[str]]:
    """Die before the ``statement``-th statement on the store (from 1; a commit is one too): those that were sent."""
    sent: list[str] = []

    def note(what: str) -> None:
        if len(sent) + 1 == statement:
            raise Crash
        sent.append(what)

    def on_execute(_connection: Any, _cursor: Any, text: str, *_more: Any) -> None:
        note(text)

    def on_commit(_connection: Any) -> None:
        note("COMMIT")

    engines = store.engines
    for engine in engines:
        event.listen(engine, "before_cursor_execute", on_execute)
        event.listen(engine, "commit", on_commit)
    try:
        yield sent
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", on_execute)
            event.remove(engine, "commit", on_commit)


async def snapshot(store: Store) -> Snapshot:
    """Everything in the store."""
    async with store.read() as connection:
        return {
            table.name: [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


async def crash_everywhere(store: Store, act: Callable[[], Awaitable[object]]) -> int:
    """Let ``act``, one transaction, die before each of its statements in turn, then let it be: how many it has."""
    before = await snapshot(store)
    statement = 0
    while True:
        statement += 1
        try:
            with crash_at(store, statement) as sent:
                await act()
        except Crash:
            assert await snapshot(store) == before, f"died before statement {statement}, after {sent}"
        else:
            assert await snapshot(store) != before, "it did nothing"
            assert "COMMIT" in sent
            return statement - 1
