"""A token bucket that may go into debt: how far ahead of a pace somebody may run, and when the debt is paid."""


class Allowance:
    """``burst`` units at once, then ``rate`` units a second; clocks are the caller's, in seconds."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at = now

    def spend(self, units: float, now: float) -> float:
        """Take ``units``, by debt if need be, and return when the debt is paid off (``now`` where there is none)."""
        left = self.left(now) - units
        self._left, self._at = left, now
        return now if left >= 0 else now - left / self._rate

    def left(self, now: float) -> float:
        """What may be spent at once; negative while in debt."""
        left = self._left + (now - self._at) * self._rate
        return left if left < self._burst else self._burst  # asked for every frame: ``min`` takes three times as long

    def rested(self, now: float) -> bool:
        """Whether at least half of the burst is there again: the one who spends has calmed down."""
        return self.left(now) >= self._burst / 2
