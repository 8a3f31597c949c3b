"""Hints between processes by Redis, as ``batch.dispatch`` wants them; loaded where there is one."""

import asyncio
import logging

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from batch.dispatch import LocalDispatch
from protocol.errors import Code, VoiceError

log = logging.getLogger("voxline.batch.dispatch")

_CHANNEL = "voxline:news"
_QUIET_S = 5.0  # without a message for so long, Redis is asked whether it lives
_REPLY_S = 3.0
_OUTBOX = 1024
_RETRY_FIRST_S, _RETRY_MOST_S = 0.25, 5.0


class RedisDispatch(LocalDispatch):
    """Hints between processes too, as long as Redis is there. Raises BAD_REQUEST for what is no URL of a Redis."""

    def __init__(self, url: str) -> None:
        super().__init__()
        try:
            parse_url(url)
        except ValueError:
            raise VoiceError(
                Code.BAD_REQUEST, "redis_url must be like redis://host:6379/0.", field="redis_url"
            ) from None
        self.connected = False
        self._closed = False
        self._url = url
        self._outbox: asyncio.Queue[str] = asyncio.Queue(_OUTBOX)

    def announce(self, topic: str) -> None:
        """Tell everybody; what Redis cannot be told in time is dropped."""
        super().announce(topic)
        if self.connected and not self._outbox.full():
            self._outbox.put_nowait(topic)

    def close(self) -> None:
        """To be called before ``run`` is cancelled: the client's library loses a cancellation that finds it connecting,
        and one that makes a connection break; then this ends it."""
        self._closed = True

    async def run(self) -> None:
        """Stay connected, until closed and cancelled. Trouble with Redis is logged once, and ends by itself."""
        delay, complained = _RETRY_FIRST_S, False
        while not self._closed:
            try:
                await self._serve()
            except (RedisError, OSError, TimeoutError) as error:
                lost, self.connected = self.connected, False
                delay = _RETRY_FIRST_S if lost else min(delay * 2, _RETRY_MOST_S)
                if lost or not complained:
                    log.warning("no Redis, waiting by polling", extra={"cause": type(error).__name__})
                    complained = True
            if not self._closed:
                await asyncio.sleep(delay)

    async def _serve(self) -> None:
        client = Redis.from_url(
            self._url, socket_timeout=_REPLY_S, socket_connect_timeout=_REPLY_S, retry=Retry(NoBackoff(), 0)
        )
        try:
            async with client, client.pubsub() as channel:
                await channel.subscribe(_CHANNEL)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._hear(channel))
                        tasks.create_task(self._tell(client))
                except ExceptionGroup as group:  # not except*: before Python 3.11.4 it would raise a group again
                    lost, others = group.split((RedisError, OSError))
                    if lost is None or others is not None:
                        raise
                    raise _first(lost) from None
        finally:
            self.connected = False

    async def _hear(self, channel: PubSub) -> None:
        quiet = False
        while not self._closed:
            message = await channel.get_message(timeout=_QUIET_S)
            if message is None:
                if quiet:
                    raise TimeoutError("Redis does not answer")
                await channel.ping()
                quiet = True
                continue
            quiet = False
            if message["type"] == "subscribe":
                self.connected = True
                log.info("connected to Redis")
                self.announce_all()
            elif message["type"] == "message":
                super().announce(message["data"].decode(errors="replace"))

    async def _tell(self, client: Redis) -> None:
        while not self._closed:
            await client.publish(_CHANNEL, await self._outbox.get())


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
