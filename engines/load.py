"""How busy an engine is, and how much of its time the partial transcripts may have."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """How an engine does, lately."""

    queue_delay: float  # seconds a final decode waits for its turn
    realtime_factor: float  # seconds of work a second of audio costs
    utilisation: float  # share of its time it is at work, 0 to 1


class Fading:
    """A sum in which what was added ``tau_s`` seconds ago counts 1/e; divided by ``tau_s``, a rate."""

    def __init__(self, tau_s: float) -> None:
        self._tau_s = tau_s
        self._sum = 0.0
        self._at = 0.0

    def add(self, amount: float, now: float) -> None:
        """Count ``amount``."""
        self._sum = self.read(now) + amount
        self._at = now

    def take_back(self, amount: float, added_at: float, now: float) -> None:
        """What is left of an ``amount`` that was added then counts no more."""
        self.add(-amount * math.exp(-max(0.0, now - added_at) / self._tau_s), now)

    def read(self, now: float) -> float:
        """The sum as it stands."""
        return self._sum * math.exp(-max(0.0, now - self._at) / self._tau_s)

    def rate(self, now: float) -> float:
        """What is added a second, lately."""
        return self.read(now) / self._tau_s


class Delay:
    """A moving average that also fades while nothing comes: an engine nobody waits for has no queue."""

    def __init__(self, weight: float = 0.25, tau_s: float = 5.0) -> None:
        self._weight = weight
        self._tau_s = tau_s
        self._value = 0.0
        self._at = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Somebody waited so long."""
        value = self.read(now)
        self._value = value + self._weight * (seconds - value)
        self._at = now

    def read(self, now: float) -> float:
        """How long one waits."""
        return self._value * math.exp(-max(0.0, now - self._at) / self._tau_s)


class Cost:
    """What a call costs, learnt from those before it: seconds for each second of sound (or each character)."""

    def __init__(self, first_guess: float, fixed: float) -> None:
        self._rate = first_guess
        self._fixed = fixed  # what any request costs, in the same unit: no decode is cheaper than a second's
        self._known = False

    def add(self, seconds: float, amount: float, requests: int) -> None:
        """A call of so many requests and so much sound took ``seconds``."""
        rate = seconds / (amount + self._fixed * requests)
        self._rate += (0.2 if self._known else 1.0) * (rate - self._rate)
        self._known = True

    def expect(self, amount: float, requests: int = 1) -> float:
        """Seconds such a call will take."""
        return self._rate * (amount + self._fixed * requests)

    @property
    def known(self) -> bool:
        """There was a call to learn from."""
        return self._known


class PartialBudget:
    """Seconds of engine time for partials: refilled at a share of real time that falls as finals have to wait.

    Partials are most of a live recogniser's work, and a call cannot be interrupted: what keeps finals prompt is that
    the engine is often idle when one comes (PERFORMANCE.md, section 2).
    """

    def __init__(self, most: float, least: float, calm_s: float, strained_s: float, burst_s: float) -> None:
        self._most = most  # share while finals wait no longer than calm_s
        self._least = least  # share once they wait strained_s
        self._calm_s = calm_s
        self._strained_s = strained_s
        self._burst_s = burst_s
        self._seconds = burst_s
        self._at = 0.0

    def share(self, delay_s: float) -> float:
        """The share of the engine's time that partials may have while finals wait ``delay_s``."""
        strain = (delay_s - self._calm_s) / (self._strained_s - self._calm_s)
        return self._most + (self._least - self._most) * min(1.0, max(0.0, strain))

    def wait(self, delay_s: float, now: float) -> float:
        """Seconds until a call of partials may begin; 0: now."""
        share = self.share(delay_s)
        self._seconds = min(self._burst_s, self._seconds + share * max(0.0, now - self._at))
        self._at = now
        return max(0.0, -self._seconds / share)

    def spend(self, seconds: float) -> None:
        """A call of partials took so long; the debt may exceed the budget."""
        self._seconds -= seconds
