"""Credits move by double entry, once, and never below zero: on SQLite and on Postgres."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Account, Balance, HoldResolved, HoldState, Kind, Ledger
from accounts.schema import hold, ledger_account, ledger_entry, ledger_txn
from accounts.store import Store
from protocol.errors import Code, VoiceError
from protocol.pricing import UNITS
from tests.accounts.conftest import Clock
from tests.accounts.money import balance_of, findings, person


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock)


async def test_credits_are_granted_held_captured_and_given_back(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 100)
    async with store.write() as connection:
        first = await ledger.hold(connection, ada, 60, "test:1")
    assert await balance_of(store, ada) == Balance(available=40, held=60)
    async with store.write() as connection:
        second = await ledger.hold(connection, ada, 30, "test:2")
        assert await ledger.capture(connection, first) == 60
    assert await balance_of(store, ada) == Balance(available=10, held=30, spent=60)
    async with store.write() as connection:
        await ledger.release(connection, second)
    assert await balance_of(store, ada) == Balance(available=40, spent=60)
    assert await findings(store) == ()


async def test_a_part_is_captured_and_the_rest_is_free_again(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 100)
    async with store.write() as connection:
        held = await ledger.hold(connection, ada, 60, "session:x:1")
        assert await ledger.capture(connection, held, 25) == 25
    assert await balance_of(store, ada) == Balance(available=75, spent=25)
    assert await findings(store) == ()


async def test_what_costs_nothing_is_held_and_captured_all_the_same(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger)
    async with store.write() as connection:
        assert await ledger.capture(connection, await ledger.hold(connection, ada, 0, "test:1")) == 0
    assert await balance_of(store, ada) == Balance(0)
    assert await findings(store) == ()


async def test_too_few_credits_say_how_many_are_needed_and_there(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 2 * UNITS)
    with pytest.raises(VoiceError) as caught:
        async with store.write() as connection:
            await ledger.hold(connection, ada, 4 * UNITS, "test:1")
    assert caught.value.code is Code.INSUFFICIENT_CREDITS
    assert caught.value.message == "This costs 4 credits; 2 are available."
    assert caught.value.facts == {"required": 4 * UNITS, "available": 2 * UNITS}
    assert await balance_of(store, ada) == Balance(2 * UNITS)


async def test_expiry_takes_what_is_available_and_no_more(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 100)
    async with store.write() as connection:
        await ledger.hold(connection, ada, 70, "test:1")
        assert await ledger.expire(connection, ada, 50, "end of the month") == 30
        assert await ledger.expire(connection, ada, 50, "end of the month") == 0
    assert await balance_of(store, ada) == Balance(available=0, held=70)


Resolve = Callable[[Ledger, AsyncConnection, int], Awaitable[object]]
RESOLUTIONS: list[Resolve] = [
    lambda ledger, connection, hold_id: ledger.capture(connection, hold_id),
    lambda ledger, connection, hold_id: ledger.capture(connection, hold_id, 3),
    lambda ledger, connection, hold_id: ledger.release(connection, hold_id),
]


async def test_a_hold_is_resolved_once(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 100)
    for number, (first, second) in enumerate(product(RESOLUTIONS, repeat=2)):
        async with store.write() as connection:
            hold_id = await ledger.hold(connection, ada, 10, f"test:{number}")
            await first(ledger, connection, hold_id)
        after = await balance_of(store, ada)
        with pytest.raises(HoldResolved):
            async with store.write() as connection:
                await second(ledger, connection, hold_id)
        assert await balance_of(store, ada) == after
    assert await findings(store) == ()


async def test_of_many_at_once_one_resolves_a_hold(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 10)
    async with store.write() as connection:
        hold_id = await ledger.hold(connection, ada, 10, "test:1")

    async def resolve(number: int) -> bool:
        try:
            async with store.write() as connection:
                await RESOLUTIONS[number % 3](ledger, connection, hold_id)
        except HoldResolved:
            return False
        return True

    assert sum(await asyncio.gather(*(resolve(number) for number in range(12)))) == 1
    assert await findings(store) == ()


async def test_nobody_can_hold_what_another_holds(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 10)

    async def take(number: int) -> bool:
        try:
            async with store.write() as connection:
                await ledger.hold(connection, ada, 3, f"test:{number}")
        except VoiceError:
            return False
        return True

    assert sum(await asyncio.gather(*(take(number) for number in range(20)))) == 3
    assert await balance_of(store, ada) == Balance(available=1, held=9)


async def test_faults_of_the_caller_change_nothing(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 10)
    async with store.write() as connection:
        hold_id = await ledger.hold(connection, ada, 5, "test:1")
    wrong: list[tuple[type[Exception], Callable[[AsyncConnection], Awaitable[object]]]] = [
        (ValueError, lambda connection: ledger.capture(connection, hold_id, 6)),
        (ValueError, lambda connection: ledger.capture(connection, hold_id, -1)),
        (ValueError, lambda connection: ledger.grant(connection, ada, -1, "")),
        (ValueError, lambda connection: ledger.expire(connection, ada, -1, "")),
        (ValueError, lambda connection: ledger.hold(connection, ada, -1, "test:2")),
        (HoldResolved, lambda connection: ledger.release(connection, hold_id + 1)),
        (IntegrityError, lambda connection: ledger.hold(connection, ada, 1, "test:1")),
        (LookupError, lambda connection: ledger.grant(connection, ada + 1, 1, "")),
    ]
    for error, call in wrong:
        with pytest.raises(error):
            async with store.write() as connection:
                await call(connection)
    assert await balance_of(store, ada) == Balance(available=5, held=5)
    assert await findings(store) == ()


async def test_entries_that_do_not_sum_to_zero_are_refused(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 10)
    async with store.write() as connection:
        with pytest.raises(ValueError, match="sum to zero"):
            await ledger._post(connection, Kind.GRANT, ada, {}, {Account.AVAILABLE: 5})


async def test_the_balance_is_read_under_a_lock_or_without(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 10)
    async with store.write() as connection:
        await ledger.capture(connection, await ledger.hold(connection, ada, 4, "test:1"), 1)
        await ledger.hold(connection, ada, 2, "test:2")
        assert await ledger.lock(connection, ada) == await ledger.balance(connection, ada) == Balance(7, 2, 1)
        assert await ledger.balance(connection, ada + 1) == Balance(0)


async def test_history_is_the_latest_first_in_pages(store: Store, ledger: Ledger, clock: Clock) -> None:
    ada, bob = await person(store, ledger, 100), await person(store, ledger, 5)
    async with store.write() as connection:
        clock.time += 1
        hold_id = await ledger.hold(connection, ada, 60, "test:1")
        await ledger.capture(connection, hold_id, 40)
        moved = await ledger.history(connection, ada)
        assert [(m.kind, m.available, m.held, m.spent, m.subject, m.note) for m in moved] == [
            (Kind.CAPTURE, 20, -60, 40, "test:1", ""),
            (Kind.HOLD, -60, 60, 0, "test:1", ""),
            (Kind.GRANT, 100, 0, 0, "", "to begin with"),
        ]
        assert [m.at for m in moved] == [clock.time, clock.time, clock.time - 1]
        newest = await ledger.history(connection, ada, limit=1)
        assert [*newest, *await ledger.history(connection, ada, before=newest[0].id)] == moved
        assert [m.available for m in await ledger.history(connection, bob)] == [5]


async def test_usage_is_told_by_the_day(store: Store, ledger: Ledger, clock: Clock) -> None:
    ada = await person(store, ledger, 100)
    for day, units in ((10, 5), (10, 7), (12, 1)):
        clock.time = day * 86_400.0 + 1000 * units
        async with store.write() as connection:
            await ledger.capture(connection, await ledger.hold(connection, ada, 9, f"test:{day}:{units}"), units)
    async with store.read() as connection:
        assert await ledger.usage(connection, ada, 0) == {10: 12, 12: 1}
        assert await ledger.usage(connection, ada, 11 * 86_400) == {12: 1}


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_txn"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET id = id + 1"])
async def test_the_database_lets_nobody_change_the_past(
    store: Store, ledger: Ledger, table: str, statement: str
) -> None:
    await person(store, ledger, 10)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"):
        async with store.write() as connection:
            await connection.execute(text(statement.format(table)))


async def test_the_database_lets_no_balance_below_zero_and_no_hold_resolve_twice(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 10)
    async with store.write() as connection:
        hold_id = await ledger.hold(connection, ada, 5, "test:1")
        await ledger.capture(connection, hold_id)
    broken = [
        update(ledger_account).where(ledger_account.c.kind == Account.AVAILABLE).values(balance=-1),
        insert(ledger_txn).values(kind=Kind.RELEASE, user_id=ada, hold_id=hold_id, note="", at=0.0),
        insert(ledger_txn).values(kind=Kind.CAPTURE, user_id=ada, hold_id=hold_id, note="", at=0.0),
        update(hold).where(hold.c.id == hold_id).values(captured=6),
    ]
    for statement in broken:
        with pytest.raises(IntegrityError):
            async with store.write() as connection:
                await connection.execute(statement)


async def test_the_audit_sees_what_it_is_for(store: Store, ledger: Ledger) -> None:
    """Each breach is made behind the ledger's back, seen, and rolled back."""
    ada = await person(store, ledger, 100)
    async with store.write() as connection:
        held = await ledger.hold(connection, ada, 10, "job:1")
        done = await ledger.hold(connection, ada, 10, "session:s:1")
        await ledger.capture(connection, done, 4)
        txn = await connection.scalar(select(func.max(ledger_txn.c.id)))
        spent = select(ledger_account.c.id).where(ledger_account.c.kind == "spent", ledger_account.c.user_id == ada)
        account = (await connection.execute(spent)).scalar_one()
    bob = await person(store, ledger)
    breaches: dict[str, Any] = {
        "balance is not the sum": update(ledger_account).where(ledger_account.c.id == account).values(balance=5),
        "held balance is not": update(hold).where(hold.c.id == held).values(amount=9),
        "hold was not resolved": update(hold).where(hold.c.id == held).values(state=HoldState.RELEASED),
        "hold's entries are not": update(hold).where(hold.c.id == done).values(captured=5),
        "does not sum to zero": insert(ledger_txn).values(kind=Kind.GRANT, user_id=ada, note="", at=0.0),
        "another user's account": [
            delete(ledger_account).where(ledger_account.c.user_id == bob, ledger_account.c.kind == "held"),
            insert(ledger_entry).values(txn_id=txn, account_id=account + 4, amount=0),
        ],
        "hold was not made": insert(hold).values(
            user_id=ada, subject="", amount=0, captured=0, state="open", created_at=0.0
        ),
        "hold of a job that is not there: 1": [],
    }
    for wrong, statements in breaches.items():
        async with store.write() as connection:
            for statement in statements if isinstance(statements, list) else [statements]:
                await connection.execute(statement)
            report = await ledger.audit(connection)
            assert any(wrong in finding for finding in report.findings), (wrong, report.findings)
            assert not report.clean
            await connection.rollback()


async def test_the_audit_names_some_of_many(store: Store, ledger: Ledger) -> None:
    ada = await person(store, ledger, 100)
    async with store.write() as connection:
        for number in range(30):
            await ledger.hold(connection, ada, 1, f"job:{number}")
    found = await findings(store)
    assert len(found) == 21 and found[-1] == "hold of a job that is not there: and more"
