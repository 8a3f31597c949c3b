"""Who is recognised next: requests of all sessions wait here for their turn at one recogniser.

Finals go first, then partials, then synchronous calls, then batch work; finals of many sessions in turns that are fair
(``engines.waiting``). Requests of different sessions that are ready together share a call where the engine gains from
it. Under load partials become rarer, then new sessions are refused by ``admit()``; sessions that were admitted keep
getting their finals.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.base import Capabilities, Observer
from engines.frames import BUFFERS
from engines.host import EngineHost, Unobserved
from engines.load import Cost, Delay, Fading, Load, PartialBudget
from engines.waiting import Request, Superseded, Waiting
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis, Priority

__all__ = ["Scheduler", "SchedulerLimits", "Seat", "Superseded"]

_log = logging.getLogger(__name__)

_TAU_S = 10.0  # what "lately" means for the load
_DUTY = 0.25  # share of its time a session just admitted is taken to speak, until its work is measured
_ATTEMPTS = 2  # a request that fells the engine twice is answered with an error
_REPLACED_S = 5.0  # a dead engine is replaced within this; after it, new sessions are refused


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """How much may wait, and when the engine counts as full."""

    queue: int = 256  # requests waiting
    queue_bytes: int = 64 << 20  # of their sound
    slice_s: float = 0.15  # longest call of partials or batch work: a final may have to wait for it
    final_slice_s: float = 1.0  # longest call of several finals: what they gain together, the next one may have to wait
    most_partials: float = 0.5  # share of the engine's time for partials while finals do not wait ...
    least_partials: float = 0.1  # ... and while they do
    calm_s: float = 0.05  # finals "do not wait" up to here
    strained_s: float = 0.4  # finals "do wait" from here on
    busy_delay_s: float = 1.0  # refuse new sessions when finals wait longer
    busy_utilisation: float = 0.85  # or take more of the engine's time than this
    retry_after_s: int = 5  # what the refused are told


class Seat:
    """One session of a recogniser's, from its admission until it is over: meanwhile it is expected to ask for work."""

    __slots__ = ("_admitted_at", "_arrivals", "_now", "scheduler")

    def __init__(self, scheduler: "Scheduler", arrivals: Fading, now: Callable[[], float]) -> None:
        self.scheduler = scheduler
        self._arrivals: Fading | None = arrivals
        self._now = now
        self._admitted_at = now()
        arrivals.add(1.0, self._admitted_at)

    def leave(self) -> None:
        """It will ask for nothing more."""
        if self._arrivals is not None:
            self._arrivals.take_back(1.0, self._admitted_at, self._now())
            self._arrivals = None


