"""API keys: several per server, shown once, active or disabled or deleted (CONTRACT A1, A2, X12)."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, insert, select, update

from accounts.schema import api_key
from accounts.secrets import digest, new_secret, well_formed
from accounts.store import Store
from protocol.errors import Code, VoiceError

PREFIX = "sk-ov-"
_REMEMBERED_S = 1.0  # how long a key that was found valid is not looked up again; another process may disable it
_REMEMBERED_KEYS = 4096
_NAME_LENGTH = 100


class State(StrEnum):
    """Whether a key opens anything."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key, without the key."""

    id: int
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
        self._tick = tick
        self._choice = choice
        self._valid: OrderedDict[bytes, tuple[float, Key]] = OrderedDict()

    async def create(self, name: str = "") -> tuple[str, Key]:
        """A new active key: the secret, to be shown this once, and its entry."""
        secret = new_secret(PREFIX, self._choice)
        name, created_at = name.strip()[:_NAME_LENGTH], self._now()
        values = {"name": name, "hash": digest(secret), "last4": secret[-4:], "state": State.ACTIVE}
        statement = insert(api_key).values(**values, created_at=created_at).returning(api_key.c.id)
        async with self._store.write() as connection:
            number = (await connection.execute(statement)).scalar_one()
        return secret, Key(number, name, secret[-4:], State.ACTIVE, created_at)

    async def all(self) -> list[Key]:
        """Every key, oldest first."""
        async with self._store.read() as connection:
            rows = await connection.execute(select(api_key).order_by(api_key.c.id))
            return [Key(row.id, row.name, row.last4, State(row.state), row.created_at) for row in rows]

    async def set_state(self, key_id: int, state: State) -> None:
        """Enable or disable a key; NOT_FOUND when there is none of that id."""
        await self._change(key_id, update(api_key).where(api_key.c.id == key_id).values(state=state))

    async def delete(self, key_id: int) -> None:
        """Delete a key and its tokens; NOT_FOUND when there is none of that id."""
        await self._change(key_id, delete(api_key).where(api_key.c.id == key_id))

    async def verify(self, secret: str) -> Key | None:
        """The key, when it is one of ours and active. A change made by another process shows within a second."""
        if not well_formed(secret, PREFIX):
            return None
        hashed = digest(secret)
        found = self._valid.get(hashed)
        if found is not None and self._tick() - found[0] < _REMEMBERED_S:
            return found[1]
        self._valid.pop(hashed, None)
        async with self._store.read() as connection:
            row = (await connection.execute(select(api_key).where(api_key.c.hash == hashed))).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, hashed) or row.state != State.ACTIVE:
            return None
        key = Key(row.id, row.name, row.last4, State.ACTIVE, row.created_at)
        self._valid[hashed] = (self._tick(), key)
        if len(self._valid) > _REMEMBERED_KEYS:
            self._valid.popitem(last=False)
        return key

    async def _change(self, key_id: int, statement: object) -> None:
        self._valid.clear()
        async with self._store.write() as connection:
            result = await connection.execute(statement)  # type: ignore[call-overload]
        if result.rowcount == 0:
            raise VoiceError(Code.NOT_FOUND, f"There is no key {key_id}.")
