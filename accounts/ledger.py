"""Credits, by double entry: granted, set aside, spent or given back; never changed afterwards, never below zero.

Each user has four accounts. A grant moves units from ``issued`` (which so goes below zero) to ``available``; a hold
moves them on to ``held``, before the work; a capture to ``spent``, a release back to ``available``, exactly once. Every
transaction sums to zero, so all accounts together do.

All of this works inside the caller's transaction, so that a job and its hold are there together or not at all. The
caller's transactions take turns for one user: the first thing each does here is to lock that user's accounts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, case, cast, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.audit import AuditReport, audit
from accounts.schema import hold, ledger_account, ledger_entry, ledger_txn
from protocol.errors import Code, VoiceError
from protocol.pricing import credits_text

_DAY_S = 86_400


class Account(StrEnum):
    """The accounts of a user."""

    ISSUED = "issued"  # where credits come from: the only one below zero
    AVAILABLE = "available"
    HELD = "held"
    SPENT = "spent"


class Kind(StrEnum):
    """What a transaction does."""

    GRANT = "grant"  # issued -> available
    HOLD = "hold"  # available -> held
    CAPTURE = "capture"  # held -> spent, the rest of the hold -> available
    RELEASE = "release"  # held -> available
    EXPIRE = "expire"  # available -> issued


class HoldState(StrEnum):
    """Where a hold stands; it leaves OPEN once."""

    OPEN = "open"
    CAPTURED = "captured"
    RELEASED = "released"


class HoldResolved(Exception):
    """The hold was captured or released before, or there is none: whoever asks has lost a race or has a bug."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What a user has, in units."""

    available: int
    held: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """A transaction, by what it changed in units."""

    id: int
    kind: Kind
    at: float
    note: str
    subject: str  # of its hold; "" for none
    available: int
    held: int
    spent: int


