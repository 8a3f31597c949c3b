"""Keeps one engine process alive: starts it, watches it, kills it when it is of no more use, starts the next.

A child is replaced when its pipe ends (it crashed), when it writes what no frame is, when it has not said for some
beats that it lives, when it holds too much memory, when a call takes too long, and when it fails one call after the
other. One that nobody has asked anything for ``EngineSpec.idle_s`` is ended, and started again by ``wake()``.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engines import wire
from engines.base import Capabilities, Observer
from engines.frames import Frame, Head, Kind, WireError
from engines.process import EngineProcess, launch
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError

_AT_REST = 8  # times as long until the next look: a server without work should use no CPU

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What a child may do before it is replaced; seconds."""

    start_s: float = 120.0  # to build its engine (a large model from a slow disk)
    grace_s: float = 10.0  # a call may take 3 x what it usually does, plus this (RELIABILITY.md, section 3)
    wait_s: float = 10.0  # how long a call waits for a child that is being replaced
    stop_s: float = 2.0  # to finish when the server stops
    beat_s: float = 2.0  # how often it says that it lives
    missed_beats: int = 4  # how many it may miss (a long call that holds the interpreter)
    bad_answers: int = 5  # in a row: no request can be at fault for all of them
    check_s: float = 0.25  # how often deadlines and memory are looked at while it works; at rest an eighth as often
    back_off_s: tuple[float, ...] = (0.0, 0.25, 1.0, 2.0, 5.0, 15.0, 30.0)  # before each restart without a good answer


class Caller(Protocol):
    """Who talks to the child."""

    def answered(self, frame: Frame) -> None: ...  # may raise WireError: the child is then replaced

    def lost(self, why: str) -> None: ...  # nothing asked so far will be answered

    def renewed(self) -> None: ...  # a child is there, and its engine warm

    def overdue(self, now: float) -> bool: ...  # a call has taken too long

    def idle(self, now: float) -> float: ...  # seconds since there was anything to do

    def excused(self, seconds: float) -> None: ...  # this process itself was held up so long: its deadlines move


