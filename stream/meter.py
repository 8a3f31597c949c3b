"""What the server tells Prometheus: sessions, delays, latencies, engine work and the loop's own lag.

Instruments live in the registry that is passed in, so that a test or a second app has its own. Everything here is cheap
enough for once a message of text; nothing is counted once a frame of audio.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from protocol.errors import Code

# Seconds; live speech is judged between a few milliseconds and a few seconds.
LATENCY = (0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
LAG = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG_INTERVAL_S = 0.25  # often enough for a percentile of minutes; a server without work should use no CPU


class Meter:
    """The instruments, and the verbs that the live core moves them by; an ``engines.base.Observer`` too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.sessions = Gauge("voxline_sessions", "Live sessions", ["kind"], registry=registry)
        self.opened = Counter("voxline_sessions_opened", "Sessions accepted", ["kind"], registry=registry)
        self.ended = Counter("voxline_sessions_ended", "Sessions ended, by why", ["kind", "reason"], registry=registry)
        self.rejected = Counter("voxline_rejected", "Requests refused, by why", ["kind", "reason"], registry=registry)
        self.audio_in = Counter("voxline_audio_in_seconds", "Audio received", registry=registry)
        self.audio_out = Counter("voxline_audio_out_seconds", "Audio sent", registry=registry)
        self._partial = _latency(registry, "voxline_partial_latency", "Arrival of a partial's audio to the partial")
        self._final = _latency(registry, "voxline_final_latency", "Arrival of the end of speech to its final")
        self._first = _latency(registry, "voxline_first_audio", "Text to its first audio at the socket")
        self._delay = _latency(registry, "voxline_queue_delay", "Wait of an engine call", ("engine", "priority"))
        self._decode = _latency(registry, "voxline_decode", "Work of an engine call", ("engine",))
        self.batch = Histogram(
            "voxline_batch_size", "Requests an engine call carried", ["engine"], buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )  # fmt: skip
        self.factor = Gauge(
            "voxline_realtime_factor", "Seconds of work a second of audio cost lately", ["engine"], registry=registry
        )
        self.restarts = Counter("voxline_engine_restarts", "Engines replaced", ["engine", "why"], registry=registry)
        self._lag = Histogram(
            "voxline_loop_lag_seconds", "How late the event loop runs its timers", buckets=LAG, registry=registry
        )
        self._factors: dict[str, float] = {}

    # -- sessions --------------------------------------------------------------------------------

    @contextmanager
    def session(self, kind: str) -> Iterator[None]:
        """Count a session of ``kind`` ("listen", "speak") while it lasts."""
        self.opened.labels(kind).inc()
        gauge = self.sessions.labels(kind)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def closed(self, kind: str, reason: Code | None) -> None:
        """A session ended: with an error, or in order (None)."""
        self.ended.labels(kind, reason.value if reason is not None else "done").inc()

    def refused(self, kind: str, reason: Code) -> None:
        """A request or handshake was not let in."""
        self.rejected.labels(kind, reason.value).inc()

    # -- latencies -------------------------------------------------------------------------------

    def partial(self, seconds: float) -> None:
        """A partial was sent so long after the last audio it covers came in."""
        self._partial.observe(seconds)

    def final(self, seconds: float) -> None:
        """A final was sent so long after the end of its speech came in (the endpoint's silence included)."""
        self._final.observe(seconds)

    def first_audio(self, seconds: float) -> None:
        """The first sound of an utterance was sent so long after its text came in."""
        self._first.observe(seconds)

    # -- engines (engines.base.Observer) ---------------------------------------------------------

    def waited(self, engine: str, priority: str, seconds: float) -> None:
        """A call waited for its engine."""
        self._delay.labels(engine, priority).observe(seconds)

    def worked(self, engine: str, seconds: float, audio_seconds: float, batch: int) -> None:
        """A call of ``batch`` requests took ``seconds`` for that much audio."""
        self._decode.labels(engine).observe(seconds)
        self.batch.labels(engine).observe(batch)
        if audio_seconds > 0:
            factor = seconds / audio_seconds
            factor = 0.9 * self._factors.get(engine, factor) + 0.1 * factor
            self._factors[engine] = factor
            self.factor.labels(engine).set(factor)

    def restarted(self, engine: str, why: str) -> None:
        """An engine's process was replaced; ``why`` is one of a few words."""
        self.restarts.labels(engine, why).inc()

    # -- the loop --------------------------------------------------------------------------------

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> "LoopWatch":
        """Measure the lag of ``loop`` until the watch is stopped."""
        return LoopWatch(loop, self._lag)


class LoopWatch:
    """A timer that notes how late it is run."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lag: Histogram) -> None:
        self._loop = loop
        self._lag = lag
        self._due = loop.time() + LAG_INTERVAL_S
        self._timer = loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Measure no more."""
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        self._lag.observe(max(0.0, now - self._due))
        self._due = now + LAG_INTERVAL_S
        self._timer = self._loop.call_at(self._due, self._tick)


def _latency(registry: CollectorRegistry, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Histogram:
    return Histogram(f"{name}_seconds", help_text, labels, buckets=LATENCY, registry=registry)
