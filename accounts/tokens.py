"""Short-lived tokens for browsers: minted with a key, good for one session, then spent (POST /v1/tokens).

A token opens one session within its life; how long that session lasts is another matter. It stands for its key, dies
with it, and cannot mint another token.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select

from accounts.keys import State
from accounts.schema import api_key, token
from accounts.secrets import digest, new_secret, well_formed
from accounts.store import Store
from protocol.errors import Code, VoiceError

PREFIX = "vt-"
MIN_SECONDS, MAX_SECONDS = 1, 600
_UNSPENT_PER_KEY = 1000


@dataclass(frozen=True, slots=True)
class Token:
    """A minted token, to be handed to one client."""

    secret: str
    expires_in: int
    expires_at: float


class Tokens:
    """Mints and redeems tokens; ``now`` is the time of day."""

    def __init__(
        self, store: Store, *, now: Callable[[], float], choice: Callable[[str], str] = secrets.choice
    ) -> None:
        self._store = store
        self._now = now
        self._choice = choice

    async def mint(self, key_id: int, seconds: int) -> Token:
        """A token of the key, to be redeemed within ``seconds``. RATE_LIMITED while too many are unspent."""
        secret, now = new_secret(PREFIX, self._choice), self._now()
        unspent = select(func.count()).select_from(token).where(token.c.key_id == key_id)
        async with self._store.write() as connection:
            await connection.execute(delete(token).where(token.c.expires_at <= now))
            if (await connection.execute(unspent)).scalar_one() >= _UNSPENT_PER_KEY:
                raise VoiceError(Code.RATE_LIMITED, "Too many tokens of this key are unspent.", retry_after=seconds)
            row = {"hash": digest(secret), "key_id": key_id, "expires_at": now + seconds}
            await connection.execute(insert(token).values(**row))
        return Token(secret, seconds, now + seconds)

    async def redeem(self, secret: str) -> int | None:
        """Spend a token: the id of its key, or None when it is unknown, spent, expired or its key is disabled."""
        if not well_formed(secret, PREFIX):
            return None
        active = select(api_key.c.id).where(api_key.c.id == token.c.key_id, api_key.c.state == State.ACTIVE)
        statement = (
            delete(token)
            .where(token.c.hash == digest(secret), token.c.expires_at > self._now(), active.exists())
            .returning(token.c.key_id)
        )
        async with self._store.write() as connection:
            return (await connection.execute(statement)).scalar_one_or_none()
