"""How a receiver knows that a webhook is ours: a signature with the user's secret, as Standard Webhooks has it."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.schema import user, webhook_secret
from accounts.store import Store

PREFIX = "whsec_"
_BYTES = 32
_OLD_VALID_S = 24 * 3600.0


def signature_headers(secrets: "Secrets", webhook_id: str, body: bytes, now: float) -> dict[str, str]:
    """The three headers of one attempt (github.com/standard-webhooks, "Webhook signatures")."""
    timestamp = str(int(now))
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    signatures = [f"v1,{base64.b64encode(_mac(secret, signed)).decode()}" for secret in secrets.all]
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


@dataclass(frozen=True, slots=True)
class Secrets:
    """A user's secret, and the one before it while receivers change over."""

    current: str
    previous: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """Those to sign with."""
        return (self.current, self.previous) if self.previous else (self.current,)


class WebhookSecrets:
    """The secret of each user: made when it is first needed, shown whenever he asks, replaced when he wishes."""

    def __init__(self, store: Store, *, now: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._store = store
        self._now = now
        self._random = random

    async def of(self, user_id: int) -> Secrets:
        """What to sign this user's webhooks with."""
        async with self._store.read() as connection:
            found = await self._find(connection, user_id)
        if found is not None:
            return found
        async with self._store.write() as connection:
            await _lock(connection, user_id)
            return await self._find(connection, user_id) or await self._make(connection, user_id)

    async def renew(self, user_id: int) -> Secrets:
        """A new secret; for a day webhooks carry a signature by the old one too."""
        async with self._store.write() as connection:
            await _lock(connection, user_id)
            found = await self._find(connection, user_id)
            if found is None:
                return await self._make(connection, user_id)
            renewed = Secrets(self._new(), found.current)
            values = {"secret": " ".join(renewed.all), "created_at": self._now()}
            await connection.execute(update(webhook_secret).where(webhook_secret.c.user_id == user_id).values(**values))
            return renewed

    async def _find(self, connection: AsyncConnection, user_id: int) -> Secrets | None:
        query = select(webhook_secret.c.secret, webhook_secret.c.created_at).where(webhook_secret.c.user_id == user_id)
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        current, _, previous = row.secret.partition(" ")
        return Secrets(current, previous if self._now() - row.created_at < _OLD_VALID_S else "")

    async def _make(self, connection: AsyncConnection, user_id: int) -> Secrets:
        made = Secrets(self._new())
        await connection.execute(
            insert(webhook_secret).values(user_id=user_id, secret=made.current, created_at=self._now())
        )
        return made

    def _new(self) -> str:
        return PREFIX + base64.b64encode(self._random(_BYTES)).decode()


async def _lock(connection: AsyncConnection, user_id: int) -> None:
    """Of two who would make a user's first secret at once, the second finds that of the first."""
    await connection.execute(select(user.c.id).where(user.c.id == user_id).with_for_update())


def _mac(secret: str, signed: bytes) -> bytes:
    return hmac.new(base64.b64decode(secret.removeprefix(PREFIX)), signed, hashlib.sha256).digest()
