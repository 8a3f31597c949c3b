"""Who speaks next: clauses of all sessions wait here for one of a synthesiser's processes.

Clause by clause and first come, first served within a priority: a session that sends one clause after the other shares
the engine fairly with the rest. The engine is free again when a clause is made, not when it has been listened to. One
that gains from it (``Capabilities.batch``) makes several at a time, of as many sessions.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Sequence

from engines.base import Capabilities, Observer
from engines.frames import BUFFERS
from engines.host import EngineHost, Unobserved
from engines.load import Cost
from engines.speech import SpeechStream
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Reference, Speak, SpeechChunk

_QUEUE = 256  # clauses waiting
WAIT_S = 10.0
_RETRY_AFTER_S = 2
_SHORT = 5_000  # characters of a clause that is made together with others: it fits into a frame
_AGAIN = 1 << 60  # puts a clause that is made again before all others of its priority


class _Clause(SpeechStream):
    """A clause that waits, then is made; made again, alone, if its call failed before the first sound and another's
    clause or the process itself may have been why."""

    def __init__(self, queue: "SynthesisQueue", request: Speak, priority: Priority, queued_at: float) -> None:
        super().__init__(request)
        self.priority = priority
        self.queued_at = queued_at
        self.began_at = 0.0
        self.engine = ""
        self.attempts = 0
        self.in_company = False  # made together with others, one of which may be at fault
        self.waits = False
        self.seconds = 0.0  # of sound
        self.patience: asyncio.TimerHandle | None = None
        self._queue = queue

    def add(self, chunk: SpeechChunk) -> None:
        self.seconds += len(chunk.pcm) / (2 * chunk.rate)
        super().add(chunk)

    def end(self) -> None:
        if not self.ended and self.engine:
            self._queue.finished(self)
        super().end()

    def fail(self, error: VoiceError) -> None:
        innocent = (Code.ENGINE_RESTARTED, Code.ENGINE_FAILED) if self.in_company else (Code.ENGINE_RESTARTED,)
        if error.code in innocent and self.attempts == 1 and not self.emitted and not self.ended:
            self._queue.put(self)
        else:
            self.engine = ""  # a failure is no measure of how long work takes
            super().fail(error)


class SynthesisQueue:
    """The queue of one synthesiser and its processes."""

    def __init__(
        self,
        hosts: Sequence[EngineHost],
        *,
        observer: Observer | None = None,
        now: Callable[[], float] = time.monotonic,
        wait_s: float = WAIT_S,
    ) -> None:
        self._hosts = tuple(hosts)
        self._wait_s = wait_s  # the longest wait for a turn
        self._observer: Observer = observer or Unobserved()
        self._now = now
        self._heap: list[tuple[Priority, int, _Clause]] = []
        self._count = 0
        self._cost = Cost(0.05, 20.0)  # seconds a character
        self._closed = False
        for host in self._hosts:
            host.call_when_free(self._pump)

    @property
    def capabilities(self) -> Capabilities:
        """What the synthesiser can do."""
        return self._hosts[0].capabilities

    @property
    def alive(self) -> bool:
        """A process of the synthesiser is there to work."""
        return any(host.alive for host in self._hosts)

    def speak(self, request: Speak, *, priority: Priority) -> SpeechStream:
        """Have a clause made, begun at once if a process is free. Errors (BUSY among them) come from the iteration."""
        clause = _Clause(self, request, priority, self._now())
        if self._closed:
            clause.fail(VoiceError(Code.SHUTTING_DOWN, "the server is stopping"))
        elif len(self._heap) >= _QUEUE:
            clause.fail(VoiceError(Code.BUSY, "too much is waiting to be spoken", retry_after=_RETRY_AFTER_S))
        elif (loading := self._loading()) and priority is not Priority.BATCH:
            clause.fail(loading)
        else:
            self.put(clause)
        return clause

    def _loading(self) -> VoiceError | None:
        """What to tell who cannot wait, where the model had been put away for want of work: it is being loaded."""
        if self.alive:
            return None
        for host in self._hosts:
            host.wake()
        return next((host.loading for host in self._hosts if host.waking), None)

    async def clone(self, reference: Reference) -> bytes:
        """What ``Speak.prompt`` takes, made by a process that is free, if one is; once more if that one falls."""
        for again in (True, False):
            host = next((host for host in self._hosts if host.free), self._hosts[0])
            try:
                return await host.clone(reference)
            except VoiceError as error:
                if error.code is not Code.ENGINE_RESTARTED or not again:
                    raise
        raise AssertionError("the second attempt returns or raises")

    def close(self) -> None:
        """Fail what waits; the hosts fail what they work on."""
        self._closed = True
        heap, self._heap = self._heap, []
        for _, _, clause in heap:
            self._forget(clause)
            clause.fail(VoiceError(Code.SHUTTING_DOWN, "the server is stopping"))

    # -- called by clauses -----------------------------------------------------------------------------

    def put(self, clause: _Clause) -> None:
        """Let a clause wait for its turn; one that is made again goes before all of its priority."""
        if self._closed:
            clause.attempts += 1
            clause.fail(VoiceError(Code.SHUTTING_DOWN, "the server is stopping"))
            return
        self._count += 1
        place = self._count - (_AGAIN if clause.attempts else 0)
        clause.waits = True
        clause.cancel = lambda: self._drop(clause)
        heapq.heappush(self._heap, (clause.priority, place, clause))
        self._pump()
        if clause.waits:
            clause.patience = asyncio.get_running_loop().call_later(self._wait_s, self._give_up, clause)

    def finished(self, clause: _Clause) -> None:
        """All of a clause was made."""
        took = self._now() - clause.began_at
        self._cost.add(took, len(clause.request.text), 1)
        self._observer.worked(clause.engine, took, clause.seconds, 1)

    def _pump(self) -> None:
        for host in self._hosts:
            while self._heap and host.free:
                clauses = self._next(min(host.capabilities.batch, BUFFERS))
                for clause in clauses:
                    self._forget(clause)
                    clause.in_company = len(clauses) > 1
                    clause.attempts += 1
                    clause.began_at, clause.engine = self._now(), host.spec.name
                    waited_s = clause.began_at - clause.queued_at
                    self._observer.waited(clause.engine, clause.priority.name.lower(), waited_s)
                expected_s = self._cost.expect(sum(len(clause.request.text) for clause in clauses), len(clauses))
                company = {"together": len(clauses)} if len(clauses) > 1 else {}
                for clause in clauses:
                    host.speak(clause.request, clause, expected_s, **company)

    def _next(self, most: int) -> list[_Clause]:
        """The clauses of the next call: the first in line, and those behind it that can be made in the same way."""
        _, _, first = heapq.heappop(self._heap)
        found = [first]
        if most > 1 and self._heap and not first.attempts and len(first.request.text) <= _SHORT:
            alike = [entry for entry in sorted(self._heap) if _alike(first, entry[2])][: most - 1]
            found += [entry[2] for entry in alike]
            if alike:
                self._heap = [entry for entry in self._heap if entry not in alike]
                heapq.heapify(self._heap)
        return found

    def _give_up(self, clause: _Clause) -> None:
        if self._drop(clause):
            message = "the speech engine is too busy" if self.alive else "the speech engine is being replaced"
            clause.attempts = 2
            clause.fail(VoiceError(Code.BUSY, message, retry_after=_RETRY_AFTER_S))

    def _drop(self, clause: _Clause) -> bool:
        if not clause.waits:
            return False
        self._forget(clause)
        self._heap = [entry for entry in self._heap if entry[2] is not clause]
        heapq.heapify(self._heap)
        return True

    def _forget(self, clause: _Clause) -> None:
        clause.waits = False
        if clause.patience is not None:
            clause.patience.cancel()
            clause.patience = None


def _alike(one: _Clause, other: _Clause) -> bool:
    same = one.priority is other.priority and one.request.diffusion == other.request.diffusion
    return same and not other.attempts and len(other.request.text) <= _SHORT
