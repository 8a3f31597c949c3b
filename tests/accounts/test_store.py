"""The store: whole transactions, durable, and honest about a full disk."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from accounts import sqlite
from accounts.store import Store, StoreError, open_store
from protocol.errors import Code, VoiceError
from tests.databases import Postgres, in_thread, postgres_only, sqlite_only
from tests.server.serving import until

_INSERT = text(
    "INSERT INTO user_account (email, name, role, state, plan, limits, created_at) "
    "VALUES (:email, 'n', 'user', 'active', 'free', '{}', 1.5)"
)


async def _count(store: Store) -> int:
    async with store.read() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM user_account"))).scalar_one())


async def test_a_transaction_is_whole_or_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError):
        async with store.write() as connection:
            await connection.execute(_INSERT, {"email": "1"})
            await connection.execute(_INSERT, {"email": "1"})
    assert await _count(store) == 0
    async with store.write() as connection:
        await connection.execute(_INSERT, {"email": "1"})
    assert await _count(store) == 1


@sqlite_only
async def test_sqlite_runs_with_the_settings_that_survive_power_loss(store: Store) -> None:
    async with store.read() as connection:
        for pragma, expected in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert (await connection.execute(text(f"PRAGMA {pragma}"))).scalar_one() == expected


@sqlite_only
async def test_a_write_holds_the_lock_from_its_beginning(store: Store, tmp_path: Path) -> None:
    async with store.write():
        other = sqlite3.connect(tmp_path / "voxline.db", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


@sqlite_only
async def test_a_full_disk_is_a_typed_error_and_leaves_nothing_behind(store: Store) -> None:
    async with store.read() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
    with pytest.raises(VoiceError) as caught:
        async with store.write() as connection:
            await connection.execute(text(f"PRAGMA max_page_count={pages}"))
            for number in range(1000):
                await connection.execute(_INSERT, {"email": f"{number:0500}"})
    assert caught.value.code is Code.STORAGE_FULL and caught.value.facts["retry_after"]
    assert await _count(store) == 0


async def test_what_is_transacted_is_whole_or_nothing_and_gives_its_result(store: Store) -> None:
    async def two(connection: AsyncConnection) -> int:
        await connection.execute(_INSERT, {"email": "1"})
        await connection.execute(_INSERT, {"email": "2"})
        return 2

    async def twice_the_same(connection: AsyncConnection) -> None:
        await connection.execute(_INSERT, {"email": "3"})
        await connection.execute(_INSERT, {"email": "3"})

    assert await store.transact(two) == 2 == await _count(store)
    with pytest.raises(IntegrityError):
        await store.transact(twice_the_same)
    assert await _count(store) == 2


@sqlite_only
async def test_a_transaction_is_one_errand_and_so_may_wait_for_nothing_else(store: Store) -> None:
    """Thirty changes of thread took as long, on a busy event loop, as a sentence takes to be spoken."""
    places = set[int]()

    async def noting(connection: AsyncConnection) -> None:
        for email in "12":
            await connection.execute(_INSERT, {"email": email})
            places.add(threading.get_ident())

    async def waiting(connection: AsyncConnection) -> None:
        await connection.execute(_INSERT, {"email": "3"})
        await asyncio.sleep(0)

    await store.transact(noting)
    assert len(places) == 1 and threading.get_ident() not in places
    with pytest.raises(RuntimeError, match="besides its database"):
        await store.transact(waiting)
    assert await _count(store) == 2


@sqlite_only
async def test_a_full_disk_is_a_typed_error_of_what_is_transacted_too(store: Store) -> None:
    async def fill(connection: AsyncConnection) -> None:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        await connection.execute(text(f"PRAGMA max_page_count={pages}"))
        for number in range(1000):
            await connection.execute(_INSERT, {"email": f"{number:0500}"})

    with pytest.raises(VoiceError) as caught:
        await store.transact(fill)
    assert caught.value.code is Code.STORAGE_FULL
    assert await _count(store) == 0


@sqlite_only
async def test_who_is_cancelled_knows_that_what_he_transacted_is_over(store: Store) -> None:
    began, go_on = threading.Event(), threading.Event()

    async def slow(connection: AsyncConnection) -> None:
        await connection.execute(_INSERT, {"email": "1"})
        began.set()
        assert go_on.wait(10)

    working = asyncio.create_task(store.transact(slow))
    assert await asyncio.to_thread(began.wait, 10)
    working.cancel()
    await asyncio.sleep(0)
    assert not working.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await _count(store) == 1


@sqlite_only
async def test_writers_take_turns_without_sleeping_in_between(store: Store) -> None:
    """SQLite has whoever finds it locked sleep, up to a tenth of a second at a time; nobody of this process does."""
    order: list[int] = []
    begun: list[str] = []
    event.listen(store.engines[0], "begin", lambda _connection: begun.append("BEGIN"))

    async def write(number: int) -> None:
        async with store.write() as connection:
            await connection.execute(_INSERT, {"email": str(number)})
            order.append(number)
            await asyncio.sleep(0)
            assert len(begun) == len(order), "nobody else has begun, and so nobody waits for SQLite's lock"

    await asyncio.gather(*map(write, range(10)))
    assert order == list(range(10)) and await _count(store) == 10


@sqlite_only
async def test_a_turn_that_does_not_come_is_a_typed_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.store._PATIENCE_S", 0.05)
    async with store.write():
        with pytest.raises(VoiceError) as caught:
            async with store.write():
                pytest.fail("two at once")
    assert caught.value.code is Code.BUSY and caught.value.facts["retry_after"]
    async with store.write() as connection:
        await connection.execute(_INSERT, {"email": "1"})
    assert await _count(store) == 1


@sqlite_only
async def test_a_statement_is_one_errand_to_the_database_s_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    errands: list[str] = []
    run: Any = sqlite.Connection._execute

    async def counted(connection: sqlite.Connection, work: Any, *given: Any, **named: Any) -> Any:
        errands.append(str(work))
        return await run(connection, work, *given, **named)

    async with store.read() as connection:
        await connection.execute(text("SELECT 1"))
        monkeypatch.setattr(sqlite.Connection, "_execute", counted)
        assert (await connection.execute(text("SELECT 2 UNION SELECT 3"))).scalars().all() == [2, 3]
        assert len(errands) == 1


async def test_another_error_of_the_database_stays_what_it_is(store: Store) -> None:
    with pytest.raises(DBAPIError):
        async with store.write() as connection:
            await connection.execute(text("SELECT * FROM nowhere"))


async def test_a_second_opening_finds_the_first_one_s_rows(store: Store, database_url: str) -> None:
    async with store.write() as connection:
        await connection.execute(_INSERT, {"email": "1"})
    again = await open_store(database_url)
    assert await _count(again) == 1
    await again.aclose()


async def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="as data directory"):
        await open_store(f"sqlite+aiosqlite:///{tmp_path}/file/voxline.db")


async def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "voxline.db").write_text("a letter to my aunt, " * 200)
    with pytest.raises(StoreError, match="not a database"):
        await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db")


async def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.store.network_file_system", lambda path: "nfs4")
    with pytest.raises(StoreError, match="network file system \\(nfs4\\)"):
        await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db")


@pytest.mark.parametrize("url", ["mysql://here/db", "postgresql://here/db", "not a url", "sqlite:///x.db", ""])
async def test_a_database_of_another_kind_is_an_error(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite\\+aiosqlite"):
        await open_store(url)


async def test_a_postgres_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot use the database voxline"):
        await open_store(f"postgresql+asyncpg://nobody@/voxline?host={tmp_path}")


@postgres_only
async def test_a_postgres_that_goes_away_is_a_typed_error_and_its_return_is_noticed(
    store: Store, database_url: str, postgres: Postgres
) -> None:
    async with store.write() as connection:
        await connection.execute(_INSERT, {"email": "1"})
    name = make_url(database_url).database
    assert name is not None
    with pytest.raises(VoiceError) as caught:
        async with store.write() as connection:
            await connection.execute(_INSERT, {"email": "2"})
            in_thread(
                postgres._admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            )
            await connection.execute(_INSERT, {"email": "3"})
    assert caught.value.code is Code.BUSY and caught.value.facts["retry_after"]
    assert await _count(store) == 1


@postgres_only
async def test_two_transactions_that_wait_for_each_other_do_not_hang(store: Store) -> None:
    async with store.write() as connection:
        for email in "12":
            await connection.execute(_INSERT, {"email": email})

    async def change(first: str, second: str, meeting: asyncio.Barrier) -> None:
        async with store.write() as connection:
            await connection.execute(text("UPDATE user_account SET name = 'x' WHERE email = :e"), {"e": first})
            await meeting.wait()
            await connection.execute(text("UPDATE user_account SET name = 'x' WHERE email = :e"), {"e": second})

    meeting = asyncio.Barrier(2)
    answers = await asyncio.gather(change("1", "2", meeting), change("2", "1", meeting), return_exceptions=True)
    failed = [answer for answer in answers if answer is not None]
    assert len(failed) == 1 and isinstance(failed[0], VoiceError) and failed[0].code is Code.BUSY


async def test_a_read_sees_the_database_as_it_was_at_its_first_query(store: Store) -> None:
    """An audit asks many questions while others write; answers of different moments would look like a wrong ledger."""
    count = text("SELECT count(*) FROM user_account")
    async with store.read() as reading:
        assert (await reading.execute(count)).scalar_one() == 0
        async with store.write() as writing:
            await writing.execute(_INSERT, {"email": "1"})
        assert (await reading.execute(count)).scalar_one() == 0
    assert await _count(store) == 1


@postgres_only
async def test_a_read_cannot_write_and_leaves_the_connection_as_it_was(store: Store) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with store.read() as connection:
            await connection.execute(_INSERT, {"email": "1"})
    async with store.write() as connection:
        assert (await connection.execute(text("SHOW transaction_isolation"))).scalar_one() == "read committed"
        await connection.execute(_INSERT, {"email": "1"})
    assert await _count(store) == 1


async def test_a_server_that_cannot_be_reached_is_a_typed_error(tmp_path: Path) -> None:
    store = Store(create_async_engine(f"postgresql+asyncpg://nobody@/voxline?host={tmp_path}"))
    for use in (store.read, store.write):
        with pytest.raises(VoiceError) as caught:
            async with use():
                pytest.fail("it cannot get here")
        assert caught.value.code is Code.BUSY
    await store.aclose()


async def test_a_directory_in_place_of_the_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "voxline.db").mkdir()
    before = set(threading.enumerate())
    with pytest.raises(StoreError, match="unable to open"):
        await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db")
    store = Store(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/voxline.db"))
    with pytest.raises(DBAPIError, match="unable to open"):
        async with store.read():
            pytest.fail("it cannot get here")
    await store.aclose()
    await until(lambda: set(threading.enumerate()) <= before)  # aiosqlite's threads have something to tell this loop


async def test_a_start_that_is_cancelled_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("accounts.store.bring_up_to_date", cancelled)
    before = set(threading.enumerate())
    with pytest.raises(asyncio.CancelledError):
        await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db")
    await until(lambda: set(threading.enumerate()) <= before)


async def test_a_connection_that_breaks_in_the_middle_is_a_typed_error(store: Store) -> None:
    with pytest.raises(VoiceError) as caught:
        async with store.write() as connection:
            await connection.execute(_INSERT, {"email": "1"})
            raise ConnectionResetError
    assert caught.value.code is Code.BUSY
    assert await _count(store) == 0


async def test_a_database_that_may_not_be_written_is_told_so(tmp_path: Path) -> None:
    """It belongs to another user, perhaps: not a bug of the server's."""
    place = tmp_path / "voxline.db"
    await (await open_store(f"sqlite+aiosqlite:///{place}")).aclose()
    store = Store(create_async_engine(f"sqlite+aiosqlite:///file:{place}?mode=ro&uri=true"))
    with pytest.raises(VoiceError, match="may not write") as refused:
        async with store.write() as connection:
            await connection.execute(text("DELETE FROM api_key"))
    assert refused.value.code is Code.STORAGE_FULL
    await store.aclose()
