"""Accounts: who they are, what they may do, and their passwords. Nobody is deleted: the ledger names them for ever."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.keys import State
from accounts.ledger import Ledger
from accounts.names import clean_email, clean_name, possible_id
from accounts.passwords import Hasher
from accounts.policy import Overrides, Plan, Policies, Policy
from accounts.schema import ledger_account, user, web_session
from accounts.store import Store
from protocol.errors import Code, VoiceError
from protocol.pricing import UNITS

__all__ = ["OWNER_EMAIL", "Role", "State", "User", "Users"]

OWNER_EMAIL, OWNER_PLAN = "owner@localhost", "owner"
_OWNER_CREDITS = 10**12  # whoever runs the server does not run out
_MADE_ONCE = text(
    "INSERT INTO user_account (email, name, role, state, plan, limits, created_at) "
    "VALUES (:email, 'Owner', 'admin', 'active', :plan, '{}', :at) ON CONFLICT (email) DO NOTHING"
)


class Role(StrEnum):
    """What an account may do."""

    USER = "user"
    ADMIN = "admin"  # everything, to everybody


@dataclass(frozen=True, slots=True)
class User:
    """An account, without its password; ``overrides`` are what an admin set over its plan."""

    id: int
    email: str
    name: str
    role: Role
    state: State
    plan: str
    created_at: float
    overrides: Overrides = field(default_factory=Overrides)

    def limits(self, policy: Policy) -> Plan:
        """What holds for this account."""
        return self.overrides.over(policy.plan(self.plan))


class Users:
    """All accounts of a store. ``now`` is the time of day."""

    def __init__(
        self, store: Store, policies: Policies, ledger: Ledger, *, now: Callable[[], float], hasher: Hasher
    ) -> None:
        self._store = store
        self._policies = policies
        self._ledger = ledger
        self._now = now
        self._hasher = hasher

    # -- making and finding ----------------------------------------------------------------------

    async def register(self, email: str, password: str, name: str = "", *, role: Role = Role.USER) -> User:
        """A new account on the default plan, with the credits new ones get. CONFLICT when the address has one."""
        email, policy = clean_email(email), await self._policies.current()
        row: dict[str, object] = {"email": email, "name": clean_name(name), "role": role, "state": State.ACTIVE}
        row |= {"password": await self._hasher.hash(password), "plan": policy.default_plan}
        row |= {"limits": "{}", "created_at": self._now()}
        async with self._store.write() as connection:
            try:
                made = (await connection.execute(insert(user).values(**row).returning(user))).one()
            except IntegrityError:
                raise VoiceError(Code.CONFLICT, f"There is an account {email} already.", field="email") from None
            await self._ledger.open(connection, made.id)
            if policy.starting_credits:
                await self._ledger.grant(connection, made.id, policy.starting_credits * UNITS, "new account")
        return user_of(made)

    async def owner(self) -> User:
        """The account of whoever runs the server, the first admin's; made when there is none."""
        first = select(user).where(user.c.role == Role.ADMIN).order_by(user.c.id).limit(1).with_for_update()
        async with self._store.write() as connection:
            row = (await connection.execute(first)).one_or_none()
            if row is None:
                made = {"email": OWNER_EMAIL, "plan": OWNER_PLAN, "at": self._now()}
                await connection.execute(_MADE_ONCE, made)
                ours = select(user).where(user.c.email == OWNER_EMAIL).with_for_update()
                row = (await connection.execute(ours)).one()
            accounts = select(func.count()).select_from(ledger_account).where(ledger_account.c.user_id == row.id)
            if not (await connection.execute(accounts)).scalar_one():
                await self._ledger.open(connection, row.id)
                await self._ledger.grant(connection, row.id, _OWNER_CREDITS * UNITS, "owner of the server")
        return user_of(row)

    async def get(self, user_id: int) -> User:
        """NOT_FOUND when there is none of that id."""
        if not possible_id(user_id):
            raise _unknown(user_id)
        async with self._store.read() as connection:
            row = (await connection.execute(select(user).where(user.c.id == user_id))).one_or_none()
        if row is None:
            raise _unknown(user_id)
        return user_of(row)

    async def by_email(self, email: str) -> User:
        """NOT_FOUND when no account has that address."""
        row = await self._find(clean_email(email))
        if row is None:
            raise VoiceError(Code.NOT_FOUND, f"There is no account {email}.", field="email")
        return user_of(row)

    async def page(self, *, limit: int = 50, offset: int = 0, search: str = "") -> list[User]:
        """Accounts in the order they were made; ``search`` is in their address or name."""
        query = select(user).order_by(user.c.id).limit(limit).offset(offset)
        if search := clean_name(search):
            query = query.where(or_(*(c.icontains(search, autoescape=True) for c in (user.c.email, user.c.name))))
        async with self._store.read() as connection:
            return [user_of(row) for row in await connection.execute(query)]

    async def count(self) -> int:
        """How many accounts there are."""
        async with self._store.read() as connection:
            return (await connection.execute(select(func.count()).select_from(user))).scalar_one()

    async def authenticate(self, email: str, password: str) -> User | None:
        """Whose address and password these are, when the account is active. Takes as long for an unknown address."""
        try:
            row = await self._find(clean_email(email))
        except VoiceError:
            row = None
        stored = None if row is None else row.password
        right = await self._hasher.verify(stored, password)
        if row is None or not right or row.state != State.ACTIVE:
            return None
        if self._hasher.outdated(row.password):
            again = {"password": await self._hasher.hash(password)}
            async with self._store.write() as connection:
                same = (user.c.id == row.id, user.c.password == row.password)
                await connection.execute(update(user).where(*same).values(**again))
        return user_of(row)

    # -- changing --------------------------------------------------------------------------------

    async def set_password(self, user_id: int, password: str) -> None:
        """Set a password, and log the account out everywhere."""
        hashed = await self._hasher.hash(password)
        async with self._store.write() as connection:
            await _change(connection, user_id, password=hashed)
            await connection.execute(delete(web_session).where(web_session.c.user_id == user_id))

    async def set_state(self, user_id: int, state: State) -> None:
        """Enable or disable an account: its keys, tokens and sessions with it. CONFLICT for the last active admin."""
        async with self._store.write() as connection:
            if state is State.DISABLED:
                await _spare_last_admin(connection, user_id)
                await connection.execute(delete(web_session).where(web_session.c.user_id == user_id))
            await _change(connection, user_id, state=state)

    async def set_role(self, user_id: int, role: Role) -> None:
        """Make somebody an admin, or no longer. CONFLICT for the last active admin."""
        async with self._store.write() as connection:
            if role is not Role.ADMIN:
                await _spare_last_admin(connection, user_id)
            await _change(connection, user_id, role=role)

    async def set_plan(self, user_id: int, plan: str) -> None:
        """Put an account on a plan. BAD_REQUEST when there is none of that name."""
        plans = (await self._policies.current()).plans
        if plan not in plans:
            allowed = ", ".join(plans)
            message = f"plan must be one of {allowed}."
            raise VoiceError(Code.BAD_REQUEST, message, field="plan", allowed=allowed)
        async with self._store.write() as connection:
            await _change(connection, user_id, plan=plan)

    async def set_limits(self, user_id: int, overrides: Overrides) -> None:
        """What holds for this account in place of its plan's; an empty ``Overrides`` takes all of it back."""
        async with self._store.write() as connection:
            await _change(connection, user_id, limits=overrides.model_dump_json(exclude_none=True))

    async def _find(self, email: str) -> Row[Any] | None:
        async with self._store.read() as connection:
            return (await connection.execute(select(user).where(user.c.email == email))).one_or_none()


