"""Who is logged in to the pages: a random cookie for each browser, its hash in the store, a week long.

A cookie is made anew at every log-in, so nobody can plant one beforehand; it never opens the API.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from accounts.schema import user, web_session
from accounts.secrets import digest, new_secret, well_formed
from accounts.store import Store
from accounts.users import State, User, user_of

PREFIX = "ws-"
_SECONDS = 7 * 86_400
_PER_USER = 50  # browsers of one account; the longest logged in goes first


@dataclass(frozen=True, slots=True)
class WebSession:
    """A browser that is logged in; ``confirmed_at`` is when its user last gave the password."""

    user: User
    csrf: str  # what the forms of this session carry
    confirmed_at: float


class WebSessions:
    """The log-ins of a store. ``now`` is the time of day."""

    seconds = _SECONDS  # the life of a cookie

    def __init__(
        self, store: Store, *, now: Callable[[], float], choice: Callable[[str], str] = secrets.choice
    ) -> None:
        self._store = store
        self._now = now
        self._choice = choice

    async def open(self, user_id: int) -> str:
        """A session for a user who has just given the password: the secret of its cookie."""
        secret, csrf, now = new_secret(PREFIX, self._choice), new_secret("", self._choice), self._now()
        row = {"hash": digest(secret), "user_id": user_id, "csrf": csrf, "created_at": now, "confirmed_at": now}
        newest = (
            select(web_session.c.hash)
            .where(web_session.c.user_id == user_id)
            .order_by(web_session.c.created_at.desc())
            .limit(_PER_USER)
        )
        async with self._store.write() as connection:
            await connection.execute(insert(web_session).values(**row, expires_at=now + _SECONDS))
            theirs = (web_session.c.user_id == user_id) & web_session.c.hash.not_in(newest)
            await connection.execute(delete(web_session).where(theirs | (web_session.c.expires_at <= now)))
        return secret

    async def find(self, secret: str) -> WebSession | None:
        """The session of a cookie, when it has not ended and its user is active."""
        if not well_formed(secret, PREFIX):
            return None
        query = (
            select(user, web_session.c.csrf, web_session.c.confirmed_at)
            .join(web_session)
            .where(web_session.c.hash == digest(secret), web_session.c.expires_at > self._now())
            .where(user.c.state == State.ACTIVE)
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else WebSession(user_of(row), row.csrf, row.confirmed_at)

    async def confirm(self, secret: str) -> None:
        """The user of this session has given the password again."""
        this = update(web_session).where(web_session.c.hash == digest(secret))
        async with self._store.write() as connection:
            await connection.execute(this.values(confirmed_at=self._now()))

    async def close(self, secret: str) -> None:
        """Log one browser out."""
        async with self._store.write() as connection:
            await connection.execute(delete(web_session).where(web_session.c.hash == digest(secret)))

    async def close_all(self, user_id: int) -> None:
        """Log a user out everywhere."""
        async with self._store.write() as connection:
            await connection.execute(delete(web_session).where(web_session.c.user_id == user_id))
