"""Requests that wait for a recogniser: bounded, ordered by priority, the newer of a session in place of its older.

Of one priority the sessions share the engine fairly, however much each asks for: the next request is the one that
would be done first if all sessions were served at once, each at the same rate (weighted fair queueing: Demers, Keshav
and Shenker, 1989). So who sends a long recording as fast as it is read waits for himself, and hardly for whom others
wait. Partials need no such order: a session has one at most.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from engines.wire import BYTES_A_SECOND
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis, Priority


class Superseded(Exception):
    """A newer request of the same session took this one's place before it was begun."""


_FIXED_S = 1.0  # what any request costs, as sound: no decode is cheaper than a second's


@dataclass(slots=True, eq=False)
class Request:
    """One decode and who waits for it."""

    decode: Decode
    priority: Priority
    key: object  # the session when it supersedes, else something unique
    queued_at: float
    answer: asyncio.Future[Hypothesis]
    session: str = ""  # with which it shares a turn; "" for none
    attempts: int = 0
    done_at: float = 0.0  # when it would be done, on the queue's own clock

    @property
    def seconds(self) -> float:
        """Of sound."""
        return len(self.decode.pcm) / BYTES_A_SECOND

    @property
    def cost(self) -> float:
        """What it takes of the engine, in seconds of sound."""
        return self.seconds + _FIXED_S

    def fail(self, error: Exception) -> None:
        """There will be no answer; harmless when nobody waits any more."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Waiting:
    """What is to be done, at most ``most`` requests and ``most_bytes`` of sound."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._queues: dict[Priority, dict[object, Request]] = {priority: {} for priority in Priority}
        self._again: list[Request] = []  # to be tried once more, each alone; they were counted when they came
        self._bytes = 0
        # For each priority, the work that every session that waits would have got by now, had all been served at once.
        self._served = dict.fromkeys(Priority, 0.0)

    def __len__(self) -> int:
        return sum(map(len, self._queues.values())) + len(self._again)

    def __iter__(self) -> Iterator[Request]:
        yield from self._again
        for queue in self._queues.values():
            yield from queue.values()

    def add(self, request: Request, retry_after_s: int) -> None:
        """Let it wait; raises BUSY when too much does. One of the same key makes room, and gets Superseded."""
        queue = self._queues[request.priority]
        older = queue.get(request.key)
        size = len(request.decode.pcm) - (len(older.decode.pcm) if older is not None else 0)
        if (older is None and len(self) >= self._most) or self._bytes + size > self._most_bytes:
            raise VoiceError(Code.BUSY, "too much is waiting to be recognised", retry_after=retry_after_s)
        if request.priority is not Priority.PARTIAL:
            request.done_at = self._after(queue, request) + request.cost
        queue[request.key] = request  # in the older one's place, so that a chatty session is not served more often
        self._bytes += size
        if older is not None:
            older.fail(Superseded())

    def _after(self, queue: dict[object, Request], request: Request) -> float:
        """When the turn of its session begins: now, or after what else of it waits."""
        own = (one.done_at for one in queue.values() if one.session == request.session) if request.session else ()
        return max(own, default=self._served[request.priority])

    def add_again(self, request: Request) -> None:
        """It failed through no known fault of its own: next, and alone."""
        self._again.append(request)

    def remove(self, request: Request) -> None:
        """Nobody wants it any more; harmless when it has been taken."""
        queue = self._queues[request.priority]
        if queue.get(request.key) is request:
            del queue[request.key]
            self._bytes -= len(request.decode.pcm)
        elif request in self._again:
            self._again.remove(request)

    def first(self, priority: Priority) -> Request | None:
        """The one that has waited longest."""
        return next(iter(self._queues[priority].values()), None)

    def take(self, most: int, fits: Callable[[Priority, float, int], bool], partials: bool) -> list[Request]:
        """The requests of the next call, all of one priority; partials only if ``partials``.

        ``fits(priority, seconds, requests)`` says whether a call of so much is short enough; a single one always is.
        """
        if self._again:
            return [self._again.pop(0)]
        for priority, queue in self._queues.items():
            if queue and (partials or priority is not Priority.PARTIAL):
                return self._cut(priority, queue, most, fits)
        return []

    def _cut(
        self,
        priority: Priority,
        queue: dict[object, Request],
        most: int,
        fits: Callable[[Priority, float, int], bool],
    ) -> list[Request]:
        batch: list[Request] = []
        seconds = 0.0
        for request in nsmallest(most, queue.values(), key=lambda one: one.done_at):
            seconds += request.seconds
            if batch and not fits(priority, seconds, len(batch) + 1):
                break
            batch.append(request)
        sessions = len({one.session or one for one in queue.values()})
        for request in batch:
            self._served[priority] += request.cost / sessions
            self.remove(request)
        return batch
