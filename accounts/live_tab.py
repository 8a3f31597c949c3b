"""The tab of one live session: what is held, used and reserved; see ``accounts.metering`` for how it is paid."""

import asyncio
import logging
import math
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Row, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Ledger
from accounts.schema import live_session
from accounts.store import Store
from protocol.errors import Code, VoiceError
from protocol.pricing import Price, Route, Unit

_log = logging.getLogger(__name__)

AHEAD = {Unit.SECONDS: 60, Unit.CHARACTERS: 900, Unit.TURNS: 1}  # a minute of speech, and its text
_AHEAD_S = 60.0
_BRIEFLY_S = 1.0  # a pace is not told from less
_MOST_AHEAD = 200  # times AHEAD, however fast it goes
_SHARE_AHEAD = 4  # of what a user has, no more than one part in so many is held beyond AHEAD: he may want other things
_RETRY_AFTER_S = 5
_FREE = 2**53  # more than anybody uses


class Meter(Protocol):
    """Who keeps the tabs of a process, as far as a tab knows it."""

    store: Store
    ledger: Ledger

    def tick(self) -> float: ...  # monotonic seconds

    def look(self) -> None: ...  # a tab is low

    def forget(self, tab: "LiveTab") -> None: ...  # it is over

    async def close(self, connection: AsyncConnection, row: Row[Any], booked: int, charged: int) -> None: ...


