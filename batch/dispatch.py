"""How those who wait hear of news: a job to do, a job done, a webhook to send. Nothing but hints (DESIGN section 5).

The database is the truth, and everybody who waits looks there again after a while; so a hint that is lost, comes twice
or late costs time and nothing else. Within a process hints always work; Redis carries them between processes, and may
be stopped, frozen, emptied or started again at any moment.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Protocol

JOBS = "jobs"
WEBHOOKS = "webhooks"


def job_done(job_id: str) -> str:
    """The topic of a job's end."""
    return f"job:{job_id}"


class Ear:
    """Hears one topic, from the moment it is opened: news between two calls of ``wait`` are not missed."""

    def __init__(self) -> None:
        self._heard = asyncio.Event()

    def hear(self) -> None:
        """There are news."""
        self._heard.set()

    async def wait(self, timeout: float) -> bool:
        """Until there are news since the last call, at most ``timeout`` seconds; whether there were."""
        try:
            async with asyncio.timeout(timeout):
                await self._heard.wait()
        except TimeoutError:
            return False
        self._heard.clear()
        return True


class Dispatch(Protocol):
    """Carries hints."""

    def announce(self, topic: str) -> None:
        """Tell everybody who listens; never waits, never fails."""
        ...

    def listening(self, topic: str) -> AbstractContextManager[Ear]:
        """An ear for the topic while the context lasts."""
        ...


class LocalDispatch:
    """Hints within this process."""

    def __init__(self) -> None:
        self._ears: dict[str, set[Ear]] = {}

    def announce(self, topic: str) -> None:
        """Tell everybody in this process who listens."""
        for ear in self._ears.get(topic, ()):
            ear.hear()

    @contextmanager
    def listening(self, topic: str) -> Iterator[Ear]:
        """An ear for the topic while the context lasts."""
        ear = Ear()
        self._ears.setdefault(topic, set()).add(ear)
        try:
            yield ear
        finally:
            left = self._ears[topic]
            left.discard(ear)
            if not left:
                del self._ears[topic]

    def announce_all(self) -> None:
        """Hints may have been missed: everybody looks."""
        for topic in tuple(self._ears):
            self.announce(topic)


@asynccontextmanager
async def open_dispatch(redis_url: str) -> AsyncIterator[LocalDispatch]:
    """Hints within this process, and by Redis between processes when there is a URL. It need not be there yet."""
    if not redis_url:
        yield LocalDispatch()
        return
    from batch.redis_dispatch import RedisDispatch  # its library takes a while to load, and most servers have no Redis

    dispatch = RedisDispatch(redis_url)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(dispatch.run(), name="hints by Redis")
        try:
            yield dispatch
        finally:
            dispatch.close()
            running.cancel()
