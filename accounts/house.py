"""The account of the house: whoever comes without a key uses it, and it pays nothing (C3).

Nobody can register it, log in as it or hold a key of it: its address is none, it is disabled and has no password.
"""

from collections.abc import Callable

from sqlalchemy import func, select, text

from accounts.ledger import Ledger
from accounts.schema import ledger_account, user
from accounts.store import Store

VISITORS = "(visitors)"  # no e-mail address, so that no account can be registered under it
_MADE_ONCE = text(
    "INSERT INTO user_account (email, name, role, state, plan, limits, created_at) "
    "VALUES (:email, 'Visitors without a key', 'user', 'disabled', 'free', '{}', :at) ON CONFLICT (email) DO NOTHING"
)
_OURS = select(user.c.id).where(user.c.email == VISITORS)


class House:
    """Knows the account, and makes it the first time it is needed. ``now`` is the time of day."""

    def __init__(self, store: Store, ledger: Ledger, *, now: Callable[[], float]) -> None:
        self._store = store
        self._ledger = ledger
        self._now = now
        self._visitors: int | None = None

    async def visitors(self) -> int:
        """The id of the account."""
        return await self.known() or await self._make()

    async def known(self) -> int | None:
        """The same; None when nobody ever came without a key."""
        if self._visitors is None:
            async with self._store.read() as connection:
                self._visitors = (await connection.execute(_OURS)).scalar_one_or_none()
        return self._visitors

    async def _make(self) -> int:
        async with self._store.write() as connection:
            await connection.execute(_MADE_ONCE, {"email": VISITORS, "at": self._now()})
            made: int = (await connection.execute(_OURS.with_for_update())).scalar_one()
            accounts = select(func.count()).select_from(ledger_account).where(ledger_account.c.user_id == made)
            if not (await connection.execute(accounts)).scalar_one():
                await self._ledger.open(connection, made)
        self._visitors = made
        return made