class Supervisor:
    """One child after another; ``start()`` first, ``aclose()`` last."""

    def __init__(
        self, spec: EngineSpec, caller: Caller, observer: Observer, now: Callable[[], float], limits: HostLimits
    ) -> None:
        self.spec = spec
        self.limits = limits
        self.generation = 0  # counts the children
        self.capabilities: Capabilities | None = None
        self.alive = asyncio.Event()  # a child is there and its engine warm
        self.asleep = False  # there is none, since nobody needs one
        self.waking = False  # there was none, and one is on its way
        self.load_s = 0.0  # what it took to start the last one
        self.closing = False
        self._caller = caller
        self._observer = observer
        self._now = now
        self._process: EngineProcess | None = None
        self._ready: asyncio.Future[Capabilities] | None = None  # of the child being built
        self._lost = asyncio.Event()  # the child is gone, or there is to be none
        self._wanted = asyncio.Event()  # somebody needs one, or there is to be none
        self._why = ""
        self._failures = 0  # children in a row that never answered well
        self._bad_answers = 0  # of this child, in a row
        self._heard_at = 0.0
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def pid(self) -> int | None:
        """The child's process number."""
        return self._process.pid if self._process is not None else None

    def send(self, frame: Frame) -> None:
        """To the child, if there is one. Raises WireError for a frame over its limits."""
        if self._process is not None:
            self._process.pipe.send(frame)

    def wake(self) -> None:
        """Somebody needs a child; harmless while there is one."""
        if self.asleep:
            self.asleep, self.waking = False, True
            self._wanted.set()

    def resident_bytes(self) -> int:
        """Memory the child holds."""
        return self._process.resident_bytes() if self._process is not None else 0

    def did_well(self) -> None:
        """The child gave a good answer: should it fall, the next is started at once."""
        self._failures = self._bad_answers = 0

    def did_badly(self) -> None:
        """The child failed a call, or answered nonsense; with so many in a row it is taken to be broken."""
        self._bad_answers += 1
        if self._bad_answers == self.limits.bad_answers and self._process is not None:
            self.alive.clear()  # the next call waits for the next child
            self._process.kill("failed every call")

    async def start(self) -> Capabilities:
        """Start the first child and wait for its engine. Raises VoiceError when that cannot be built."""
        capabilities = await self._launch()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._tasks.create_task(self._supervise(), name=f"supervise {self.spec.name}")
        return capabilities

    async def aclose(self) -> None:
        """End the child and leave no process behind."""
        self.closing = True
        self.alive.clear()
        self._lost.set()
        self._wanted.set()
        if self._process is not None:
            self._process.pipe.close()
        if self._tasks is not None:
            tasks, self._tasks = self._tasks, None
            try:
                await tasks.__aexit__(None, None, None)
            finally:
                if self._process is not None:  # the closing itself was cut short
                    self._process.kill("closed")

    async def _launch(self) -> Capabilities:
        self.generation += 1
        self._bad_answers = 0
        self._lost.clear()
        generation, ready = self.generation, asyncio.get_running_loop().create_future()
        self._ready, began = ready, self._now()
        try:
            self._process = await launch(
                self.spec, self.limits.beat_s, self._heard, lambda why: self._pipe_ended(generation, why)
            )
            if self.closing:
                raise VoiceError(Code.SHUTTING_DOWN, "the server is stopping")
            async with asyncio.timeout(self.limits.start_s):
                self.capabilities = await ready
            if self._lost.is_set():  # it fell right behind its first word
                raise VoiceError(Code.ENGINE_FAILED, f"{self.spec.name} does not start")
        except BaseException as error:
            await self._bury("not started")
            if isinstance(error, TimeoutError):
                raise VoiceError(Code.MODEL_LOADING, f"{self.spec.name} takes too long to load") from None
            raise
        finally:
            self._ready = None
        self._heard_at = self._now()
        self.load_s, self.waking = self._heard_at - began, False
        self.alive.set()
        self._caller.renewed()
        return self.capabilities

    async def _bury(self, why: str, patience_s: float = 0.0) -> None:
        process, self._process = self._process, None
        if process is not None:
            if not patience_s:
                process.kill(why)
            await process.reap(patience_s or self.limits.stop_s)

    async def _supervise(self) -> None:
        while not self.closing:
            if await self._child_is_lost():
                await self._replace()
            elif self.spec.idle_s and self.alive.is_set() and self._caller.idle(self._now()) > self.spec.idle_s:
                await self._sleep()
        await self._bury("closed", self.limits.stop_s)

    async def _child_is_lost(self) -> bool:
        """Wait a moment for the child's end; see to deadlines, beats and memory meanwhile."""
        before = self._now()
        patience = self.limits.check_s * (_AT_REST if self._caller.idle(before) else 1)
        if await self._woken_within(patience):
            return not self.closing
        late = self._now() - before - patience
        if late > 1.0:  # what the child said while this process was held up may still be unread
            self._heard_at += late
            self._caller.excused(late)
        if self._process is not None and (why := self._fault(self._process)):
            self._process.kill(why)
        return False

    async def _woken_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        except TimeoutError:
            return False
        return True

    def _fault(self, process: EngineProcess) -> str:
        now = self._now()
        if self._caller.overdue(now):
            return "hung"
        if now - self._heard_at > self.limits.beat_s * self.limits.missed_beats:
            return "fell silent"
        return "outgrew its memory" if process.resident_bytes() > self.spec.memory_bytes else ""

    async def _sleep(self) -> None:
        """Until somebody needs a child again."""
        _log.info("engine %s is not needed; it is ended until it is", self.spec.name)
        self._wanted.clear()
        self.asleep = True
        self.alive.clear()
        if self._process is not None:
            self._process.pipe.close()
        await self._bury("idle", self.limits.stop_s)
        await self._wanted.wait()
        await self._renew()

    async def _replace(self) -> None:
        self._observer.restarted(self.spec.name, self._why)
        _log.warning("engine %s (process %s) %s; replacing it", self.spec.name, self.pid, self._why)
        await self._bury(self._why)
        await self._renew()

    async def _renew(self) -> None:
        while not self.closing:
            delays = self.limits.back_off_s
            delay = delays[min(self._failures, len(delays) - 1)]
            self._failures += 1
            self._lost.clear()  # there is no child: only aclose() can set it now
            if delay and await self._woken_within(delay):
                return
            try:
                await self._launch()
                return
            except (VoiceError, OSError) as error:
                _log.error("engine %s does not start again: %s", self.spec.name, error)

    def _pipe_ended(self, generation: int, why: str) -> None:
        if generation != self.generation:
            return
        self._why = why
        self.alive.clear()
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(VoiceError(Code.ENGINE_FAILED, f"{self.spec.name} does not start"))
        self._caller.lost(why)
        self._lost.set()

    def _heard(self, frame: Frame) -> None:
        self._heard_at = self._now()
        if frame.kind is Kind.BEAT:
            return
        if self._ready is None:
            self._caller.answered(frame)
        elif self._ready.done():
            raise WireError("an answer to no call")
        elif frame.kind is Kind.READY:
            self._ready.set_result(wire.read_capabilities(frame.head))
        else:
            self._ready.set_exception(self._not_built(frame.head))

    def _not_built(self, head: Head) -> VoiceError:
        note(self.spec.name, head)
        error = wire.read_error(head)
        if error.code is not Code.ENGINE_FAILED or "raised" not in head:
            return error  # the engine says itself what is wrong
        return VoiceError(Code.ENGINE_FAILED, f"{self.spec.name} cannot be loaded", install=self.spec.install)


def note(engine: str, head: Head) -> None:
    """Log what a child says it raised, and where; it sends no text that could hold somebody's words."""
    raised, at, reason = (str(head.get(key, ""))[:200] for key in ("raised", "at", "reason"))
    if raised:
        _log.warning("engine %s raised %s at %s %s", engine, raised, at, reason)
