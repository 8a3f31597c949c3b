"""Databases of earlier versions: brought up to date as they open, and then no different from new ones."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from accounts.keys import Keys
from accounts.migrations import HEAD, upgrade
from accounts.store import StoreError, open_store
from accounts.tokens import Tokens
from tests.accounts.conftest import Clock
from tests.databases import Postgres

_OLD_KEY = text(
    "INSERT INTO api_key (name, hash, last4, state, created_at) VALUES (:name, :hash, 'abcd', 'active', 5.5)"
)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/empty.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create(empty=True)
    yield server.url(name)
    server.drop(name)


async def _run(url: str, *steps: Any) -> Any:
    """Each step with a connection, in one transaction; the last one's answer."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        answer: Any = None
        for step in steps:
            if callable(step):
                answer = await connection.run_sync(step)
            else:
                answer = await connection.execute(step)
    await engine.dispose()
    return answer


async def _made_by_0_1(url: str, *, stamped: bool = False) -> None:
    await _run(url, lambda connection: upgrade(connection, "0001"))
    if not stamped:
        await _run(url, text("DROP TABLE alembic_version"))


def _shape(connection: Connection) -> dict[str, object]:
    """Everything about the tables but the order of their columns."""
    seen: dict[str, object] = {}
    found = inspect(connection)
    for table in found.get_table_names():
        columns = {c["name"]: (repr(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(table)}
        foreign = sorted(
            (key["constrained_columns"], key["referred_table"], key["referred_columns"], sorted(key["options"].items()))
            for key in found.get_foreign_keys(table)
        )
        indexes = sorted(
            (i["name"], i["column_names"], i["unique"], {k: str(v) for k, v in i.get("dialect_options", {}).items()})
            for i in found.get_indexes(table)
        )
        unique = sorted(u["column_names"] for u in found.get_unique_constraints(table))
        checks = sorted((c["name"], c["sqltext"]) for c in found.get_check_constraints(table))
        seen[table] = (columns, found.get_pk_constraint(table)["constrained_columns"], foreign, indexes, unique, checks)
    if connection.dialect.name == "sqlite":
        for name, sql in connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")):
            seen[f"sql of {name}"] = re.sub(r"[\s\"]+", " ", sql)
    else:
        rows = connection.execute(text("SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"))
        seen |= {f"trigger {name}": definition for name, definition in rows}
        rows = connection.execute(text("SELECT proname, prosrc FROM pg_proc WHERE prolang = "
                                       "(SELECT oid FROM pg_language WHERE lanname = 'plpgsql')"))  # fmt: skip
        seen |= {f"function {name}": source for name, source in rows}
    return seen


async def test_a_database_that_went_through_every_step_is_like_a_new_one(empty_url: str, store_url: str) -> None:
    await _run(empty_url, lambda connection: upgrade(connection, HEAD))
    stepped, new = await _run(empty_url, _shape), await _run(store_url, _shape)
    assert stepped.keys() == new.keys()
    for name in new:
        assert stepped[name] == new[name], name
    assert any("append" in str(value) for value in new.values()), "triggers are compared too"


@pytest.fixture
async def store_url(empty_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database of the same kind, made new."""
    if empty_url.startswith("sqlite"):
        url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
        await (await open_store(url)).aclose()
        yield url
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


def test_the_revision_in_the_code_is_the_last_of_the_steps() -> None:
    from alembic.script import ScriptDirectory

    import accounts.migrations

    script = ScriptDirectory(str(Path(accounts.migrations.__file__).parent))
    assert script.get_current_head() == HEAD


@pytest.mark.parametrize("stamped", [False, True])
async def test_keys_of_an_old_server_still_open_and_belong_to_its_owner(
    empty_url: str, clock: Clock, stamped: bool
) -> None:
    from accounts.secrets import digest, new_secret

    await _made_by_0_1(empty_url, stamped=stamped)
    secret = new_secret("sk-ov-", lambda alphabet: alphabet[7])
    spent = new_secret("vt-", lambda alphabet: alphabet[9])
    await _run(
        empty_url,
        _OLD_KEY.bindparams(name="old", hash=digest(secret)),
        text("INSERT INTO token (hash, key_id, expires_at) SELECT :hash, id, 2000000 FROM api_key").bindparams(
            hash=digest(spent)
        ),
        _OLD_KEY.bindparams(name="deleted", hash=b"2"),
        text("DELETE FROM api_key WHERE name = 'deleted'"),
    )
    store = await open_store(empty_url)
    keys = Keys(store, now=clock, tick=clock)
    key = await keys.verify(secret)
    assert key is not None and (key.id, key.name, key.created_at) == (1, "old", 5.5)
    assert await Tokens(store, now=clock).redeem(spent) == key.id
    async with store.read() as connection:
        owner = (await connection.execute(text("SELECT * FROM user_account"))).one()
    assert (owner.id, owner.email, owner.role, owner.plan) == (key.user_id, "owner@localhost", "admin", "owner")
    _, second = await keys.create("new", user_id=owner.id)
    assert second.id == 3, "the number of a deleted key does not come back"
    await store.aclose()


async def test_what_was_open_before_bills_were_shared_is_one_session(empty_url: str) -> None:
    await _run(
        empty_url,
        lambda connection: upgrade(connection, "0002"),
        text("INSERT INTO user_account (id, email, name, role, state, plan, limits, created_at) "
             "VALUES (7, 'a@b', '', 'user', 'active', 'free', '{}', 1)"),
        text("INSERT INTO hold (id, user_id, subject, amount, captured, state, created_at) "
             "VALUES (8, 7, 'session:s:0', 60, 0, 'open', 1)"),
        text("INSERT INTO live_session (id, user_id, route, owner, beat, hold_id, booked, charged, captured, opened_at)"
             " VALUES ('s', 7, 'live.listen', 'server-1', 3, 8, 5, 6, 0, 1.5)"),
    )  # fmt: skip
    store = await open_store(empty_url)
    async with store.read() as connection:
        row = (await connection.execute(text("SELECT * FROM live_session"))).one()
    assert (row.user_id, row.hold_id, row.booked, row.opened_at, row.closed_at, row.sessions) == (7, 8, 5, 1.5, None, 1)
    await store.aclose()


async def test_an_old_server_without_keys_has_no_owner_yet(empty_url: str) -> None:
    await _made_by_0_1(empty_url)
    store = await open_store(empty_url)
    async with store.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM user_account"))).scalar_one() == 0
    await store.aclose()


async def test_a_new_file_that_many_open_at_one_moment_is_locked_for_none_of_them(tmp_path: Path) -> None:
    """SQLite tells those who find the journal's mode being changed that the file is locked, without any waiting."""
    for number in range(20):
        url = f"sqlite+aiosqlite:///{tmp_path}/{number}.db"
        await _made_by_0_1(url)
        for store in await asyncio.gather(*(open_store(url) for _ in range(4))):
            await store.aclose()


async def test_processes_that_start_together_do_not_disturb_each_other(empty_url: str) -> None:
    await _made_by_0_1(empty_url)
    for store in await asyncio.gather(*(open_store(empty_url) for _ in range(4))):
        await store.aclose()


async def test_a_database_of_a_later_version_is_left_alone(empty_url: str) -> None:
    await (await open_store(empty_url)).aclose()
    await _run(empty_url, text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="later version"):
        await open_store(empty_url)


async def test_a_step_that_fails_leaves_the_old_database_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/old.db"
    await _made_by_0_1(url)
    await _run(url, text("CREATE TABLE voice (something TEXT)"))
    before = await _run(url, _shape)
    with pytest.raises(StoreError, match="voice already exists"):
        await open_store(url)
    assert await _run(url, _shape) == before
    with sqlite3.connect(tmp_path / "old.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
