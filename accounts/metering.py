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
from accounts.live_tab import AHEAD, LiveTab, affordable, check_sessions, open_session
from accounts.schema import live_session
from accounts.store import Store
from protocol.errors import VoiceError
from protocol.pricing import PriceTable, Route
from protocol.stillness import Stillness

_log = logging.getLogger(__name__)

BEAT_S = 10.0
LEASE_S = 30.0

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

    async def open(
        self, user_id: int, route: Route, *, most: int = 0, wanted: Callable[[], float] | None = None
    ) -> "LiveTab":
        """Begin a session (see ``tabs.Tabs``)."""
        price = (await self._prices())[route]
        session_id = self._new_id()
        tab: LiveTab | None = None

        async def begin(connection: AsyncConnection) -> LiveTab:
            nonlocal tab
            available = (await self.ledger.lock(connection, user_id)).available
            same = and_(live_session.c.user_id == user_id, live_session.c.route == route, _open)
            seen = (await connection.execute(select(*_SEEN).where(same))).all()
            elsewhere = sum(one.sessions for one in seen if one.owner != self._owner)
            here = sum(self._sessions(one) for one in seen if one.owner == self._owner)
            check_sessions(here + elsewhere + 1, most)
            ahead = AHEAD[price.unit] + (0 if wanted is None else math.ceil(wanted()))
            allowed = affordable(price, 0, available, least=1, most=ahead)
            hold_id = await self.ledger.hold(connection, user_id, price.of(allowed), f"session:{session_id}:0")
            tab = LiveTab(self, session_id, (user_id, route), price, allowed, elsewhere)
            row = {"id": session_id, "user_id": user_id, "route": route, "owner": self._owner, "hold_id": hold_id}
            counters = {"sessions": 1, "beat": 0, "booked": 0, "charged": 0, "captured": 0}
            await connection.execute(insert(live_session).values(**row, **counters, opened_at=self.now()))
            return tab

        try:
            opened = await self.store.transact(begin)
        except BaseException:
            if tab is not None:
                # Cancelled during the commit: nobody knows whether it is there. If it is, the next beat settles it.
                tab.give_up()
                self._tabs[session_id] = tab
            raise
        self._tabs[session_id] = opened
        return opened

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
            if tab.over:
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


_NOTE = (
    update(live_session)
    .where(live_session.c.id == bindparam("session"), _open)
    .values(booked=bindparam("booked"), charged=bindparam("charged"), sessions=bindparam("sessions"))
)
