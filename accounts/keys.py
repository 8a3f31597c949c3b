"""API keys: several per user, shown once, active or disabled or deleted (CONTRACT A1, A2, X12)."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Delete, Row, Update, delete, func, insert, select, update

from accounts.names import clean_name, possible_id
from accounts.remembered import Remembered
from accounts.schema import api_key, user
from accounts.secrets import digest, new_secret, well_formed
from accounts.store import Store
from protocol.errors import Code, VoiceError

PREFIX = "sk-ov-"
_KEYS_PER_USER = 100


class State(StrEnum):
    """Whether a key (or an account, or an app) opens anything."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key, without the key."""

    id: int
    user_id: int
    name: str
    last4: str
    state: State
    created_at: float


class Keys:
    """All keys of a store. ``now`` is the time of day, ``tick`` a monotonic clock."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float],
        tick: Callable[[], float],
        choice: Callable[[str], str] = secrets.choice,
    ) -> None:
        self._store = store
        self._now = now
        self._choice = choice
        self._valid = Remembered(self._look_up, tick=tick)  # by what they hash to

    async def create(self, name: str = "", *, user_id: int) -> tuple[str, Key]:
        """A new active key of a user: the secret, to be shown this once, and its entry. CONFLICT when there are too
        many, NOT_FOUND for a user who is not there."""
        secret = new_secret(PREFIX, self._choice)
        values = {"user_id": user_id, "name": clean_name(name), "hash": digest(secret)}
        values |= {"last4": secret[-4:], "state": State.ACTIVE, "created_at": self._now()}
        theirs = select(func.count()).select_from(api_key).where(api_key.c.user_id == user_id)
        async with self._store.write() as connection:
            owner = select(user.c.id).where(user.c.id == user_id).with_for_update()
            if (await connection.execute(owner)).one_or_none() is None:
                raise VoiceError(Code.NOT_FOUND, f"There is no user {user_id}.")
            if (await connection.execute(theirs)).scalar_one() >= _KEYS_PER_USER:
                raise VoiceError(Code.CONFLICT, f"There are {_KEYS_PER_USER} keys already; delete one first.")
            row = (await connection.execute(insert(api_key).values(**values).returning(api_key))).one()
        return secret, _key(row)

    async def all(self) -> list[Key]:
        """Every key, oldest first."""
        async with self._store.read() as connection:
            return [_key(row) for row in await connection.execute(select(api_key).order_by(api_key.c.id))]

    async def of(self, user_id: int) -> list[Key]:
        """The keys of a user, oldest first."""
        query = select(api_key).where(api_key.c.user_id == user_id).order_by(api_key.c.id)
        async with self._store.read() as connection:
            return [_key(row) for row in await connection.execute(query)]

    async def get(self, key_id: int) -> Key | None:
        """The key of that id, in whatever state; None when there is none."""
        async with self._store.read() as connection:
            row = (await connection.execute(select(api_key).where(api_key.c.id == key_id))).one_or_none()
        return None if row is None else _key(row)

    async def set_state(self, key_id: int, state: State, user_id: int | None = None) -> None:
        """Enable or disable a key; NOT_FOUND when there is none of that id (of that user, when one is named)."""
        await self._change(key_id, update(api_key).values(state=state), user_id)

    async def delete(self, key_id: int, user_id: int | None = None) -> None:
        """Delete a key and its tokens; NOT_FOUND as in ``set_state``."""
        await self._change(key_id, delete(api_key), user_id)

    async def verify(self, secret: str) -> Key | None:
        """The key, when it is one of ours and active, and its user too. Another process's change shows in a second."""
        if not well_formed(secret, PREFIX):
            return None
        return await self._valid.of(digest(secret))

    async def _look_up(self, hashed: bytes) -> Key | None:
        query = select(api_key).join(user).where(api_key.c.hash == hashed, user.c.state == State.ACTIVE)
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, hashed) or row.state != State.ACTIVE:
            return None
        return _key(row)

    async def _change(self, key_id: int, statement: Update | Delete, user_id: int | None) -> None:
        if not possible_id(key_id):
            raise _unknown(key_id)
        statement = statement.where(api_key.c.id == key_id)
        if user_id is not None:
            statement = statement.where(api_key.c.user_id == user_id)
        async with self._store.write() as connection:
            result = await connection.execute(statement)
        self._valid.forget()
        if result.rowcount == 0:
            raise _unknown(key_id)


def _unknown(key_id: int) -> VoiceError:
    return VoiceError(Code.NOT_FOUND, f"There is no key {key_id}.")


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key(row.id, row.user_id, row.name, row.last4, State(row.state), row.created_at)
