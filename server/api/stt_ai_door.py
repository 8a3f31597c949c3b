"""Who may use seed C's API: whoever has a key, and under the limits of C3 whoever has none."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from batch.callers import Caller
from batch.transcripts import Transcripts
from batch.visitors import ORIGIN, Visitors
from server.api.exchange import Exchange

Check = Callable[[AsyncConnection], Awaitable[None]]


class Door:
    """Lets callers in. Without ``visitors`` nobody comes in without a key."""

    def __init__(self, exchange: Exchange, transcripts: Transcripts, visitors: Visitors | None) -> None:
        self._exchange = exchange
        self._transcripts = transcripts
        self._visitors = visitors

    async def caller(self, request: Request, *, reading: bool = False) -> Caller:
        """Who asks; a key that is shown must be right. Raises UNAUTHORIZED, RATE_LIMITED."""
        if self._visitors is None or "authorization" in request.headers:
            return await self._exchange.caller(request, reading=reading)
        address = request.client.host if request.client else ""
        return await self._visitors.identify(address, reading=reading)

    async def worker(self, request: Request) -> Caller:
        """Who asks for a job, if he may have one now: asked before anything is uploaded in vain."""
        caller = await self.caller(request)
        if self._visitors is not None and caller.origin is not None:
            await self._visitors.admit(caller)
        return caller

    async def listener(self, request: Request) -> Caller:
        """The same for a job that counts towards the month's minutes."""
        caller = await self.worker(request)
        await self._transcripts.admit(caller)
        return caller

    def check(self, caller: Caller, seconds: float = 0.0) -> Check | None:
        """What the transaction that makes the job looks at; ``seconds`` of a recording that is to be transcribed."""
        if caller.origin is not None:
            return self._visitors.check(caller) if self._visitors is not None else None
        return self._transcripts.check(caller, seconds) if seconds else None

    def details(self, caller: Caller) -> dict[str, str]:
        """What a job's details say of who asked for it."""
        return {} if caller.origin is None else {ORIGIN: caller.origin}
