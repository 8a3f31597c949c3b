"""Who stands still: counters that their owners raise while they live, watched by somebody else's monotonic clock.

No time of day is in it, so no clock that jumps, and no two clocks that differ, make a living one look dead.
"""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Stillness(Generic[K, V]):
    """Finds the counters that have not changed for ``lease_s``, of those it is shown again and again."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._seen: dict[K, tuple[V, float]] = {}
        self._looked_at: float | None = None

    def look(self, counters: Mapping[K, V], at: float) -> list[K]:
        """Those that stand still. To be called several times a lease: who did not look for a lease (the machine slept,
        the process was stopped) knows nothing of that time, and begins anew."""
        if self._looked_at is not None and at - self._looked_at >= self._lease_s:
            self._seen.clear()
        self._looked_at = at
        before = self._seen
        self._seen = {
            key: before[key] if key in before and before[key][0] == counter else (counter, at)
            for key, counter in counters.items()
        }
        return [key for key, (_, since) in self._seen.items() if at - since >= self._lease_s]
