"""Whose secret it is: a key, a single-use token of one, or an app's JWT; any of them opens every dialect (X12)."""

from dataclasses import dataclass

from accounts.apps import Apps
from accounts.keys import Keys
from accounts.tokens import PREFIX as TOKEN_PREFIX
from accounts.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a user, by a key (perhaps through a token of it) or by an app."""

    user_id: int
    key_id: int | None = None
    app_id: str | None = None
    token: bool = False  # single-use, and spent by now


class Identities:
    """Everything that opens something."""

    def __init__(self, keys: Keys, tokens: Tokens, apps: Apps) -> None:
        self._keys = keys
        self._tokens = tokens
        self._apps = apps

    async def verify(self, secret: str) -> Identity | None:
        """Whose it is; None when it opens nothing. A single-use token is spent by asking."""
        if secret.startswith(TOKEN_PREFIX):
            redeemed = await self._tokens.redeem(secret)
            parent = None if redeemed is None else await self._keys.get(redeemed)
            return None if parent is None else Identity(parent.user_id, key_id=parent.id, token=True)
        if "." in secret:
            caller = await self._apps.verify(secret)
            return None if caller is None else Identity(caller.user_id, app_id=caller.app_id)
        key = await self._keys.verify(secret)
        return None if key is None else Identity(key.user_id, key_id=key.id)
