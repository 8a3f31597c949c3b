"""Bills for the servers of these tests: a purse with so much in it, and what was done with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from accounts.tabs import Tab
from protocol.errors import Code, VoiceError
from protocol.pricing import Route


@dataclass
class Purse:
    """Opens bills (``accounts.tabs.Tabs``) that allow ``quantity`` in all; ``away``: its store does not answer."""

    quantity: float = 1e9
    away: bool = False
    elsewhere: int = 0  # sessions on other servers
    asked: int = 0  # how often
    gate: asyncio.Event | None = None  # no bill is opened before it is set
    opened: list[Route] = field(default_factory=list)
    wanted: list[float] = field(default_factory=list)  # what each was to hold at once
    booked: list[float] = field(default_factory=list)  # what each settled bill came to
    released: list[float] = field(default_factory=list)
    bills: "list[PurseTab]" = field(default_factory=list)

    async def open(
        self, user_id: int, route: Route, *, most: int = 0, wanted: Callable[[], float] | None = None
    ) -> Tab:
        if self.away:
            raise VoiceError(Code.BUSY, "The server's database does not answer now.", retry_after=2)
        if self.quantity <= 0:
            raise VoiceError(Code.INSUFFICIENT_CREDITS, "This costs 1 credits; 0 are available.")
        if self.gate is not None:
            await self.gate.wait()
        self.opened.append(route)
        self.wanted.append(0 if wanted is None else wanted())
        self.bills.append(PurseTab(self))
        return self.bills[-1]


@dataclass
class PurseTab:
    """One bill."""

    purse: Purse
    quantity: float = 0.0
    settled: bool = False
    lost: bool = False  # another server settled it

    async def reserve(self, quantity: float) -> None:
        assert not self.settled
        if self.lost:
            raise VoiceError(Code.TIMEOUT, "The session's account is closed.")
        self.purse.asked += 1
        if quantity > self.purse.quantity:
            raise VoiceError(Code.INSUFFICIENT_CREDITS, "This costs 1 credits; 0 are available.")

    async def book(self, quantity: float) -> None:
        await self.reserve(quantity)
        self.quantity = max(self.quantity, quantity)

    def release(self, quantity: float) -> None:
        assert quantity >= 0
        self.purse.released.append(quantity)

    @property
    def over(self) -> bool:
        return self.settled or self.lost

    def share(self, sessions: int, *, most: int = 0) -> None:
        if 0 < most < sessions + self.purse.elsewhere:
            raise VoiceError(Code.TOO_MANY_SESSIONS, f"You have {most} live sessions.", retry_after=5)

    async def settle(self) -> None:
        if not self.settled:
            self.settled = True
            self.purse.booked.append(self.quantity)
