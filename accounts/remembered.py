"""What the store said lately: asked once for all who want to know it at one moment, and not again for a second.

So a burst of requests by one user costs a query, and a change that another process made is seen a second later.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEPT_S = 1.0
MOST = 4096


class Remembered(Generic[K, V]):
    """Answers by key. ``look_up`` asks the store; None, "there is none", is not kept. ``tick`` is a monotonic clock."""

    def __init__(
        self, look_up: Callable[[K], Awaitable[V | None]], *, tick: Callable[[], float], most: int = MOST
    ) -> None:
        self._look_up = look_up
        self._tick = tick
        self._most = most
        self._known: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._asking: dict[K, asyncio.Task[V | None]] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._known

    async def of(self, key: K) -> V | None:
        """The answer, at most ``KEPT_S`` old. Raises what ``look_up`` does, to everybody who waits for it."""
        known = self._known.get(key)
        if known is not None and self._tick() - known[0] < KEPT_S:
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key), name="look up")
            asking.add_done_callback(_seen)
        return await asyncio.shield(asking)  # one of those who wait may give up

    def put(self, key: K, value: V) -> None:
        """The answer as of now."""
        self._keep(key, value, self._tick())

    def forget(self) -> None:
        """Something was changed: whoever asks from now on is not told what was found, or is being looked up, before."""
        self._known.clear()
        self._asking.clear()

    async def _ask(self, key: K) -> V | None:
        asked, me = self._tick(), asyncio.current_task()
        try:
            value = await self._look_up(key)
        finally:
            current = self._asking.get(key) is me
            if current:
                del self._asking[key]
        if current and value is not None:
            self._keep(key, value, asked)
        return value

    def _keep(self, key: K, value: V, asked: float) -> None:
        self._known[key] = (asked, value)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _seen(task: "asyncio.Task[V | None]") -> None:
    """All who waited may have given up: nobody is left to be told of an error."""
    if not task.cancelled():
        task.exception()
