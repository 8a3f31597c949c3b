"""What live use costs: nothing until something is used, then by the second or the character.

All sessions of a user of one kind share a line: one open bill, with credits for about a minute set aside ahead. So a
session begins without a word to the store where the user has another one or had one lately, and a call is answered as
fast as if it were free. What is used is reserved first, so that nobody gets what he cannot pay, and booked whatever
ends the session; a line that nobody has used for some seconds is settled.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from accounts.tabs import FreeTab, Tab, Tabs
from protocol.errors import Code, VoiceError
from protocol.pricing import Route
from stream.admission import Caller

IDLE_S = 3.0  # how long a line outlives its last session
_LOOKS = 3  # in that time
_LEAST_LOOK_S = 0.02


@dataclass(slots=True)
class Line:
    """What the sessions of a user run up together; quantities are sums over all of them."""

    tab: Tab | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    sessions: int = 0
    asked: float = 0.0  # what those who wait for the tab are going to reserve
    reserved: float = 0.0
    booked: float = 0.0
    reserved_units: int = 0  # whole ones, that the tab knows of
    booked_units: int = 0
    left_at: float = 0.0  # when the last session ended


class Lines:
    """The lines of a server. ``now`` is monotonic seconds; ``run`` settles those that are no longer used."""

    def __init__(self, tabs: Tabs, *, now: Callable[[], float], idle_s: float = IDLE_S) -> None:
        self._tabs = tabs
        self._now = now
        self._idle_s = idle_s
        self._lines: dict[tuple[int, Route], Line] = {}
        self._busy = asyncio.Event()
        self._ending = False

    async def join(self, user_id: int, route: Route, *, most: int = 0, asked: float = 0.0) -> Line:
        """A session begins, and is going to reserve so much: the line it is on. Raises INSUFFICIENT_CREDITS;
        TOO_MANY_SESSIONS where the user has more than ``most`` (0: no limit) with it, on this server and others;
        STORAGE_FULL when the books are closed: what cannot be written down is not given."""
        line = self._lines.setdefault((user_id, route), Line())
        if line.tab is not None and line.tab.over:  # lost: who is on it is told so, who comes now begins a new one
            line = self._lines[user_id, route] = Line()
        line.sessions += 1
        line.asked += asked
        self._busy.set()
        try:
            try:
                async with line.opening:
                    if line.tab is None:
                        line.tab = await self._tabs.open(user_id, route, most=most, wanted=lambda: line.asked)
            finally:
                line.asked -= asked
            line.tab.share(line.sessions, most=most)
        except BaseException as error:
            self.leave(line)
            if isinstance(error, VoiceError) and error.code is Code.BUSY:
                message = "The server cannot write down what is used now; try again."
                raise VoiceError(Code.STORAGE_FULL, message, retry_after=5) from error
            raise
        return line

    def leave(self, line: Line) -> None:
        """A session is over."""
        line.sessions -= 1
        line.left_at = self._now()
        if line.tab is not None:
            line.tab.share(line.sessions)

    async def run(self) -> None:
        """Until ``aclose``."""
        while not self._ending:
            await self._busy.wait()
            self._busy.clear()
            while self._lines and not self._ending:
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(_LEAST_LOOK_S, self._idle_s / _LOOKS)):
                        await self._busy.wait()
                self._busy.clear()
                await self._settle(self._now() - self._idle_s)

    async def aclose(self) -> None:
        """Settle all lines; no session is left."""
        self._ending = True
        self._busy.set()
        await self._settle(self._now())

    async def _settle(self, before: float) -> None:
        for name, line in list(self._lines.items()):
            if line.sessions <= 0 and line.left_at <= before:
                del self._lines[name]  # who comes now begins a new one
                if line.tab is not None:
                    await line.tab.settle()


@asynccontextmanager
async def settling(lines: Lines) -> AsyncIterator[None]:
    """Settle lines one by one when they are no longer used, and all at the end of the block."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(lines.run(), name="settle bills")
        try:
            yield
        finally:
            await lines.aclose()


class Bill:
    """One session's part of its user's line. Quantities are totals of the session, in the unit of the route.

    They may be told for every frame: the line's tab is asked when they begin a whole unit more, as units are charged.
    ``most``: how many sessions of the kind the user may have on all servers, 0 = no limit.
    """

    __slots__ = ("_booked", "_caller", "_free", "_line", "_lines", "_most", "_reserved", "_route")

    def __init__(self, lines: Lines, caller: Caller, route: Route, *, most: int = 0) -> None:
        self._lines = lines
        self._caller = caller
        self._route = route
        self._most = most
        self._free = caller.user_id is None
        self._line: Line | None = None
        self._reserved = self._booked = 0.0

    @property
    def opened(self) -> bool:
        """Whether it was begun."""
        return self._line is not None

    async def open(self, quantity: float = 0.0) -> None:
        """Begin it, if it was not, with so much to reserve next. Raises what ``Lines.join`` does."""
        if self._line is None:
            if (user_id := self._caller.user_id) is None:
                self._line = Line(FreeTab())
            else:
                self._line = await self._lines.join(user_id, self._route, most=self._most, asked=quantity)

    async def reserve(self, quantity: float) -> None:
        """See that so much may be used in all. Raises INSUFFICIENT_CREDITS, and what ``open`` does."""
        if not self.opened:
            await self.open(quantity)
        line, more = self._line, quantity - self._reserved
        if line is None or line.tab is None or more <= 0:
            return
        line.reserved += more
        self._reserved = quantity
        units = math.floor(line.reserved)
        if units <= line.reserved_units:
            return
        try:
            await line.tab.reserve(line.reserved)
        except BaseException:
            line.reserved -= more
            self._reserved -= more
            line.reserved_units = min(line.reserved_units, math.floor(line.reserved))
            line.tab.release(line.reserved)  # another session may have released meanwhile, and told it of ours, too
            raise
        line.reserved_units = max(line.reserved_units, units)

    def release(self, quantity: float) -> None:
        """No more than so much is to be used in all, for now; what was booked stays so."""
        line, less = self._line, self._reserved - max(quantity, self._booked)
        if line is None or line.tab is None or less <= 0:
            return
        self._reserved -= less
        line.reserved -= less
        line.reserved_units = min(line.reserved_units, math.floor(line.reserved))
        line.tab.release(line.reserved)

    async def book(self, quantity: float) -> None:
        """So much was used in all. Raises what ``reserve`` does."""
        await self.reserve(quantity)
        line, more = self._line, quantity - self._booked
        if line is not None and line.tab is not None and more > 0:
            line.booked += more
            self._booked = quantity
            if (units := math.floor(line.booked)) > line.booked_units:
                line.booked_units = units
                await line.tab.book(line.booked)

    async def settle(self, quantity: float) -> None:
        """The session is over, however it ended, and so much was used in all. Never raises for what cannot be paid."""
        if self._line is None or self._free:
            return
        try:
            with suppress(VoiceError):  # what was reserved is booked all the same
                await self.book(quantity)
        finally:
            self.release(self._booked)
            line, self._line, self._free = self._line, None, True
            self._lines.leave(line)
