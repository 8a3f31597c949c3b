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
    def line(self) -> object:
        """What stands in line: its session, or it alone."""
        return self.session or self.key

    @property
    def cost(self) -> float:
        """What it takes of the engine, in seconds of sound."""
        return self.seconds + _FIXED_S

    def fail(self, error: Exception) -> None:
        """There will be no answer; harmless when nobody waits any more."""
        if not self.answer.done():
            self.answer.set_exception(error)


class _Turns:
    """The clock of a fair queue: what each session would have got by now, had all with work been served at once."""

    def __init__(self) -> None:
        self._now = 0.0
        self._done_at: dict[object, float] = {}  # all that a session asked for, of those it is not done for by now

    def take(self, session: object, cost: float) -> float:
        """When a request would be done, behind the others of its session."""
        done_at = self._done_at[session] = max(self._now, self._done_at.get(session, 0.0)) + cost
        return done_at

    def give_back(self, session: object, cost: float) -> None:
        """A request will not be made after all."""
        if session in self._done_at:
            self._done_at[session] -= cost

    def work(self, amount: float) -> None:
        """So much was done, of whatever session: each has its share of it, until it is done."""
        while amount > 0 and self._done_at:
            sessions, nearest = len(self._done_at), min(self._done_at.values())
            step = min(amount, max(0.0, nearest - self._now) * sessions)
            self._now, amount = self._now + step / sessions, amount - step
            if step == 0 or self._now >= nearest:
                self._now = max(self._now, nearest)
                self._done_at = {one: at for one, at in self._done_at.items() if at > self._now}


class Waiting:
    """What is to be done, at most ``most`` requests and ``most_bytes`` of sound."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._queues: dict[Priority, dict[object, Request]] = {priority: {} for priority in Priority}
        self._again: list[Request] = []  # to be tried once more, each alone; they were counted when they came
        self._bytes = 0
        self._turns = {priority: _Turns() for priority in Priority}

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
            request.done_at = self._turns[request.priority].take(request.line, request.cost)
        queue[request.key] = request  # in the older one's place, so that a chatty session is not served more often
        self._bytes += size
        if older is not None:
            older.fail(Superseded())

    def add_again(self, request: Request) -> None:
        """It failed through no known fault of its own: next, and alone."""
        self._again.append(request)

    def remove(self, request: Request) -> None:
        """Nobody wants it any more; harmless when it has been taken."""
        if self._queues[request.priority].get(request.key) is request:
            self._turns[request.priority].give_back(request.line, request.cost)
            self._drop(request)
        elif request in self._again:
            self._again.remove(request)

    def _drop(self, request: Request) -> None:
        queue = self._queues[request.priority]
        del queue[request.key]
        self._bytes -= len(request.decode.pcm)
        if not queue:
            self._turns[request.priority] = _Turns()  # nobody is behind anybody

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
        self._turns[priority].work(sum(request.cost for request in batch))
        for request in batch:
            self._drop(request)
        return batch
