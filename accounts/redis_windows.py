"""Moving windows in Redis, for ``accounts.limits`` where several processes share them; loaded where there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError


class RedisWindows:
    """The windows at an address; ``patience_s`` is how long Redis may take for each step."""

    def __init__(self, url: str, *, patience_s: float) -> None:
        self._storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix="voxline:limits",
            socket_timeout=patience_s,
            socket_connect_timeout=patience_s,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        )
        self.limiter = MovingWindowRateLimiter(self._storage)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Raises ConnectionError for whatever Redis has to complain about."""
        try:
            yield
        except RedisError as error:
            raise ConnectionError("Redis does not count now") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]
