"""Moving windows in this process, for the ``limits`` library: by a monotonic clock, bounded, without tasks.

The library's own storage in memory reads the time of day, and at every hit starts a task that visits all keys.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from limits.aio.storage import MemoryStorage

MAX_KEYS = 100_000  # of about 100 bytes each and 8 a hit; past that the one unused for longest is forgotten


class ProcessWindows(MemoryStorage):
    """When each key was used, within its window. ``tick`` is a monotonic clock."""

    STORAGE_SCHEME = None  # type: ignore[assignment] # not to take the library's own place in its registry

    def __init__(self, tick: Callable[[], float]) -> None:
        super().__init__()
        self._tick = tick
        self._uses: OrderedDict[str, list[float]] = OrderedDict()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note ``amount`` uses of a key, unless that makes more than ``limit`` in ``expiry`` seconds."""
        uses = self._recent(key, expiry)
        if len(uses) + amount > limit:
            return False
        uses.extend([self._tick()] * amount)
        self._uses[key] = uses
        self._uses.move_to_end(key)
        if len(self._uses) > MAX_KEYS:
            self._uses.popitem(last=False)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest use in the window was, and how many there are."""
        uses = self._recent(key, expiry)
        return (uses[0], len(uses)) if uses else (self._tick(), 0)

    def _recent(self, key: str, expiry: int) -> list[float]:
        uses = self._uses.get(key, [])
        del uses[: bisect_right(uses, self._tick() - expiry)]
        return uses
