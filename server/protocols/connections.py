"""How many connections each address holds, and the limits every connection is held to."""

from dataclasses import dataclass

from uvicorn.server import ServerState

from stream.admission import network


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What one connection or address may take: seconds, bytes and counts; a count of 0 is no cap."""

    header_timeout: float = 5.0
    header_bytes: int = 65536
    body_timeout: float = 30.0
    body_rate: float = 65536.0  # bytes a second that a body earns beyond its timeout
    connections_per_address: int = 64
    trusted: frozenset[str] = frozenset()  # proxies: many clients come through one address
    ping_interval_idle: float = 60.0


class Connections(ServerState):
    """uvicorn's shared state, with a count for each address (each /64 network in IPv6, which one host owns)."""

    def __init__(self, limits: GuardLimits) -> None:
        super().__init__()
        self.limits = limits
        self.refused = 0
        self._held: dict[str, int] = {}

    def enter(self, host: str) -> bool:
        """Count a connection in; False, and not counted, when the address already has all it may."""
        group, cap = network(host), self.limits.connections_per_address
        held = self._held.get(group, 0)
        if cap and held >= cap and host not in self.limits.trusted:
            self.refused += 1
            return False
        self._held[group] = held + 1
        return True

    def leave(self, host: str) -> None:
        """Count a connection out."""
        group = network(host)
        held = self._held.get(group, 0) - 1
        if held > 0:
            self._held[group] = held
        else:
            self._held.pop(group, None)

    def held(self, host: str) -> int:
        """Connections the address has now."""
        return self._held.get(network(host), 0)
