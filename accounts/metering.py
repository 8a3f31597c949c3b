"""Live sessions pay as they go: credits for a minute are held ahead, whole units booked, and the end settled.

A session has one open hold. When it is used up (or, unless the user is nearly out of credits, half used up) one
transaction captures what was booked, frees the rest and holds the next minute, at the pace at which the last hold was
used up; so a session costs a transaction a minute, and every frame in between a comparison. Half used up is renewed
beside the session, which does not wait for it. Charges are differences of the price of the total, so roundings never
add up. Every few seconds a server raises the beats of all its sessions and notes what they have booked, in one
transaction; where a beat stands still, another server settles the session at what was noted (``reap``).
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, and_, bindparam, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Ledger
from accounts.schema import live_session
from accounts.store import Store
from protocol.errors import Code, VoiceError
from protocol.pricing import Price, PriceTable, Route, Unit
from protocol.stillness import Stillness

_log = logging.getLogger(__name__)

AHEAD = {Unit.SECONDS: 60, Unit.CHARACTERS: 900, Unit.TURNS: 1}  # a minute of speech, and its text
_AHEAD_S = 60.0
_BRIEFLY_S = 1.0  # a pace is not told from less
_MOST_AHEAD = 200  # times AHEAD, however fast it goes
_SHARE_AHEAD = 4  # of what a user has, no more than one part in so many is held beyond AHEAD: he may want other things
BEAT_S = 10.0
LEASE_S = 30.0
_RETRY_AFTER_S = 5
_FREE = 2**53  # more than anybody uses

Prices = Callable[[], Awaitable[PriceTable]]
_open = live_session.c.closed_at.is_(None)
_SEEN = [live_session.c[name] for name in ("id", "user_id", "route", "owner", "beat", "sessions")]


class LiveMeter:
    """All live sessions of one process, ``owner``; a ``tabs.Tabs``. ``now`` is the time of day, ``tick`` monotonic."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        prices: Prices,
        *,
        now: Callable[[], float],
        tick: Callable[[], float],
        new_id: Callable[[], str],
        owner: str,
        lease_s: float = LEASE_S,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.now = now
        self._prices = prices
        self._tick = tick
        self._new_id = new_id
        self._owner = owner
        self._tabs: dict[str, LiveTab] = {}
        self._stillness = Stillness[str, int](lease_s)
        self._ending = asyncio.Event()
        self._low = asyncio.Event()  # some tab is to be extended

    async def open(self, user_id: int, route: Route, *, most: int = 0) -> "LiveTab":
        """Begin a session (see ``tabs.Tabs``)."""
        price = (await self._prices())[route]
        session_id = self._new_id()
        tab: LiveTab | None = None
        try:
            async with self.store.write() as connection:
                available = (await self.ledger.lock(connection, user_id)).available
                same = and_(live_session.c.user_id == user_id, live_session.c.route == route, _open)
                seen = (await connection.execute(select(*_SEEN).where(same))).all()
                elsewhere = sum(one.sessions for one in seen if one.owner != self._owner)
                here = sum(self._sessions(one) for one in seen if one.owner == self._owner)
                _look_at(here + elsewhere + 1, most)
                allowed = _affordable(price, 0, available, least=1, most=AHEAD[price.unit])
                hold_id = await self.ledger.hold(connection, user_id, price.of(allowed), f"session:{session_id}:0")
                tab = LiveTab(self, session_id, (user_id, route), price, allowed, elsewhere)
                row = {"id": session_id, "user_id": user_id, "route": route, "owner": self._owner, "hold_id": hold_id}
                counters = {"sessions": 1, "beat": 0, "booked": 0, "charged": 0, "captured": 0}
                await connection.execute(insert(live_session).values(**row, **counters, opened_at=self.now()))
        except BaseException:
            if tab is not None:
                # Cancelled during the commit: nobody knows whether it is there. If it is, the next beat settles it.
                tab.give_up()
                self._tabs[session_id] = tab
            raise
        self._tabs[session_id] = tab
        return tab

    def _sessions(self, row: Row[Any]) -> int:
        """What runs up a bill of this process: what it knows itself is newer than what it wrote down."""
        tab = self._tabs.get(row.id)
        return int(row.sessions) if tab is None else tab.sessions

    async def run(self) -> None:
        """Beat, reap and hold ahead, until ``aclose``."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hold_ahead(), name="hold credits ahead")
            await self._beat_and_reap()

    async def _hold_ahead(self) -> None:
        while not self._ending.is_set():
            await self._low.wait()
            self._low.clear()
            for tab in list(self._tabs.values()):
                if tab.low:
                    await tab.extend()

    async def _beat_and_reap(self) -> None:
        while not await self._ends_within(BEAT_S):
            try:
                await self.beat()
                await self.reap()
            except (VoiceError, SQLAlchemyError):
                _log.exception("the live sessions could not be noted; they are the next time")

    async def _ends_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        return self._ending.is_set()

    async def beat(self) -> None:
        """Say that this process lives, what its sessions booked and how many they are; hold ahead; settle what could
        not be before."""
        tabs = list(self._tabs.values())
        if not tabs:
            return
        beaten = update(live_session).where(live_session.c.owner == self._owner, _open)
        news = {
            tab: (tab.booked, tab.sessions)
            for tab in tabs
            if tab.booked > tab.noted or tab.sessions != tab.noted_sessions
        }
        notes = [
            {"session": tab.id, "booked": units, "charged": tab.price.of(units), "sessions": sessions}
            for tab, (units, sessions) in news.items()
        ]
        async with self.store.write() as connection:
            await connection.execute(beaten.values(beat=live_session.c.beat + 1))
            if notes:
                await connection.execute(_NOTE, notes)
        for tab, (units, sessions) in news.items():
            tab.noted, tab.noted_sessions = units, sessions
        for tab in tabs:
            if tab.ending:
                await tab.settle()
            elif tab.low:
                await tab.extend()

    async def reap(self) -> int:
        """Settle the sessions whose owner stopped beating for a lease: how many. Call it several times a lease."""
        async with self.store.read() as connection:
            seen = (await connection.execute(select(*_SEEN).where(_open))).all()
        beats = {one.id: one.beat for one in seen}
        elsewhere = Counter[tuple[int, str]]()
        for one in seen:
            if one.owner != self._owner:
                elsewhere[one.user_id, one.route] += one.sessions
        for tab in self._tabs.values():
            tab.elsewhere = elsewhere[tab.kind]
        reaped = 0
        for session_id in self._stillness.look(beats, self._tick()):
            async with self.store.write() as connection:
                row = await open_session(connection, session_id)
                if row is not None and row.beat == beats[session_id]:
                    await self.close(connection, row, row.booked, row.charged)
                    reaped += 1
        return reaped

    async def aclose(self) -> None:
        """Settle whatever is still open; the process ends."""
        self._ending.set()
        self._low.set()
        for tab in list(self._tabs.values()):
            await tab.settle()

    async def close(self, connection: AsyncConnection, row: Row[Any], booked: int, charged: int) -> None:
        """The end of a session, in the store."""
        await self.ledger.capture(connection, row.hold_id, charged - row.captured)
        closed = update(live_session).where(live_session.c.id == row.id)
        values = {"booked": booked, "charged": charged, "captured": charged, "closed_at": self.now()}
        await connection.execute(closed.values(values))

    def tick(self) -> float:
        """Monotonic seconds."""
        return self._tick()

    def look(self) -> None:
        """A tab is low."""
        self._low.set()

    def forget(self, tab: "LiveTab") -> None:
        """It is settled."""
        self._tabs.pop(tab.id, None)


class LiveTab:
    """The tab of one session; a ``tabs.Tab``."""

    def __init__(
        self,
        meter: LiveMeter,
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
        self.ending = False
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
        if self.ending:
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
            if not self.ending:
                self._quantity = max(self._quantity, min(quantity, self._allowed))
            raise
        self._quantity = max(self._quantity, quantity)

    def release(self, quantity: float) -> None:
        """See ``tabs.Tab``."""
        self._wanted = math.floor(quantity)
        minute = max(self._ahead, AHEAD[self.price.unit])
        if self.price.credits and not self.ending and self._allowed - self._used > 2 * minute:
            self._allowed, self._spare = self._used + minute, True
            self._meter.look()

    def share(self, sessions: int, *, most: int = 0) -> None:
        """See ``tabs.Tab``."""
        self.sessions = sessions
        _look_at(sessions + self.elsewhere, most)

    @property
    def over(self) -> bool:
        """See ``tabs.Tab``."""
        return self.ending

    async def settle(self) -> None:
        """See ``tabs.Tab``; what cannot be settled now is with the next beat."""
        self.ending = True
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
        self.sessions, self.ending = 0, True

    @property
    def booked(self) -> int:
        """Whole units used."""
        return math.floor(self._quantity)

    @property
    def low(self) -> bool:
        """Whether it is time to hold ahead, or to hold less."""
        if self.ending:
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
            async with self._meter.store.write() as connection:
                row = await open_session(connection, self.id)
                if row is None:
                    self.ending = True
                    self._meter.forget(self)
                    raise _lost()
                allowed = await self._renew(connection, row, booked, least, wanted)
            self._last, self._spare = allowed < wanted + base, False
            self._allowed, self.noted = allowed, booked
            self._ahead = min(self._ahead, max(0, allowed - wanted))  # more was not to be had: half of that will do
            self._held_at, self._held_from = now, wanted

    async def _renew(self, connection: AsyncConnection, row: Row[Any], booked: int, least: int, wanted: int) -> int:
        """Capture what was booked and hold anew: how many whole units that allows."""
        ledger, charged = self._meter.ledger, self.price.of(booked)
        await ledger.capture(connection, row.hold_id, charged - row.captured)
        available = (await ledger.lock(connection, row.user_id)).available
        minute, pace = wanted + AHEAD[self.price.unit], wanted + self._ahead
        allowed = _affordable(self.price, charged, available, least=least, most=minute)
        if pace > allowed == minute:
            allowed = _affordable(self.price, charged, available // _SHARE_AHEAD, least=allowed, most=pace)
        subject = f"session:{self.id}:{row.beat + 1}"
        hold_id = await ledger.hold(connection, row.user_id, self.price.of(allowed) - charged, subject)
        values = {"hold_id": hold_id, "beat": row.beat + 1, "booked": booked, "charged": charged, "captured": charged}
        await connection.execute(update(live_session).where(live_session.c.id == self.id).values(values))
        return allowed


async def open_session(connection: AsyncConnection, session_id: str) -> Row[Any] | None:
    """The row of a session, locked; None once it is closed."""
    query = select(live_session).where(live_session.c.id == session_id, _open).with_for_update()
    return (await connection.execute(query)).one_or_none()


def _affordable(price: Price, charged: int, available: int, *, least: int, most: int) -> int:
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


def _look_at(sessions: int, most: int) -> None:
    if 0 < most < sessions:
        message = f"You have {most} live sessions of this kind, which is your limit."
        raise VoiceError(Code.TOO_MANY_SESSIONS, message, retry_after=_RETRY_AFTER_S, allowed=most)


def _lost() -> VoiceError:
    return VoiceError(
        Code.TIMEOUT, "The session's account is closed: it is over, or its server stood still for too long."
    )


_NOTE = (
    update(live_session)
    .where(live_session.c.id == bindparam("session"), _open)
    .values(booked=bindparam("booked"), charged=bindparam("charged"), sessions=bindparam("sessions"))
)
