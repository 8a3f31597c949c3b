"""The store: whole transactions, durable, and honest about a full disk."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from accounts.store import Store, StoreError, open_store
from protocol.errors import Code, VoiceError
from tests.databases import sqlite_only

_INSERT = text("INSERT INTO api_key (name, hash, last4, state, created_at) VALUES ('n', :hash, 'abcd', 'active', 1.5)")


async def _count(store: Store) -> int:
    async with store.read() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM api_key"))).scalar_one())


async def test_a_transaction_is_whole_or_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError):
        async with store.write() as connection:
            await connection.execute(_INSERT, {"hash": b"1"})
            await connection.execute(_INSERT, {"hash": b"1"})
    assert await _count(store) == 0
    async with store.write() as connection:
        await connection.execute(_INSERT, {"hash": b"1"})
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
                await connection.execute(_INSERT, {"hash": number.to_bytes(500, "big")})
    assert caught.value.code is Code.STORAGE_FULL and caught.value.facts["retry_after"]
    assert await _count(store) == 0


async def test_another_error_of_the_database_stays_what_it_is(store: Store) -> None:
    with pytest.raises(DBAPIError):
        async with store.write() as connection:
            await connection.execute(text("SELECT * FROM nowhere"))


async def test_a_second_opening_finds_the_first_one_s_rows(store: Store, database_url: str) -> None:
    async with store.write() as connection:
        await connection.execute(_INSERT, {"hash": b"1"})
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
