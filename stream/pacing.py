"""One clock for all paced sessions: who has something to send is woken at a tick, all that are due at the same one.

A timer for each of hundreds of listeners costs more than what they are sent; here a tick is one timer, and there is
none while nobody waits.
"""

import asyncio
import logging
import math
from collections.abc import Callable

TICK_S = 0.02

Lane = Callable[[], None]

_log = logging.getLogger(__name__)


class Pacer:
    """Wakes lanes; ``now`` is the loop's kind of clock, monotonic seconds."""

    def __init__(self, *, now: Callable[[], float], tick_s: float = TICK_S) -> None:
        self._now = now
        self._tick_s = tick_s
        self._due: dict[int, list[Lane]] = {}  # by number of the tick; as many as sessions wait
        self._armed: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def tick(self, at: float) -> int:
        """The number of the tick that ``at`` is in."""
        return math.floor(at / self._tick_s + 1e-6)

    def wake(self, lane: Lane, at: float) -> None:
        """Call ``lane`` at the first tick that is not before ``at``; once, from the loop."""
        tick = math.ceil(at / self._tick_s - 1e-6)
        self._due.setdefault(tick, []).append(lane)
        if self._armed is None or tick < self._armed:
            self._arm(tick)

    def close(self) -> None:
        """Wake nobody any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._armed = self._timer = None

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0.0, tick * self._tick_s - self._now())
        self._armed = tick
        self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._armed = self._timer = None
        current = self.tick(self._now())
        for tick in sorted(tick for tick in self._due if tick <= current):
            for lane in self._due.pop(tick):
                try:
                    lane()
                except Exception:  # noqa: BLE001 (one session's bug must not silence the others)
                    _log.exception("a paced session broke")
        nearest = min(self._due, default=None)  # a lane that was woken may have armed a later tick than others wait for
        if nearest is not None and (self._armed is None or nearest < self._armed):
            self._arm(nearest)
