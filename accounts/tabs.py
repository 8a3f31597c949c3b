"""What a live session runs up, as the session sees it: no ledger, no store, no prices."""

from collections.abc import Callable
from typing import Protocol

from protocol.pricing import Route


class Tab(Protocol):
    """One bill, of a session or several. Quantities are totals since it was opened, in the unit of its route (seconds,
    characters).

    The order is always: use what is reserved or booked, never more. Both may be called for every frame: they look at a
    number, and go to the store once in a minute of use.
    """

    async def reserve(self, quantity: float) -> None:
        """See that so much may be used in all. INSUFFICIENT_CREDITS; TIMEOUT when the server lost the session."""
        ...

    async def book(self, quantity: float) -> None:
        """So much was used in all; it is reserved first where it was not. Whole units are charged."""
        ...

    def release(self, quantity: float) -> None:
        """No more than so much is reserved any longer, what was booked included: whoever wanted more has gone."""
        ...

    @property
    def over(self) -> bool:
        """Nothing more can be run up on it: it is settled, or the server lost it."""
        ...

    def share(self, sessions: int, *, most: int = 0) -> None:
        """So many sessions run it up now. TOO_MANY_SESSIONS where that is more than ``most`` (0: no limit), with those
        of the same user and kind on other servers of the store, as they were some seconds ago."""
        ...

    async def settle(self) -> None:
        """The session is over, however it ended: charge what was booked and free the rest. Never raises for the store
        being away; may be called again."""
        ...


class Tabs(Protocol):
    """Opens the tabs of a server's sessions."""

    async def open(
        self, user_id: int, route: Route, *, most: int = 0, wanted: Callable[[], float] | None = None
    ) -> Tab:
        """Begin a session. ``wanted`` says, as late as can be, what is going to be reserved at once, so that it is held
        with the rest. INSUFFICIENT_CREDITS when not even one unit can be paid; TOO_MANY_SESSIONS when the user has
        ``most`` (0: no limit) of the kind open, on all servers of the store together."""
        ...


class FreeTab:
    """The tab of a session nobody pays for."""

    async def reserve(self, quantity: float) -> None:
        """Of course."""

    async def book(self, quantity: float) -> None:
        """Thanks."""

    def release(self, quantity: float) -> None:
        """Nothing was held."""

    @property
    def over(self) -> bool:
        """Never."""
        return False

    def share(self, sessions: int, *, most: int = 0) -> None:
        """As many as like."""

    async def settle(self) -> None:
        """Nothing is owed."""
