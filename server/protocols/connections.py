"""How many connections each address holds, and the limits every connection is held to."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from uvicorn.server import ServerState

from stream.admission import network

# A silent client that froze is to be gone within 30 s, a ping's time-out included, and ten thousand silent clients must
# not keep a server busy: so they are asked as often as so many pings a second allow. 360 are asked every 18 s; of more,
# a frozen one is gone when its session has been silent for too long. (A dead one is TCP's to find, however many.)
_PINGS_A_SECOND = 20.0
_PING_IDLE_S = 18.0


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What one connection or address may take: seconds, bytes and counts; a count of 0 is no cap."""

    header_timeout: float = 5.0
    header_bytes: int = 65536
    body_timeout: float = 30.0
    body_rate: float = 65536.0  # bytes a second that a body earns beyond its timeout
    connections_per_address: int = 64
    trusted: Callable[[str], bool] = lambda _: False  # proxies: many clients come through one address
    ping_interval_idle: float = math.inf  # at most; sooner while silent clients are few


class Connections(ServerState):
    """uvicorn's shared state, with a count for each address (each /64 network in IPv6, which one host owns)."""

    def __init__(self, limits: GuardLimits) -> None:
        super().__init__()
        self.limits = limits
        self.refused = 0
        self._held: dict[str, int] = {}
        self._total = 0

    def enter(self, host: str) -> bool:
        """Count a connection in; False, and not counted, when the address already has all it may."""
        group, cap = network(host), self.limits.connections_per_address
        held = self._held.get(group, 0)
        if cap and held >= cap and not self.limits.trusted(host):
            self.refused += 1
            return False
        self._held[group] = held + 1
        self._total += 1
        return True

    def leave(self, host: str) -> None:
        """Count a connection out."""
        self._total -= 1
        group = network(host)
        held = self._held.get(group, 0) - 1
        if held > 0:
            self._held[group] = held
        else:
            self._held.pop(group, None)

    def idle_ping_gap(self, interval: float) -> float:
        """Seconds between the pings of a client who says nothing, where ``interval`` holds for one who talks."""
        gap = min(max(self._total / _PINGS_A_SECOND, _PING_IDLE_S), self.limits.ping_interval_idle)
        return max(gap, interval)

    def held(self, host: str) -> int:
        """Connections the address has now."""
        return self._held.get(network(host), 0)