class LiveTab:
    """The tab of one session; a ``tabs.Tab``."""

    def __init__(
        self,
        meter: Meter,
        session_id: str,
        kind: tuple[int, Route],
        price: Price,
        allowed: int,
        elsewhere: int,
    ) -> None:
        self.id = session_id
        self.kind = kind  # whose it is, and of what
        self.price = price  # as it was when the session began
        self.sessions = 1  # that run it up
        self.elsewhere = elsewhere  # of the same kind, on other servers
        self.noted, self.noted_sessions = 0, 1  # whole units and sessions that the store knows of
        self.over = False  # see ``tabs.Tab``
        self._meter = meter
        self._allowed = allowed  # whole units there are credits held for
        self._quantity = 0.0
        self._wanted = 0  # whole units that are reserved
        self._asking: list[int] = []  # totals that somebody waits to have reserved; a session asks for one at a time
        self._ahead = AHEAD[price.unit]  # whole units to hold beyond what is wanted
        self._held_at, self._held_from = meter.tick(), 0  # when there was a hold last, and what was wanted then
        self._last = False  # the user could not pay for a whole minute more
        self._spare = False  # more is held than is allowed
        self._turn = asyncio.Lock()

    async def reserve(self, quantity: float) -> None:
        """See ``tabs.Tab``."""
        if self.over:
            raise _lost()
        least = math.floor(quantity)
        if least > self._allowed:
            self._asking.append(least)
            try:
                await self._extend(least)
            finally:
                self._asking.remove(least)
        self._wanted = max(self._wanted, least)
        if self.low:
            self._meter.look()

    async def book(self, quantity: float) -> None:
        """See ``tabs.Tab``."""
        try:
            await self.reserve(quantity)
        except VoiceError:
            if not self.over:
                self._quantity = max(self._quantity, min(quantity, self._allowed))
            raise
        self._quantity = max(self._quantity, quantity)

    def release(self, quantity: float) -> None:
        """See ``tabs.Tab``."""
        self._wanted = math.floor(quantity)
        minute = max(self._ahead, AHEAD[self.price.unit])
        if self.price.credits and not self.over and self._allowed - self._used > 2 * minute:
            self._allowed, self._spare = self._used + minute, True
            self._meter.look()

    def share(self, sessions: int, *, most: int = 0) -> None:
        """See ``tabs.Tab``."""
        self.sessions = sessions
        check_sessions(sessions + self.elsewhere, most)

    async def settle(self) -> None:
        """See ``tabs.Tab``; what cannot be settled now is with the next beat."""
        self.over = True
        try:
            async with self._turn, self._meter.store.write() as connection:
                row = await open_session(connection, self.id)
                if row is not None:
                    await self._meter.close(connection, row, self.booked, self.price.of(self.booked))
        except (VoiceError, SQLAlchemyError):
            _log.exception("a session could not be settled; it is with the next beat", extra={"session": self.id})
        else:
            self._meter.forget(self)

    async def extend(self) -> None:
        """Hold the next minute ahead, as far as there are credits."""
        try:
            await self._extend(self._allowed, ahead=True)
        except (VoiceError, SQLAlchemyError):
            self._ahead, self._spare = 0, False  # it goes on with what it has, and asks again when that is used up
            _log.warning("nothing more could be held for a session", exc_info=True, extra={"session": self.id})

    # -- for the meter ---------------------------------------------------------------------------

    def give_up(self) -> None:
        """Nobody runs it up, or ever did."""
        self.sessions, self.over = 0, True

    @property
    def booked(self) -> int:
        """Whole units used."""
        return math.floor(self._quantity)

    @property
    def low(self) -> bool:
        """Whether it is time to hold ahead, or to hold less."""
        if self.over:
            return False
        return self._spare or (not self._last and self._allowed - self._used < self._ahead / 2)

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _used(self) -> int:
        """Whole units used, or sure to be: who may not have what he wants is told so, and it is not used."""
        return max(self.booked, min(self._wanted, self._allowed))

    async def _extend(self, least: int, *, ahead: bool = False) -> None:
        """Have ``least`` whole units allowed, better a minute more than is wanted."""
        async with self._turn:  # who comes while somebody is at it is mostly served with him
            if least <= self._allowed and not ahead:
                return
            booked, wanted = self.booked, max(self._wanted, least, *self._asking)
            now = self._meter.tick()
            pace = (wanted - self._held_from) / max(now - self._held_at, _BRIEFLY_S)
            base = AHEAD[self.price.unit]
            self._ahead = min(max(base, math.ceil(pace * _AHEAD_S)), base * _MOST_AHEAD)
            allowed = await self._meter.store.transact(partial(self._renew, booked, least, wanted))
            if allowed is None:
                self.over = True
                self._meter.forget(self)
                raise _lost()
            self._last, self._spare = allowed < wanted + base, False
            self._allowed, self.noted = allowed, booked
            self._ahead = min(self._ahead, max(0, allowed - wanted))  # more was not to be had: half of that will do
            self._held_at, self._held_from = now, wanted

    async def _renew(self, booked: int, least: int, wanted: int, connection: AsyncConnection) -> int | None:
        """Capture what was booked and hold anew: how many whole units that allows; None when the session is closed."""
        row = await open_session(connection, self.id)
        if row is None:
            return None
        ledger, charged = self._meter.ledger, self.price.of(booked)
        await ledger.capture(connection, row.hold_id, charged - row.captured)
        available = (await ledger.lock(connection, row.user_id)).available
        minute, pace = wanted + AHEAD[self.price.unit], wanted + self._ahead
        allowed = affordable(self.price, charged, available, least=least, most=minute)
        if pace > allowed == minute:
            allowed = affordable(self.price, charged, available // _SHARE_AHEAD, least=allowed, most=pace)
        subject = f"session:{self.id}:{row.beat + 1}"
        hold_id = await ledger.hold(connection, row.user_id, self.price.of(allowed) - charged, subject)
        values = {"hold_id": hold_id, "beat": row.beat + 1, "booked": booked, "charged": charged, "captured": charged}
        await connection.execute(update(live_session).where(live_session.c.id == self.id).values(values))
        return allowed


async def open_session(connection: AsyncConnection, session_id: str) -> Row[Any] | None:
    """The row of a session, locked; None once it is closed."""
    query = select(live_session).where(live_session.c.id == session_id, live_session.c.closed_at.is_(None))
    return (await connection.execute(query.with_for_update())).one_or_none()


def affordable(price: Price, charged: int, available: int, *, least: int, most: int) -> int:
    """The most whole units, up to ``most``, whose price over ``charged`` is available; at least ``least``."""
    if not price.credits:
        return _FREE
    enough, too_many = least, most + 1
    while too_many - enough > 1:
        middle = (enough + too_many) // 2
        if price.of(middle) - charged <= available:
            enough = middle
        else:
            too_many = middle
    return enough


def check_sessions(sessions: int, most: int) -> None:
    """TOO_MANY_SESSIONS for more than ``most``; 0: no limit."""
    if 0 < most < sessions:
        message = f"You have {most} live sessions of this kind, which is your limit."
        raise VoiceError(Code.TOO_MANY_SESSIONS, message, retry_after=_RETRY_AFTER_S, allowed=most)


def _lost() -> VoiceError:
    return VoiceError(
        Code.TIMEOUT, "The session's account is closed: it is over, or its server stood still for too long."
    )