class Scheduler:
    """The queue of one recogniser. Run ``run()`` in a TaskGroup; ask ``recognize()`` from anywhere."""

    def __init__(
        self,
        hosts: Sequence[EngineHost],
        *,
        observer: Observer | None = None,
        now: Callable[[], float] = time.monotonic,
        limits: SchedulerLimits | None = None,
    ) -> None:
        self._hosts = tuple(hosts)
        self._observer: Observer = observer or Unobserved()
        self._now = now
        self._limits = it = limits or SchedulerLimits()
        self._waiting = Waiting(it.queue, it.queue_bytes)
        self._wake = asyncio.Event()
        # Partials are short, greedy or incremental: what they cost says nothing of a final.
        self._partial_cost, self._final_cost = Cost(1.0, 1.0), Cost(1.0, 1.0)
        self._delay = Delay()
        self._worked, self._worked_finals, self._heard = Fading(_TAU_S), Fading(_TAU_S), Fading(_TAU_S)
        self._arrivals = Fading(_TAU_S)
        share = len(self._hosts)
        self._budget = PartialBudget(
            it.most_partials * share, it.least_partials * share, it.calm_s, it.strained_s, it.slice_s
        )
        self._dead_since: float | None = None
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        """What the recogniser can do."""
        return self._hosts[0].capabilities

    @property
    def alive(self) -> bool:
        """A process of the recogniser is there to work."""
        return any(host.alive for host in self._hosts)

    # -- from sessions -------------------------------------------------------------------------------

    async def recognize(
        self, decode: Decode, *, priority: Priority, session: str = "", supersede: bool = False
    ) -> Hypothesis:
        """Wait for the answer. Cancelled before its turn, the request is forgotten.

        ``supersede``: an older request of this session and priority that was not begun makes room, and its caller gets
        Superseded. Raises VoiceError: BUSY when too much is waiting, else what became of the engine.
        """
        if self._closed:
            raise VoiceError(Code.SHUTTING_DOWN, "the server is stopping")
        key: object = session if supersede and session else object()
        answer: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()
        request = Request(decode, priority, key, self._now(), answer, session)
        self._waiting.add(request, self._limits.retry_after_s)
        self._wake.set()
        try:
            return await request.answer
        except asyncio.CancelledError:
            self._waiting.remove(request)
            raise

    def admit(self) -> Seat:
        """Count a session more, until it leaves; raises what ``check`` does."""
        self.check()
        return Seat(self, self._arrivals, self._now)

    def check(self) -> None:
        """Raise BUSY, with ``retry_after``, when one more session would be one too many; MODEL_LOADING when the engine
        rested and is being started for this one, or is not back from a fall."""
        now, limits = self._now(), self._limits
        if self.alive:
            self._dead_since = None
        else:
            self._wake_or_wait(now)
        # What finals take of the engine's time by measurement, and what the sessions of the last seconds will add.
        expected = self._final_cost.expect(1.0, 0) if self._final_cost.known else 0.0
        utilisation = self._worked_finals.rate(now) + self._arrivals.read(now) * _DUTY * expected
        if (
            self._final_delay(now) > limits.busy_delay_s
            or utilisation > limits.busy_utilisation * len(self._hosts)
        ):
            raise VoiceError(Code.BUSY, "the server is full; try again soon", retry_after=limits.retry_after_s)

    def _wake_or_wait(self, now: float) -> None:
        """Nobody is there to work: start who rests; wait a moment for who fell."""
        for host in self._hosts:
            host.wake()
        if waking := next((host for host in self._hosts if host.waking), None):
            raise waking.loading
        if self._dead_since is None:
            self._dead_since = now
        elif now - self._dead_since > _REPLACED_S:
            raise self._hosts[0].loading

    def load(self) -> Load:
        """How the recogniser does, lately."""
        now = self._now()
        heard = self._heard.read(now)
        factor = self._worked.read(now) / heard if heard > 1e-3 else 0.0
        return Load(self._final_delay(now), factor, min(1.0, self._worked.rate(now) / len(self._hosts)))

    def _final_delay(self, now: float) -> float:
        oldest = self._waiting.first(Priority.FINAL)
        return max(self._delay.read(now), now - oldest.queued_at if oldest is not None else 0.0)

    # -- the work ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled; then whoever still waits is told that the server stops."""
        try:
            async with asyncio.TaskGroup() as group:
                for host in self._hosts:
                    group.create_task(self._work(host), name=f"recognise on {host.spec.name}")
        finally:
            self._closed = True
            for request in list(self._waiting):
                self._waiting.remove(request)
                request.fail(VoiceError(Code.SHUTTING_DOWN, "the server is stopping"))

    async def _work(self, host: EngineHost) -> None:
        while True:
            if host.resting and self.alive:  # it is not needed while the others are there
                self._wake.clear()
                await self._wake.wait()
                continue
            if not host.alive and self.alive:
                with contextlib.suppress(VoiceError):
                    await host.wait_alive()  # the others do the work meanwhile
                continue
            self._wake.clear()
            partials_in = self._partials_wait()
            batch = self._waiting.take(min(self.capabilities.batch, BUFFERS), self._fits, partials=not partials_in)
            if batch:
                await self._call(host, batch)
                continue
            idle = self._waiting.first(Priority.PARTIAL) is None
            try:
                async with asyncio.timeout(None if idle else partials_in):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _partials_wait(self) -> float:
        now = self._now()
        return self._budget.wait(self._final_delay(now), now)

    def _fits(self, priority: Priority, seconds: float, requests: int) -> bool:
        short = priority in (Priority.PARTIAL, Priority.BATCH)
        longest = self._limits.slice_s if short else self._limits.final_slice_s
        return self._cost(priority).expect(seconds, requests) <= longest

    def _cost(self, priority: Priority) -> Cost:
        # Until a partial was measured, what finals cost is the better guess, and too much rather than too little.
        return self._partial_cost if priority is Priority.PARTIAL and self._partial_cost.known else self._final_cost

    async def _call(self, host: EngineHost, batch: list[Request]) -> None:
        priority, seconds = batch[0].priority, sum(request.seconds for request in batch)
        try:
            await host.wait_alive()
            started = self._now()
            for request in batch:
                self._observer.waited(host.spec.name, priority.name.lower(), started - request.queued_at)
                if priority is Priority.FINAL:
                    self._delay.add(started - request.queued_at, started)
            expected_s = self._cost(priority).expect(seconds, len(batch))
            answers = await host.recognize([request.decode for request in batch], expected_s)
        except VoiceError as error:
            self._failed(batch, error)
        except asyncio.CancelledError:
            self._failed(batch, VoiceError(Code.SHUTTING_DOWN, "the server is stopping"))
            raise
        except Exception:  # noqa: BLE001 (a bug on one call must not end the work for all sessions)
            _log.exception("a call of %s broke", host.spec.name)
            self._failed(batch, VoiceError(Code.INTERNAL, "something went wrong in the server"))
        else:
            self._account(host, priority, self._now() - started, seconds, len(batch))
            for request, answer in zip(batch, answers, strict=True):
                if not request.answer.done():
                    request.answer.set_result(answer)

    def _account(self, host: EngineHost, priority: Priority, took: float, seconds: float, requests: int) -> None:
        now = self._now()
        self._observer.worked(host.spec.name, took, seconds, requests)
        (self._partial_cost if priority is Priority.PARTIAL else self._final_cost).add(took, seconds, requests)
        self._worked.add(took, now)
        self._heard.add(seconds, now)
        if priority is Priority.PARTIAL:
            self._budget.spend(took)
        else:
            self._worked_finals.add(took, now)

    def _failed(self, batch: list[Request], error: VoiceError) -> None:
        """Try again what may have been innocent: of a batch each alone; alone, once more if the engine died of it."""
        together = (Code.ENGINE_RESTARTED, Code.ENGINE_FAILED, Code.TOO_LARGE)
        recoverable = together if len(batch) > 1 else (Code.ENGINE_RESTARTED,)
        for request in batch:
            request.attempts += 1
            if error.code not in recoverable or request.attempts == _ATTEMPTS:
                request.fail(error)
            elif not request.answer.done():
                self._waiting.add_again(request)
