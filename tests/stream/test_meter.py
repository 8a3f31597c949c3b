"""The metrics: what moves which."""

import asyncio
import time

from prometheus_client import CollectorRegistry, generate_latest

from engines.base import Observer
from protocol.errors import Code
from stream.meter import LAG_INTERVAL_S, Meter


def value(meter: Meter, name: str, **labels: str) -> float:
    return meter.registry.get_sample_value(name, labels) or 0.0


def test_sessions() -> None:
    meter = Meter(CollectorRegistry())
    with meter.session("listen"), meter.session("listen"):
        assert value(meter, "voxline_sessions", kind="listen") == 2
    assert value(meter, "voxline_sessions", kind="listen") == 0
    assert value(meter, "voxline_sessions_opened_total", kind="listen") == 2
    meter.closed("listen", None)
    meter.closed("listen", Code.TIMEOUT)
    assert value(meter, "voxline_sessions_ended_total", kind="listen", reason="done") == 1
    assert value(meter, "voxline_sessions_ended_total", kind="listen", reason="timeout") == 1
    meter.refused("listen", Code.BUSY)
    assert value(meter, "voxline_rejected_total", kind="listen", reason="busy") == 1


def test_engines() -> None:
    meter = Meter(CollectorRegistry())
    observer: Observer = meter
    observer.waited("faster-whisper", "final", 0.02)
    observer.worked("faster-whisper", 1.0, 2.0, 4)
    observer.worked("faster-whisper", 2.0, 2.0, 1)
    observer.worked("faster-whisper", 2.0, 0.0, 1)  # no audio: no factor
    observer.restarted("faster-whisper", "crashed")
    assert value(meter, "voxline_queue_delay_seconds_count", engine="faster-whisper", priority="final") == 1
    assert value(meter, "voxline_decode_seconds_sum", engine="faster-whisper") == 5.0
    assert value(meter, "voxline_realtime_factor", engine="faster-whisper") == 0.55
    assert value(meter, "voxline_engine_restarts_total", engine="faster-whisper", why="crashed") == 1


def test_latencies_are_exposed() -> None:
    meter = Meter(CollectorRegistry())
    meter.partial(0.1)
    meter.final(0.6)
    meter.first_audio(0.004)
    page = generate_latest(meter.registry).decode()
    for name in ("partial_latency", "final_latency", "first_audio"):
        assert f"voxline_{name}_seconds_count 1.0" in page


async def test_loop_lag_is_seen() -> None:
    meter = Meter(CollectorRegistry())
    watch = meter.watch_loop(asyncio.get_running_loop())
    try:
        time.sleep(LAG_INTERVAL_S + 0.05)  # noqa: ASYNC251  what the meter is for
        async with asyncio.timeout(5):
            while value(meter, "voxline_loop_lag_seconds_count") < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        watch.stop()
    assert value(meter, "voxline_loop_lag_seconds_sum") >= 0.04
