"""Apps and their tokens (CONTRACT B2, E1): JSON Web Tokens that expire, signed with a key of their own each.

The header's ``kid`` names the key, the algorithm is HS256 whatever the header says, and what is not exactly a token
made here is nobody's. An app can have several tokens at once, so that a new one is in use before the old one ends.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt
from jwt.types import Options
from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.keys import State
from accounts.names import clean_name
from accounts.schema import app, app_token, user
from accounts.secrets import ALPHABET
from accounts.store import Store
from protocol.errors import Code, VoiceError

MIN_SECONDS, MAX_SECONDS = 60, 10 * 366 * 86_400
_ALGORITHM = "HS256"
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # one spelling of 32 bytes
_KID_LENGTH, _SECRET_BYTES, _LONGEST = 22, 32, 2048
_APPS_PER_USER, _TOKENS_PER_APP = 50, 10
_CLAIMS: Options = {  # time is an argument here, and checked here
    "require": ["exp", "sub"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


@dataclass(frozen=True, slots=True)
class App:
    """A program of a user's that has tokens."""

    id: str  # a UUID
    user_id: int
    name: str
    state: State
    created_at: float


@dataclass(frozen=True, slots=True)
class AppToken:
    """What is known of a token, without the token."""

    kid: str
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class AppCaller:
    """Whose token it was."""

    user_id: int
    app_id: str


