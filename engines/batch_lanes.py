"""Engines for batch work: processes of low priority, there only while they are used.

A call of an engine cannot be interrupted, and one window of a large model takes seconds, so a file on the live engine
would be felt by everybody who speaks. A second process costs the model's memory once more, for as long as there is
work and ``idle_s`` longer, and nothing of the live sessions' time: it runs when they leave the CPU idle. Where that is
no help the live engine is shared after all: on a GPU, where memory is dear and a call short, and in a process that
does batch work only, whose engines are nice already.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from engines.base import Observer
from engines.host import EngineHost, Unobserved
from engines.on_demand import Lender, OnDemand, Standing
from engines.registry import EngineSpec
from engines.scheduler import Scheduler, SchedulerLimits
from engines.supervisor import HostLimits
from engines.synthesis_queue import SynthesisQueue

BATCH_NICE = 10
IDLE_S = 60.0
# While live sessions take every CPU, such a process gets a small share of one: it must not pass for hung or dead then.
PATIENT = HostLimits(start_s=600.0, grace_s=300.0, wait_s=60.0, missed_beats=60)
_OF_BATCH = " (batch)"  # behind an engine's name, in logs and metrics
_TURN_S = 300.0  # how long a phrase waits for those of other jobs
_SCHEDULING = SchedulerLimits(slice_s=5.0)  # of a call; nobody waits for it


class BatchLanes:
    """What is lent to batch work. Once all that can be lent is known, run ``work()`` until ``close()``."""

    def __init__(
        self,
        *,
        observer: Observer | None = None,
        now: Callable[[], float] = time.monotonic,
        limits: HostLimits | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self.idle_s = idle_s  # how long an engine nobody uses is kept; may be changed at any time
        self.compute_type = ""  # of recognisers started from now on; "" = as their options say
        self.hosts: set[EngineHost] = set()  # the processes that are there now
        self._observer: Observer = observer or Unobserved()
        self._now = now
        self._limits = limits or PATIENT
        self._lanes: list[OnDemand[Any]] = []

    def held(self, engine: str) -> int:
        """Bytes that the processes of an engine for recordings hold now."""
        return sum(host.resident_bytes for host in self.hosts if host.spec.name.removesuffix(_OF_BATCH) == engine)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What starts and stops the engines."""
        return [lane.run() for lane in self._lanes]

    def close(self) -> None:
        """Stop them all; ``work()`` ends when that is done."""
        for lane in self._lanes:
            lane.close()

    def recognizer(self, spec: EngineSpec, live: Scheduler) -> Lender[Scheduler]:
        """Lends a recogniser as ``live`` is one."""
        if _serves_both(spec):
            return Standing(live)
        return self._lane(lambda: self._scheduler(self._recognizing(spec)))

    def transcriber(self, spec: EngineSpec) -> OnDemand[Scheduler]:
        """Lends a recogniser that nobody can speak to live."""
        return self._lane(lambda: self._scheduler(_nice(spec)))

    def speaker(self, spec: EngineSpec, live: SynthesisQueue) -> Lender[SynthesisQueue]:
        """Lends a synthesiser as ``live`` is one."""
        if _serves_both(spec):
            return Standing(live)
        return self._lane(lambda: self._speaking(_nice(spec)))

    def host(self, spec: EngineSpec, live: EngineHost | None = None) -> Lender[EngineHost]:
        """Lends an engine of another kind, ``live`` itself where there is one that may be shared."""
        if live is not None and _serves_both(spec):
            return Standing(live)
        return self._lane(lambda: self._started(_nice(spec)))

    def tool(self, spec: EngineSpec) -> OnDemand[EngineHost]:
        """Lends an engine that serves batch work only."""
        return self._lane(lambda: self._started(_nice(spec)))

    def _recognizing(self, spec: EngineSpec) -> EngineSpec:
        nice = _nice(spec)
        chosen = self.compute_type and "compute_type" in spec.options
        return nice.with_options(compute_type=self.compute_type) if chosen else nice

    def _lane(self, make: Callable[[], Any]) -> OnDemand[Any]:
        lane: OnDemand[Any] = OnDemand(make, lambda: self.idle_s, self._now)
        self._lanes.append(lane)
        return lane

    @asynccontextmanager
    async def _started(self, spec: EngineSpec) -> AsyncIterator[EngineHost]:
        host = EngineHost(spec, observer=self._observer, now=self._now, limits=self._limits)
        self.hosts.add(host)
        try:
            await host.start()
            yield host
        finally:
            await host.aclose()
            self.hosts.discard(host)

    @asynccontextmanager
    async def _scheduler(self, spec: EngineSpec) -> AsyncIterator[Scheduler]:
        async with self._started(spec) as host, asyncio.TaskGroup() as tasks:
            scheduler = Scheduler([host], observer=self._observer, now=self._now, limits=_SCHEDULING)
            work = tasks.create_task(scheduler.run(), name=f"schedule {spec.name}")
            try:
                yield scheduler
            finally:
                work.cancel()

    @asynccontextmanager
    async def _speaking(self, spec: EngineSpec) -> AsyncIterator[SynthesisQueue]:
        async with self._started(spec) as host:
            queue = SynthesisQueue([host], observer=self._observer, now=self._now, wait_s=_TURN_S)
            try:
                yield queue
            finally:
                queue.close()


def _serves_both(spec: EngineSpec) -> bool:
    return spec.nice > 0 or str(spec.options.get("device", "")).startswith("cuda")


def _nice(spec: EngineSpec) -> EngineSpec:
    return replace(spec, name=spec.name + _OF_BATCH, nice=max(spec.nice, BATCH_NICE), processes=1)