async def rename(store: Store, user_id: int, name: str) -> None:
    """Call an account by another name."""
    async with store.write() as connection:
        await _change(connection, user_id, name=clean_name(name))


async def _change(connection: AsyncConnection, user_id: int, **values: object) -> None:
    if not possible_id(user_id):
        raise _unknown(user_id)
    result = await connection.execute(update(user).where(user.c.id == user_id).values(**values))
    if result.rowcount == 0:
        raise _unknown(user_id)


async def _spare_last_admin(connection: AsyncConnection, user_id: int) -> None:
    """CONFLICT when this is the only one left; all admins are locked, so that no two step down at once."""
    admins = select(user.c.id).where(user.c.role == Role.ADMIN, user.c.state == State.ACTIVE).order_by(user.c.id)
    left = [row.id for row in await connection.execute(admins.with_for_update())]
    if left == [user_id]:
        raise VoiceError(Code.CONFLICT, "This is the last active admin; make another one first.")


def _unknown(user_id: int) -> VoiceError:
    return VoiceError(Code.NOT_FOUND, f"There is no user {user_id}.")


def user_of(row: Row[Any]) -> User:
    """The account of a row that has the columns of its table."""
    overrides = Overrides.model_validate_json(row.limits)
    return User(row.id, row.email, row.name, Role(row.role), State(row.state), row.plan, row.created_at, overrides)