class Apps:
    """All apps of a store. ``now`` is the time of day."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid4()),
        new_bytes: Callable[[int], bytes] = secrets.token_bytes,
        choice: Callable[[str], str] = secrets.choice,
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._new_bytes = new_bytes
        self._choice = choice

    async def create(self, user_id: int, name: str, lifetime_s: int) -> tuple[App, str]:
        """A new app of a user and its token, to be shown this once."""
        _check(lifetime_s)
        made = App(self._new_id(), user_id, clean_name(name), State.ACTIVE, self._now())
        theirs = select(func.count()).select_from(app).where(app.c.user_id == user_id)
        row = {"id": made.id, "user_id": user_id, "name": made.name, "state": made.state, "created_at": made.created_at}
        async with self._store.write() as connection:
            await connection.execute(select(user.c.id).where(user.c.id == user_id).with_for_update())
            if (await connection.execute(theirs)).scalar_one() >= _APPS_PER_USER:
                raise VoiceError(Code.CONFLICT, f"There are {_APPS_PER_USER} apps already; delete one first.")
            await connection.execute(insert(app).values(**row))
            return made, await self._issue(connection, made.id, lifetime_s)

    async def renew(self, user_id: int, app_id: str, lifetime_s: int) -> str:
        """Another token of an app; those it has go on until they end or are withdrawn."""
        _check(lifetime_s)
        async with self._store.write() as connection:
            await _find(connection, user_id, app_id, lock=True)
            ended = delete(app_token).where(app_token.c.app_id == app_id, app_token.c.expires_at <= self._now())
            await connection.execute(ended)
            theirs = select(func.count()).select_from(app_token).where(app_token.c.app_id == app_id)
            if (await connection.execute(theirs)).scalar_one() >= _TOKENS_PER_APP:
                message = f"The app has {_TOKENS_PER_APP} tokens already; withdraw one first."
                raise VoiceError(Code.CONFLICT, message)
            return await self._issue(connection, app_id, lifetime_s)

    async def withdraw(self, user_id: int, app_id: str, kid: str | None = None) -> int:
        """End a token of an app (None: all of them) at once: how many that were."""
        ended = delete(app_token).where(app_token.c.app_id == app_id)
        if kid is not None:
            ended = ended.where(app_token.c.kid == kid)
        async with self._store.write() as connection:
            await _find(connection, user_id, app_id)
            return (await connection.execute(ended)).rowcount

    async def set_state(self, user_id: int, app_id: str, state: State) -> None:
        """Stop all tokens of an app, or let them open things again."""
        async with self._store.write() as connection:
            await _find(connection, user_id, app_id)
            await connection.execute(update(app).where(app.c.id == app_id).values(state=state))

    async def delete(self, user_id: int, app_id: str) -> None:
        """Delete an app and its tokens."""
        async with self._store.write() as connection:
            await _find(connection, user_id, app_id)
            await connection.execute(delete(app).where(app.c.id == app_id))

    async def of(self, user_id: int) -> list[App]:
        """The apps of a user, oldest first."""
        query = select(app).where(app.c.user_id == user_id).order_by(app.c.created_at, app.c.id)
        async with self._store.read() as connection:
            return [_app(row) for row in await connection.execute(query)]

    async def tokens(self, user_id: int, app_id: str) -> list[AppToken]:
        """The tokens of an app that have not ended, oldest first."""
        query = select(app_token).where(app_token.c.app_id == app_id, app_token.c.expires_at > self._now())
        async with self._store.read() as connection:
            await _find(connection, user_id, app_id)
            rows = await connection.execute(query.order_by(app_token.c.created_at, app_token.c.kid))
            return [AppToken(row.kid, row.created_at, row.expires_at) for row in rows]

    async def verify(self, token: str) -> AppCaller | None:
        """Whose token it is; None for anything that is not a token made here, for an active app, still in its time."""
        kid = _kid(token)
        if kid is None:
            return None
        query: Select[Any] = (
            select(app_token.c.secret, app_token.c.expires_at, app_token.c.app_id, app.c.user_id)
            .join(app, app.c.id == app_token.c.app_id)
            .join(user, user.c.id == app.c.user_id)
            .where(app_token.c.kid == kid, app.c.state == State.ACTIVE, user.c.state == State.ACTIVE)
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None or self._now() >= row.expires_at:
            return None
        claims = _claims(token, row.secret)
        if claims is None or claims.get("sub") != row.app_id or claims.get("exp") != int(row.expires_at):
            return None
        return AppCaller(row.user_id, row.app_id)

    async def _issue(self, connection: AsyncConnection, app_id: str, lifetime_s: int) -> str:
        kid, secret, now = (
            "".join(self._choice(ALPHABET) for _ in range(_KID_LENGTH)),
            self._new_bytes(_SECRET_BYTES),
            int(self._now()),
        )
        row = {"kid": kid, "app_id": app_id, "secret": secret, "created_at": now, "expires_at": now + lifetime_s}
        await connection.execute(insert(app_token).values(**row))
        claims = {"sub": app_id, "iat": now, "exp": now + lifetime_s}
        return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": kid})


def _kid(token: str) -> str | None:
    """The key a token says it is signed with, when it is of the one form that is made here."""
    if len(token) > _LONGEST or not _FORM.fullmatch(token):
        return None
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    kid = header.get("kid")
    if header.get("alg") != _ALGORITHM or not isinstance(kid, str) or not (kid.isascii() and kid.isalnum()):
        return None
    return kid


def _claims(token: str, secret: bytes) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, secret, algorithms=[_ALGORITHM], options=_CLAIMS)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None


async def _find(connection: AsyncConnection, user_id: int, app_id: str, *, lock: bool = False) -> None:
    """NOT_FOUND unless the app is this user's."""
    query = select(app.c.id).where(app.c.id == app_id, app.c.user_id == user_id)
    if (
        not app_id.isprintable()
        or (await connection.execute(query.with_for_update() if lock else query)).one_or_none() is None
    ):
        raise VoiceError(Code.NOT_FOUND, "There is no such app.")


def _check(lifetime_s: int) -> None:
    if not MIN_SECONDS <= lifetime_s <= MAX_SECONDS:
        allowed = f"{MIN_SECONDS} to {MAX_SECONDS} seconds"
        message = f"The life of a token must be {allowed}."
        raise VoiceError(Code.BAD_REQUEST, message, field="lifetime_s", allowed=allowed)


def _app(row: Row[Any]) -> App:
    return App(row.id, row.user_id, row.name, State(row.state), row.created_at)
