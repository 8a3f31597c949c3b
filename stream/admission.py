"""Who may come in: the caller behind a key, and slots for the server, each address and each key.

Everything here is decided before a WebSocket is accepted, so that a refusal is an ordinary HTTP answer (429 or 503 with
Retry-After) and an accepted session keeps its promise. A caller without a key is in the anonymous tier of CONTRACT C3:
so many sessions a day and at once for each address. Limits of 0 mean no limit.
"""

import ipaddress
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from protocol.errors import Code, VoiceError
from stream.socket import Socket

DAY = 86_400.0
BUSY_RETRY_S = 5  # what Retry-After says when all slots are taken
MAX_TRACKED_ADDRESSES = 100_000  # of the anonymous tier; beyond it the oldest count is forgotten


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: somebody with a key, or an anonymous client that is known by its address only.

    ``user_id`` pays for what is used; ``sessions`` is how many of a kind the user may have at once, 0 = no limit.
    """

    key_id: str  # whose sessions are counted together
    anonymous: bool = False
    user_id: int | None = None
    sessions: int = 0


ANONYMOUS = Caller("", anonymous=True)
Authenticate = Callable[[str], Awaitable[Caller | None]]


@dataclass(frozen=True, slots=True)
class Presented:
    """The key a handshake carries, None for none, and the subprotocol to echo, None for none."""

    key: str | None
    subprotocol: str | None


def presented(socket: Socket) -> Presented:
    """Find the key: Authorization, then Sec-WebSocket-Protocol, then the query (C10; last, since queries get logged).

    Subprotocols are ``["voxline", "token.<key>"]`` or ``["token", "<key>"]``; only the first word is ever echoed. A
    browser fails a handshake that offered subprotocols and got none back, so a lone ``voxline`` is echoed as well.
    """
    offered = socket.subprotocols
    echo: str | None = None
    key: str | None = None
    for index, name in enumerate(offered):
        if name == "voxline":
            echo = name
        elif name.startswith("token."):
            key = name.removeprefix("token.")
        elif name == "token" and index + 1 < len(offered):
            echo, key = name, offered[index + 1]
            break
    header = socket.header("authorization")
    if header is not None:
        scheme, _, value = header.strip().partition(" ")
        key = value.strip() if scheme.lower() == "bearer" else ""
    elif key is None:
        key = socket.query("token")
        key = socket.query("api_key") if key is None else key
    return Presented(key, echo)


async def identify(socket: Socket, authenticate: Authenticate, *, anonymous: bool) -> Caller:
    """The caller of a handshake; UNAUTHORIZED for a key that is not valid, or for none where ``anonymous`` is off."""
    key = presented(socket).key
    if key is None:
        if anonymous:
            return ANONYMOUS
        raise VoiceError(Code.UNAUTHORIZED, "An API key is required: send it as 'Authorization: Bearer <key>'.")
    caller = await authenticate(key) if key else None
    if caller is None:
        raise VoiceError(Code.UNAUTHORIZED, "The API key is not valid.")
    return caller


def network(address: str) -> str:
    """What limits by address count by: an IPv4 address, or the /64 an IPv6 client can move about in."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


@dataclass(frozen=True, slots=True)
class Limits:
    """How many sessions at once, and a day; 0 = no limit."""

    sessions: int = 200
    sessions_per_key: int = 20
    sessions_per_address: int = 16
    anonymous_per_day: int = 3
    anonymous_at_once: int = 1


class Admission:
    """Slots of one kind (live sessions, say), given out and taken back."""

    def __init__(self, limits: Limits, *, now: Callable[[], float]) -> None:
        self.limits = limits
        self._now = now
        self._total = 0
        self._by_address: Counter[str] = Counter()
        self._by_key: Counter[str] = Counter()
        self._anonymous: Counter[str] = Counter()
        self._days: dict[str, tuple[float, int]] = {}  # network: when its day began, sessions since
        self._closed = False

    @property
    def taken(self) -> int:
        """Slots in use."""
        return self._total

    def close(self) -> None:
        """Let nobody in any more: the server is going down."""
        self._closed = True

    def check(self, address: str) -> None:
        """Raise what ``enter`` would whoever the caller is: asked before a single-use token is spent on the question
        who that is."""
        if self._closed:
            raise VoiceError(Code.SHUTTING_DOWN, "The server is shutting down.", retry_after=BUSY_RETRY_S)
        if _reached(self._total, self.limits.sessions):
            raise VoiceError(Code.BUSY, "All sessions of this server are in use.", retry_after=BUSY_RETRY_S)
        if _reached(self._by_address[network(address)], self.limits.sessions_per_address):
            raise _too_many(f"An address can have {self.limits.sessions_per_address} sessions at once.")

    def enter(self, caller: Caller, address: str) -> "Slot":
        """Take a slot, or raise SHUTTING_DOWN, BUSY, TOO_MANY_SESSIONS or RATE_LIMITED with ``retry_after`` seconds."""
        self.check(address)
        limits, where = self.limits, network(address)
        if caller.anonymous:
            if _reached(self._anonymous[where], limits.anonymous_at_once):
                raise _too_many(f"Without an API key there are {limits.anonymous_at_once} sessions at once.")
            self._count_day(where)
        for most in (limits.sessions_per_key, caller.sessions) if not caller.anonymous else ():
            if _reached(self._by_key[caller.key_id], most):
                raise _too_many(f"You can have {most} sessions at once.")
        self._change(caller, where, 1)
        return Slot(self, caller, where)

    def _count_day(self, where: str) -> None:
        """C3: so many a day for each address; a day begins with an address's first session."""
        now = self._now()
        began, count = self._days.get(where, (now, 0))
        if now - began >= DAY:
            began, count = now, 0
        limit = self.limits.anonymous_per_day
        if _reached(count, limit):
            message = f"Without an API key there are {limit} sessions a day. Use an API key for more."
            raise VoiceError(Code.RATE_LIMITED, message, retry_after=max(1, round(began + DAY - now)))
        self._days.pop(where, None)  # to the end: the dictionary is in order of last use
        self._days[where] = (began, count + 1)
        if len(self._days) > MAX_TRACKED_ADDRESSES:
            del self._days[next(iter(self._days))]

    def _refund(self, where: str) -> None:
        began, count = self._days.get(where, (0.0, 0))
        if count > 1:
            self._days[where] = (began, count - 1)
        else:
            self._days.pop(where, None)

    def _change(self, caller: Caller, where: str, by: int) -> None:
        self._total += by
        _add(self._by_address, where, by)
        _add(self._anonymous if caller.anonymous else self._by_key, where if caller.anonymous else caller.key_id, by)


class Slot:
    """A place in the server, to be released once: ``with admission.enter(...) as slot``."""

    __slots__ = ("_admission", "_caller", "_released", "_where", "used")

    def __init__(self, admission: Admission, caller: Caller, where: str) -> None:
        self.used = True  # set False by a session that never did what is counted by the day
        self._admission = admission
        self._caller = caller
        self._where = where
        self._released = False

    def release(self) -> None:
        if self._released:
            return
        self._released = True
        self._admission._change(self._caller, self._where, -1)
        if self._caller.anonymous and not self.used:
            self._admission._refund(self._where)

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _reached(count: int, limit: int) -> bool:
    return 0 < limit <= count


def _too_many(message: str) -> VoiceError:
    return VoiceError(Code.TOO_MANY_SESSIONS, message, retry_after=BUSY_RETRY_S)


def _add(counter: Counter[str], key: str, by: int) -> None:
    counter[key] += by
    if counter[key] <= 0:
        del counter[key]