class Ledger:
    """Moves units between the accounts of users. ``now`` is the time of day."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    async def open(self, connection: AsyncConnection, user_id: int) -> None:
        """Make a new user's accounts."""
        rows = [{"user_id": user_id, "kind": kind, "balance": 0} for kind in Account]
        await connection.execute(insert(ledger_account), rows)

    # -- moving ----------------------------------------------------------------------------------

    async def grant(self, connection: AsyncConnection, user_id: int, units: int, note: str) -> None:
        """Give credits that were not there before."""
        _check(units)
        accounts = await _lock(connection, user_id)
        await self._post(
            connection, Kind.GRANT, user_id, accounts, {Account.ISSUED: -units, Account.AVAILABLE: units}, note=note
        )

    async def expire(self, connection: AsyncConnection, user_id: int, units: int, note: str) -> int:
        """Take back what is available of so many units: how many that were. What is held stays held."""
        _check(units)
        accounts = await _lock(connection, user_id)
        units = min(units, accounts[Account.AVAILABLE].balance)
        if units:
            changes = {Account.AVAILABLE: -units, Account.ISSUED: units}
            await self._post(connection, Kind.EXPIRE, user_id, accounts, changes, note=note)
        return units

    async def hold(self, connection: AsyncConnection, user_id: int, units: int, subject: str) -> int:
        """Set units aside for a subject ("job:<id>"): the hold's id. INSUFFICIENT_CREDITS when there are too few."""
        _check(units)
        accounts = await _lock(connection, user_id)
        available = accounts[Account.AVAILABLE].balance
        if units > available:
            raise VoiceError(
                Code.INSUFFICIENT_CREDITS,
                f"This costs {credits_text(units)} credits; {credits_text(available)} are available.",
                required=units,
                available=available,
            )
        row = {"user_id": user_id, "subject": subject, "amount": units, "captured": 0, "state": HoldState.OPEN}
        made = insert(hold).values(**row, created_at=self._now()).returning(hold.c.id)
        hold_id: int = (await connection.execute(made)).scalar_one()
        changes = {Account.AVAILABLE: -units, Account.HELD: units}
        await self._post(connection, Kind.HOLD, user_id, accounts, changes, hold_id=hold_id)
        return hold_id

    async def capture(self, connection: AsyncConnection, hold_id: int, units: int | None = None) -> int:
        """Spend units of a hold (None: all) and give the rest back: what was spent. Raises HoldResolved."""
        user_id, amount = await self._resolve(connection, hold_id, HoldState.CAPTURED, units)
        spent = amount if units is None else units
        changes = {Account.HELD: -amount, Account.SPENT: spent, Account.AVAILABLE: amount - spent}
        accounts = await _lock(connection, user_id)
        await self._post(connection, Kind.CAPTURE, user_id, accounts, changes, hold_id=hold_id)
        return spent

    async def release(self, connection: AsyncConnection, hold_id: int) -> None:
        """Give a whole hold back. Raises HoldResolved."""
        user_id, amount = await self._resolve(connection, hold_id, HoldState.RELEASED, 0)
        accounts = await _lock(connection, user_id)
        changes = {Account.HELD: -amount, Account.AVAILABLE: amount}
        await self._post(connection, Kind.RELEASE, user_id, accounts, changes, hold_id=hold_id)

    # -- looking ---------------------------------------------------------------------------------

    async def lock(self, connection: AsyncConnection, user_id: int) -> Balance:
        """What a user has; it cannot change, nor another of his transactions begin, before this one ends."""
        accounts = await _lock(connection, user_id)
        return Balance(*(accounts[kind].balance for kind in (Account.AVAILABLE, Account.HELD, Account.SPENT)))

    async def balance(self, connection: AsyncConnection, user_id: int) -> Balance:
        """What a user has; nothing when there is no such user."""
        query = select(ledger_account.c.kind, ledger_account.c.balance).where(ledger_account.c.user_id == user_id)
        found = {row.kind: row.balance for row in await connection.execute(query)}
        return Balance(*(found.get(kind, 0) for kind in (Account.AVAILABLE, Account.HELD, Account.SPENT)))

    async def history(
        self, connection: AsyncConnection, user_id: int, *, limit: int = 50, before: int | None = None
    ) -> Sequence[Movement]:
        """The latest transactions of a user, newest first; ``before``: those older than the one of that id."""
        query = _MOVEMENTS.where(ledger_txn.c.user_id == user_id).limit(limit)
        if before is not None:
            query = query.where(ledger_txn.c.id < before)
        return [_movement(row) for row in await connection.execute(query)]

    async def usage(self, connection: AsyncConnection, user_id: int, since: float) -> Mapping[int, int]:
        """Units spent since then on each day (counted from 1970, UTC) that had any."""
        day = (cast(ledger_txn.c.at - 0.5, BigInteger) // _DAY_S).label("day")
        query = (
            select(day, func.sum(ledger_entry.c.amount).label("spent"))
            .join(ledger_entry, ledger_entry.c.txn_id == ledger_txn.c.id)
            .join(ledger_account, ledger_account.c.id == ledger_entry.c.account_id)
            .where(ledger_txn.c.user_id == user_id, ledger_txn.c.at >= since, ledger_account.c.kind == Account.SPENT)
            .group_by(day)
            .order_by(day)
        )
        return {int(row.day): int(row.spent) for row in await connection.execute(query)}

    async def audit(self, connection: AsyncConnection) -> AuditReport:
        """Whether everything that must be true of the ledger is."""
        return await audit(connection)

    # -- inside ----------------------------------------------------------------------------------

    async def _resolve(
        self, connection: AsyncConnection, hold_id: int, state: HoldState, units: int | None
    ) -> tuple[int, int]:
        """Close an open hold: whose it is and how much it held."""
        captured = hold.c.amount if units is None else units
        fits = hold.c.amount >= (units or 0)
        statement = (
            update(hold)
            .where(hold.c.id == hold_id, hold.c.state == HoldState.OPEN, fits)
            .values(state=state, captured=captured, resolved_at=self._now())
            .returning(hold.c.user_id, hold.c.amount)
        )
        _check(units or 0)
        row = (await connection.execute(statement)).one_or_none()
        if row is not None:
            return row.user_id, row.amount
        found = (
            await connection.execute(select(hold.c.state, hold.c.amount).where(hold.c.id == hold_id))
        ).one_or_none()
        if found is not None and found.state == HoldState.OPEN:
            raise ValueError(f"hold {hold_id} is of {found.amount} units, not of {units}")
        raise HoldResolved(f"hold {hold_id} is {found.state if found else 'not there'}")

    async def _post(
        self,
        connection: AsyncConnection,
        kind: Kind,
        user_id: int,
        accounts: Mapping[Account, "_Locked"],
        changes: Mapping[Account, int],
        *,
        hold_id: int | None = None,
        note: str = "",
    ) -> None:
        """One transaction of the ledger: its entries, and the balances they make."""
        if sum(changes.values()) != 0:
            raise ValueError(f"the entries of a {kind} do not sum to zero")
        by_kind = case({account.value: units for account, units in changes.items()}, value=ledger_account.c.kind)
        ids = [accounts[account].id for account in changes]
        await connection.execute(
            update(ledger_account)
            .where(ledger_account.c.id.in_(ids))
            .values(balance=ledger_account.c.balance + by_kind)
        )
        row = {"kind": kind, "user_id": user_id, "hold_id": hold_id, "note": note, "at": self._now()}
        txn_id = (await connection.execute(insert(ledger_txn).values(row).returning(ledger_txn.c.id))).scalar_one()
        await connection.execute(
            insert(ledger_entry),
            [
                {"txn_id": txn_id, "account_id": accounts[account].id, "amount": units}
                for account, units in changes.items()
            ],
        )


@dataclass(frozen=True, slots=True)
class _Locked:
    id: int
    balance: int


async def _lock(connection: AsyncConnection, user_id: int) -> Mapping[Account, _Locked]:
    query = select(ledger_account).where(ledger_account.c.user_id == user_id).order_by(ledger_account.c.id)
    rows = await connection.execute(query.with_for_update())
    accounts = {Account(row.kind): _Locked(row.id, row.balance) for row in rows}
    if not accounts:
        raise LookupError(f"user {user_id} has no accounts")
    return accounts


def _movement(row: Row[Any]) -> Movement:
    changed = (int(row.available), int(row.held), int(row.spent))
    return Movement(row.id, Kind(row.kind), row.at, row.note, row.subject or "", *changed)


def _check(units: int) -> None:
    if units < 0:
        raise ValueError("units are never negative; another verb goes the other way")


def _sum_of(kind: Account) -> ColumnElement[int]:
    amount = case((ledger_account.c.kind == kind.value, ledger_entry.c.amount), else_=0)
    return func.coalesce(func.sum(amount), 0).label(kind.value)


_MOVEMENTS = (
    select(
        ledger_txn.c.id, ledger_txn.c.kind, ledger_txn.c.at, ledger_txn.c.note, hold.c.subject,
        *(_sum_of(kind) for kind in (Account.AVAILABLE, Account.HELD, Account.SPENT)),
    )
    .outerjoin(hold, hold.c.id == ledger_txn.c.hold_id)
    .join(ledger_entry, ledger_entry.c.txn_id == ledger_txn.c.id)
    .join(ledger_account, ledger_account.c.id == ledger_entry.c.account_id)
    .group_by(ledger_txn.c.id, hold.c.subject)
    .order_by(ledger_txn.c.id.desc())
)  # fmt: skip
