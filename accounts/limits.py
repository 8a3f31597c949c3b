"""How often: requests a minute of each user, attempts at passwords and keys; and what holds for whom.

Counted in moving windows by the ``limits`` library: in Redis where several processes share the counts, in this process
otherwise. A Redis that does not answer is left alone for a while, and this process counts by itself: a limiter that
cannot count lets nobody wait, and nobody see an error.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter
from sqlalchemy import select

from accounts.policy import Overrides, Plan, Policies
from accounts.remembered import Remembered
from accounts.schema import user
from accounts.store import Store
from accounts.windows import ProcessWindows
from protocol.errors import Code, VoiceError

if TYPE_CHECKING:
    from accounts.redis_windows import RedisWindows

__all__ = ["LimitsOf", "Overrides", "Rate", "RateLimiter", "Throttle"]

_REDIS_S = 0.25  # how long Redis may take
_LEFT_ALONE_S = 5.0  # how long it is not asked after it did not answer
_ATTEMPTS_PER_MINUTE = 10
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """Where somebody stands in his minute; a limit of 0 is none."""

    limit: int
    remaining: int
    reset_after: float  # seconds until the oldest request counts no more


class RateLimiter:
    """Counts requests. ``now`` is the time of day (Redis is shared by machines), ``tick`` a monotonic clock."""

    def __init__(self, redis_url: str = "", *, now: Callable[[], float], tick: Callable[[], float]) -> None:
        self._now = now
        self._tick = tick
        self._here = MovingWindowRateLimiter(ProcessWindows(tick))
        self._shared = _shared(redis_url) if redis_url else None
        self._ask_redis_from = -math.inf

    async def hit(self, user_id: int, per_minute: int) -> Rate:
        """Count a request of a user. RATE_LIMITED with ``retry_after`` when there were so many in the last minute."""
        return await self.count(f"user:{user_id}", per_minute, "Too many requests: {limit} a minute are allowed.")

    async def count(self, name: str, per_minute: int, complaint: str) -> Rate:
        """Count a use of anything that has a name."""
        if not per_minute:
            return Rate(0, 0, 0.0)
        item = RateLimitItemPerMinute(per_minute, namespace="VOXLINE")
        allowed, rate = await self._counted(item, name)
        if not allowed:
            retry_after = max(1, math.ceil(rate.reset_after))
            message = complaint.format(limit=per_minute)
            raise VoiceError(Code.RATE_LIMITED, message, retry_after=retry_after, limit=per_minute)
        return rate

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        if self._shared is not None:
            await self._shared.aclose()

    async def _counted(self, item: RateLimitItemPerMinute, name: str) -> tuple[bool, Rate]:
        if self._shared is not None and self._tick() >= self._ask_redis_from:
            try:
                with self._shared.asked():
                    async with asyncio.timeout(_REDIS_S):
                        return await _use(self._shared.limiter, item, name, self._now)
            except OSError as error:  # TimeoutError is one
                self._ask_redis_from = self._tick() + _LEFT_ALONE_S
                cause = type(error.__cause__ or error).__name__
                _log.warning("redis.limits_unreachable", error=cause, retry_s=_LEFT_ALONE_S)
        return await _use(self._here, item, name, self._tick)


def _shared(redis_url: str) -> "RedisWindows":
    from accounts.redis_windows import RedisWindows  # its library takes a while to load, and most servers have no Redis

    return RedisWindows(redis_url, patience_s=_REDIS_S)


async def _use(
    limiter: MovingWindowRateLimiter, item: RateLimitItemPerMinute, name: str, clock: Callable[[], float]
) -> tuple[bool, Rate]:
    allowed = await limiter.hit(item, name)
    window = await limiter.get_window_stats(item, name)
    reset_after = min(max(0.0, window.reset_time - clock()), float(item.get_expiry()))
    return allowed, Rate(item.amount, max(0, window.remaining), reset_after)


class Throttle:
    """Slows down guessing: so many attempts a minute on one account, and from one address."""

    def __init__(self, limiter: RateLimiter, per_minute: int = _ATTEMPTS_PER_MINUTE) -> None:
        self._limiter = limiter
        self._per_minute = per_minute

    async def attempt(self, kind: str, *whose: str) -> Rate:
        """Count an attempt ("login", "key") on each of these accounts and addresses. RATE_LIMITED past the limit."""
        rate = Rate(self._per_minute, self._per_minute, 0.0)
        for one in whose:
            name = hashlib.sha256(one.casefold().encode(errors="surrogatepass")).hexdigest()[:32]
            rate = await self._limiter.count(f"{kind}:{name}", self._per_minute, "Too many attempts; wait a moment.")
        return rate


class LimitsOf:
    """What holds for each user: the plan, and what an admin set over it, at most a second old."""

    def __init__(self, store: Store, policies: Policies, *, tick: Callable[[], float]) -> None:
        self._store = store
        self._policies = policies
        self._known = Remembered(self._look_up, tick=tick)

    async def of(self, user_id: int) -> Plan:
        """The limits of a user. NOT_FOUND when there is none of that id."""
        found = await self._known.of(user_id)
        if found is None:
            raise VoiceError(Code.NOT_FOUND, f"There is no user {user_id}.")
        plan, overrides = found
        return overrides.over((await self._policies.current()).plan(plan))

    async def _look_up(self, user_id: int) -> tuple[str, Overrides] | None:
        async with self._store.read() as connection:
            row = (
                await connection.execute(select(user.c.plan, user.c.limits).where(user.c.id == user_id))
            ).one_or_none()
        return None if row is None else (row.plan, Overrides.model_validate_json(row.limits))
