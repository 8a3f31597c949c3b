"""The ledger against a model of it in a dictionary: whatever is done in whatever order, both say the same (R12)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Balance, HoldResolved, Ledger
from accounts.store import Store, open_store
from protocol.errors import Code, VoiceError
from tests.accounts.money import balance_of, findings, person
from tests.databases import postgres_only

_subjects = count(1)
UNITS = st.integers(0, 50)
CRASH = st.integers(0, 9).map(lambda number: number == 0)


class Crash(Exception):
    """The process dies before its transaction is committed."""


class Model(RuleBasedStateMachine):
    """One user. ``run`` and ``store`` are set by the test that runs it."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(lambda: 0.0)
        self.user: int = self.run(person(self.store, self.ledger))
        self.available = self.spent = 0
        self.open: dict[int, int] = {}
        self.resolved: list[int] = []

    def do(self, call: Callable[[AsyncConnection], Awaitable[Any]], crash: bool = False) -> Any:
        """One transaction; with ``crash`` it is never committed."""

        async def transaction() -> Any:
            async with self.store.write() as connection:
                answer = await call(connection)
                if crash:
                    raise Crash
                return answer

        return self.run(transaction())

    @rule(units=UNITS, crash=CRASH)
    def grant(self, units: int, crash: bool) -> None:
        if self.survives(lambda connection: self.ledger.grant(connection, self.user, units, ""), crash):
            self.available += units

    @rule(units=UNITS, crash=CRASH)
    def expire(self, units: int, crash: bool) -> None:
        if self.survives(lambda connection: self.ledger.expire(connection, self.user, units, ""), crash):
            self.available -= min(units, self.available)

    @rule(units=UNITS, crash=CRASH)
    def hold(self, units: int, crash: bool) -> None:
        subject = f"test:{next(_subjects)}"
        try:
            hold_id = self.do(lambda connection: self.ledger.hold(connection, self.user, units, subject), crash)
        except VoiceError as error:
            assert error.code is Code.INSUFFICIENT_CREDITS and units > self.available
            return
        except Crash:
            return
        assert units <= self.available
        self.available -= units
        self.open[hold_id] = units

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(0, 1), whole=st.booleans(), crash=CRASH)
    def capture(self, data: st.DataObject, share: float, whole: bool, crash: bool) -> None:
        hold_id = data.draw(st.sampled_from(sorted(self.open)))
        units = self.open[hold_id] if whole else int(self.open[hold_id] * share)
        wanted = None if whole else units
        if self.survives(lambda connection: self.ledger.capture(connection, hold_id, wanted), crash):
            self.available += self.open.pop(hold_id) - units
            self.spent += units
            self.resolved.append(hold_id)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), crash=CRASH)
    def release(self, data: st.DataObject, crash: bool) -> None:
        hold_id = data.draw(st.sampled_from(sorted(self.open)))
        if self.survives(lambda connection: self.ledger.release(connection, hold_id), crash):
            self.available += self.open.pop(hold_id)
            self.resolved.append(hold_id)

    @precondition(lambda self: self.resolved)
    @rule(data=st.data(), capture=st.booleans())
    def resolve_again(self, data: st.DataObject, capture: bool) -> None:
        hold_id = data.draw(st.sampled_from(self.resolved))
        verb = self.ledger.capture if capture else self.ledger.release
        with pytest.raises(HoldResolved):
            self.do(lambda connection: verb(connection, hold_id))

    def survives(self, call: Callable[[AsyncConnection], Awaitable[Any]], crash: bool) -> bool:
        """Whether the transaction was committed."""
        try:
            self.do(call, crash)
        except Crash:
            return False
        return True

    @invariant()
    def agrees(self) -> None:
        balance = self.run(balance_of(self.store, self.user))
        assert balance == Balance(self.available, sum(self.open.values()), self.spent)


def check(database_url: str, examples: int, steps: int) -> None:
    """Run so many histories of so many steps, and audit what they have left."""
    with asyncio.Runner() as runner:
        store = runner.run(open_store(database_url))
        try:
            machine = type("Machine", (Model,), {"run": staticmethod(runner.run), "store": store})
            health = [HealthCheck.too_slow, HealthCheck.data_too_large]
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=health
                ),
            )
            assert runner.run(findings(store)) == ()
        finally:
            runner.run(store.aclose())


def test_the_ledger_and_the_model_agree() -> None:
    check("sqlite+aiosqlite://", examples=60, steps=25)


@postgres_only
def test_the_ledger_and_the_model_agree_on_postgres(database_url: str) -> None:
    check(database_url, examples=20, steps=25)


@pytest.mark.nightly
def test_the_ledger_and_the_model_agree_for_long(database_url: str) -> None:
    check(database_url, examples=5000, steps=50)
