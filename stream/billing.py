"""What a live session costs whoever opened it: nothing until it is used, then by the second or the character.

A connection that is only held open has no bill: it is begun by the first use, so that idle connections cost the store
nothing. What is used is reserved first, so that nobody gets what he cannot pay, and settled whatever ends the session.
"""

from contextlib import suppress

from accounts.tabs import FreeTab, Tab, Tabs
from protocol.errors import Code, VoiceError
from protocol.pricing import Route
from stream.admission import Caller


class Bill:
    """One session's. Quantities are totals, in the unit of the route."""

    __slots__ = ("_caller", "_route", "_tab", "_tabs")

    def __init__(self, tabs: Tabs, caller: Caller, route: Route) -> None:
        self._tabs = tabs
        self._caller = caller
        self._route = route
        self._tab: Tab | None = None

    async def open(self) -> None:
        """Begin it, if it was not. Raises INSUFFICIENT_CREDITS, TOO_MANY_SESSIONS; STORAGE_FULL when the books are
        closed: what cannot be written down is not given."""
        if self._tab is not None:
            return
        user_id = self._caller.user_id
        if user_id is None:
            self._tab = FreeTab()
            return
        try:
            self._tab = await self._tabs.open(user_id, self._route, most=self._caller.sessions)
        except VoiceError as error:
            if error.code is not Code.BUSY:
                raise
            message = "The server cannot write down what is used now; try again."
            raise VoiceError(Code.STORAGE_FULL, message, retry_after=error.facts.get("retry_after")) from error

    async def reserve(self, quantity: float) -> None:
        """See that so much may be used in all. Raises what ``open`` does."""
        if self._tab is None:
            await self.open()
        assert self._tab is not None
        await self._tab.reserve(quantity)

    async def book(self, quantity: float) -> None:
        """So much was used in all. Raises what ``open`` does."""
        if self._tab is None:
            await self.open()
        assert self._tab is not None
        await self._tab.book(quantity)

    async def settle(self, quantity: float) -> None:
        """The session is over, however it ended, and so much was used in all. Never raises for what cannot be paid."""
        if self._tab is None:
            return
        with suppress(VoiceError):  # what was reserved is booked all the same
            await self._tab.book(quantity)
        await self._tab.settle()
