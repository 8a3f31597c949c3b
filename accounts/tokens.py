"""Short-lived tokens for browsers: minted with a key, good for one session, then spent (POST /v1/tokens).

A token opens one session within its life; how long that session lasts is another matter. It stands for its key, dies
with it, and cannot mint another token. Its life is measured by a monotonic clock in the process that minted it, so that
a clock that is set while it lives changes nothing; other processes go by the time of day.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select

from accounts.keys import State
from accounts.schema import api_key, token, user
from accounts.secrets import digest, new_secret, well_formed
from accounts.store import Store
from protocol.errors import Code, VoiceError

PREFIX = "vt-"
MIN_SECONDS, MAX_SECONDS = 1, 600
_UNSPENT_PER_KEY = 1000
_OURS = 10_000  # tokens whose end this process remembers
_SWEPT_AFTER_S = 86_400  # longer than a clock is set wrong by


@dataclass(frozen=True, slots=True)
class Token:
    """A minted token, to be handed to one client."""

    secret: str
    expires_in: int
    expires_at: float


class Tokens:
    """Mints and redeems tokens; ``now`` is the time of day, ``tick`` a monotonic clock."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float],
        tick: Callable[[], float] = time.monotonic,
        choice: Callable[[str], str] = secrets.choice,
    ) -> None:
        self._store = store
        self._now = now
        self._tick = tick
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._choice = choice

    async def mint(self, key_id: int, seconds: int) -> Token:
        """A token of the key, to be redeemed within ``seconds``. RATE_LIMITED while too many are unspent."""
        secret, now = new_secret(PREFIX, self._choice), self._now()
        unspent = select(func.count()).where(token.c.key_id == key_id, token.c.expires_at > now)
        async with self._store.write() as connection:
            await connection.execute(select(api_key.c.id).where(api_key.c.id == key_id).with_for_update())
            await connection.execute(delete(token).where(token.c.expires_at <= now - _SWEPT_AFTER_S))
            if (await connection.execute(unspent)).scalar_one() >= _UNSPENT_PER_KEY:
                raise VoiceError(Code.RATE_LIMITED, "Too many tokens of this key are unspent.", retry_after=seconds)
            row = {"hash": digest(secret), "key_id": key_id, "expires_at": now + seconds}
            await connection.execute(insert(token).values(**row))
        self._ends[digest(secret)] = self._tick() + seconds
        if len(self._ends) > _OURS:
            self._ends.popitem(last=False)
        return Token(secret, seconds, now + seconds)

    async def redeem(self, secret: str) -> int | None:
        """Spend a token: the id of its key, or None when it is unknown, spent, expired, or its key or user disabled."""
        if not well_formed(secret, PREFIX):
            return None
        hashed = digest(secret)
        end = self._ends.pop(hashed, None)
        if end is not None and self._tick() >= end:
            return None
        active = (
            select(api_key.c.id)
            .join(user)
            .where(api_key.c.id == token.c.key_id, api_key.c.state == State.ACTIVE, user.c.state == State.ACTIVE)
        )
        statement = delete(token).where(token.c.hash == hashed, active.exists()).returning(token.c.key_id)
        if end is None:
            statement = statement.where(token.c.expires_at > self._now())
        async with self._store.write() as connection:
            return (await connection.execute(statement)).scalar_one_or_none()
