"""The commands around accounts: users, keys, apps, credits and the audit, as a shell sees them."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from accounts.keys import State
from accounts.store import open_store
from server.accounts import opened
from tests.databases import in_thread
from tests.server.shell import Voxline, voxline

__all__ = ["voxline"]


def test_an_account_from_making_to_its_last_credit(
    voxline: Voxline, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXLINE_DATABASE", database_url)
    made = voxline("users", "create", "Ann@example.com", "--name", "Ann", "--plan", "pro", typed="correct horse\n")
    assert made.status == 0 and made.out == "2\n", made.err  # 1 is the owner
    listed = voxline("users", "list").rows
    assert [row[1] for row in listed] == ["e-mail", "owner@localhost", "ann@example.com"]
    assert listed[2][:7] == ["2", "ann@example.com", "Ann", "user", "active", "pro", "100000"]
    assert voxline("users", "list", "--search", "ANN").rows[1][0] == "2"
    assert voxline("credits", "grant", "ann@example.com", "0.25", "--note", "a tip").out == "100000.25\n"
    assert voxline("credits", "show", "2").rows[1] == ["ann@example.com", "100000.25", "0", "0"]
    history = voxline("credits", "history", "2").rows
    assert [(row[2], row[3], row[-1]) for row in history[1:]] == [
        ("grant", "+0.25", "a tip"),
        ("grant", "+100000", "new account"),
    ]
    assert voxline("audit").status == 0


def test_a_password_is_what_standard_input_says(voxline: Voxline, tmp_path: Path) -> None:
    voxline("users", "create", "ann@example.com", typed="correct horse\nsecond line\n")
    assert voxline("users", "passwd", "ann@example.com", typed="another horse").status == 0

    async def works(password: str) -> bool:
        async with opened(f"sqlite+aiosqlite:///{tmp_path}/voxline.db") as accounts:
            return await accounts.users.authenticate("ann@example.com", password) is not None

    assert not in_thread(works("correct horse")) and in_thread(works("another horse"))


def test_plans_limits_states_and_roles_change_what_holds(voxline: Voxline) -> None:
    voxline("users", "create", "ann@example.com", typed="correct horse")
    assert voxline("users", "plan", "ann@example.com", "pro").status == 0
    shown = voxline("users", "limits", "ann@example.com", "jobs=9", "voices=0").rows
    assert ["jobs", "9", "admin"] in shown and ["voices", "none", "admin"] in shown
    assert ["requests_per_minute", "60", "plan pro"] in shown
    assert ["jobs", "5", "plan pro"] in voxline("users", "limits", "ann@example.com", "jobs=plan").rows
    assert ["voices", "none", "admin"] in voxline("users", "limits", "ann@example.com").rows
    assert voxline("users", "disable", "ann@example.com").err == "ann@example.com is disabled.\n"
    assert voxline("users", "list").rows[2][3] == "disabled"  # the name is empty
    assert voxline("users", "enable", "2").status == 0
    assert voxline("users", "admin", "2").status == 0 and voxline("users", "list").rows[2][2] == "admin"
    assert voxline("users", "admin", "--off", "1").status == 0
    last = voxline("users", "admin", "--off", "2")
    assert last.status == 1 and "last active admin" in last.err


def test_keys_belong_to_an_account(voxline: Voxline, tmp_path: Path) -> None:
    first = voxline("keys", "create", "--name", "laptop")
    assert re.fullmatch(r"sk-ov-\w{38}\n", first.out), "a script takes the key as it is"
    voxline("users", "create", "ann@example.com", typed="correct horse")
    hers = voxline("keys", "create", "--user", "ann@example.com").out.strip()
    listed = voxline("keys", "list").rows
    assert [row[-3] for row in listed[1:]] == ["owner@localhost", "ann@example.com"]
    assert len(voxline("keys", "list", "--user", "ann@example.com").rows) == 2
    voxline("users", "disable", "ann@example.com")

    async def state() -> tuple[State, bool]:
        async with opened(f"sqlite+aiosqlite:///{tmp_path}/voxline.db") as accounts:
            return (await accounts.users.get(2)).state, await accounts.keys.verify(hers) is not None

    assert in_thread(state()) == (State.DISABLED, False)


def test_apps_from_making_to_withdrawing(voxline: Voxline, tmp_path: Path) -> None:
    app_id, token = voxline("apps", "create", "--name", "bot", "--days", "30").out.split()
    other = voxline("apps", "renew", app_id).out.strip()
    rows = voxline("apps", "list").rows
    assert [row[:3] for row in rows[1:]] == [[app_id, "bot", "active"]] * 2

    async def valid() -> list[bool]:
        async with opened(f"sqlite+aiosqlite:///{tmp_path}/voxline.db") as accounts:
            return [await accounts.apps.verify(jwt) is not None for jwt in (token, other)]

    assert in_thread(valid()) == [True, True]
    assert voxline("apps", "withdraw", app_id, "--kid", rows[1][3]).err == "1 token is withdrawn.\n"
    assert sorted(in_thread(valid())) == [False, True]
    assert voxline("apps", "withdraw", app_id).err == "1 token is withdrawn.\n"
    assert voxline("apps", "list").rows[1] == [app_id, "bot", "active", "none"]


def test_the_audit_says_what_is_wrong(voxline: Voxline, tmp_path: Path) -> None:
    voxline("users", "create", "ann@example.com", typed="correct horse")

    async def steal() -> None:
        store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db")
        async with store.write() as connection:
            await connection.execute(text("UPDATE ledger_account SET balance = balance + 1 WHERE kind = 'available'"))
        await store.aclose()

    in_thread(steal())
    wrong = voxline("audit")
    assert wrong.status == 1 and wrong.out and "right" not in wrong.err


MISTAKES = {
    "an address that has an account": (("users", "create", "owner@localhost"), "already"),
    "what is no address": (("users", "create", "ann"), "e-mail address"),
    "an account that is not there": (("users", "disable", "nobody@example.com"), "no account nobody@example.com"),
    "a number that is not there": (("users", "passwd", "99"), "no account 99"),
    "a number that cannot be": (("users", "passwd", "9" * 30), "no account 99"),
    "a plan that is not there": (("users", "plan", "1", "gold"), "free, pro"),
    "a limit that is not there": (("users", "limits", "1", "jbos=1"), "requests_per_minute"),
    "a limit that is no number": (("users", "limits", "1", "jobs=-1"), "whole number"),
    "credits that are no number": (("credits", "grant", "1", "many"), "number of credits"),
    "credits that are none": (("credits", "grant", "1", "0"), "more than 0"),
    "more credits than there can be": (("credits", "grant", "1", "1" + "0" * 30), "fewer than"),
    "finer credits than there are": (("credits", "grant", "1", "0.00001"), "4 decimals"),
    "a key for nobody": (("keys", "create", "--user", "nobody@example.com"), "no account"),
    "a key of a number that cannot be": (("keys", "delete", "9" * 30), "no key"),
    "an app that is not there": (("apps", "withdraw", "x"), "no such app"),
    "a password that is too short": (("users", "passwd", "1"), "8 to 200"),
}


@pytest.mark.parametrize(("arguments", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_a_line(voxline: Voxline, arguments: tuple[str, ...], says: str) -> None:
    voxline("keys", "create")
    failed = voxline(*arguments, typed="short" if "passwd" in arguments else "correct horse")
    assert failed.status == 1 and says in failed.err and failed.out == "", failed


def test_a_missing_password_and_missing_data_are_told(voxline: Voxline) -> None:
    assert "no password" in voxline("users", "create", "ann@example.com").err
    for command in (("users", "list"), ("keys", "create", "--user", "ann@example.com"), ("audit",)):
        missing = voxline(*command)
        assert missing.status == 1 and "no server's data" in missing.err


def test_with_nothing_there_lists_say_so(voxline: Voxline) -> None:
    voxline("users", "create", "ann@example.com", typed="correct horse")
    assert "no such account" in voxline("users", "list", "--search", "zzz").err
    assert "no key yet" in voxline("keys", "list").err and "no app yet" in voxline("apps", "list").err


def test_a_database_that_is_away_is_a_line_too(
    voxline: Voxline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOXLINE_DATABASE", f"postgresql+asyncpg://nobody@/voxline?host={tmp_path}")
    away = voxline("users", "list")
    assert away.status == 1 and "cannot use the database" in away.err
