"""Something costly that is there only while it is used, and a little longer: an engine's process for batch work.

The first who borrows it waits until it has started; those who come later share it; when nobody has had it for
``idle_s``, it is stopped and its memory is free again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

from protocol.errors import Code, VoiceError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Lender(Protocol[T_co]):
    """Who has something to lend."""

    def borrow(self) -> AbstractAsyncContextManager[T_co]:
        """The thing, for the length of a block. Raises VoiceError when it cannot be started."""
        ...


class Standing(Generic[T]):
    """Lends what is there anyway."""

    def __init__(self, thing: T) -> None:
        self._thing = thing

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[T]:
        """``Lender``."""
        yield self._thing


class OnDemand(Generic[T]):
    """Lends what ``make`` makes when it is first wanted. Run ``run()`` in a TaskGroup until ``close()``."""

    def __init__(
        self,
        make: Callable[[], AbstractAsyncContextManager[T]],
        idle_s: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.load_s = 0.0  # what it took to make the last one
        self._make = make
        self._idle_s = idle_s
        self._now = now
        self._users = 0
        self._changed = asyncio.Event()  # somebody came, or left
        self._ready: asyncio.Future[T] | None = None  # what is there, or is coming
        self._starting: asyncio.Task[Any] | None = None  # the task of ``run``, while it may be cancelled
        self._closed = False

    @property
    def running(self) -> bool:
        """It is there, or on its way."""
        return self._ready is not None

    @property
    def ready(self) -> bool:
        """It is there: who borrows it does not wait."""
        return self._ready is not None and self._ready.done()

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[T]:
        """``Lender``."""
        self._users += 1
        try:
            yield await self._get()
        finally:
            self._users -= 1
            self._changed.set()

    def close(self) -> None:
        """Stop it whoever has it, and end ``run``."""
        self._closed = True
        self._changed.set()
        if self._starting is not None:
            self._starting.cancel()  # a stop, on the other hand, is to be finished

    async def run(self) -> None:
        """Start and stop it as it is wanted, until it is closed."""
        try:
            while not self._closed:
                if self._users and self._ready is not None:
                    await self._lend(self._ready)
                    continue
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._closed = True
            if self._ready is not None and not self._ready.done():
                self._ready.set_exception(_stopping())
                self._ready.exception()  # those who waited may all be gone

    async def _lend(self, ready: asyncio.Future[T]) -> None:
        try:
            async with AsyncExitStack() as stack:
                self._starting, began = asyncio.current_task(), self._now()
                try:
                    thing = await stack.enter_async_context(self._make())
                    self.load_s = self._now() - began
                    ready.set_result(thing)
                finally:
                    self._starting = None
                await self._unused()
                self._ready = None  # who comes while it stops gets the next one
        except VoiceError as error:
            self._ready = None
            if not ready.done():
                ready.set_exception(error)
                ready.exception()

    async def _unused(self) -> None:
        while not self._closed:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if self._users else self._idle_s()):
                    await self._changed.wait()
            except TimeoutError:
                if not self._users:  # nobody came in the very moment, to be left with what is being stopped
                    return

    async def _get(self) -> T:
        if self._closed:
            raise _stopping()
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._changed.set()
        return await asyncio.shield(self._ready)


def _stopping() -> VoiceError:
    return VoiceError(Code.SHUTTING_DOWN, "the server is stopping")
