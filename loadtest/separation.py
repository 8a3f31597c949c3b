"""What taking a recording apart costs: the classical method, the small Demucs, and one of the published size.

Speed does not depend on what the weights are, so a model of htdemucs' shape with random ones tells what the real one
costs on this machine; what it sounds like is another matter. Each engine runs in the process a server runs it in.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from engines import registry
from engines.host import EngineHost
from engines.registry import EngineSpec
from engines.supervisor import HostLimits
from loadtest.report import Report
from loadtest.stats import Row

RATE, CHANNELS = 44_100, 2
SMALL = Path(__file__).resolve().parent.parent / "tests" / "checkpoints" / "nano_demucs" / "model"
_NICE = 1  # its threads wait asleep then, as in a server; that gives way to more, and would measure the others
_SHORT_S = 2.0  # to warm up with
_CLASSICAL_S = 40.0  # the stretch the pipeline gives an engine that does not mind
_PATIENT = HostLimits(start_s=600.0, grace_s=1800.0, missed_beats=300)

#: htdemucs as it was published: 42 million parameters, 84 MB.
HTDEMUCS: dict[str, Any] = {
    "audio_channels": 2,
    "channels": 48,
    "growth": 2,
    "depth": 4,
    "nfft": 4096,
    "bottom_channels": 512,
    "t_layers": 5,
    "t_heads": 8,
    "dconv_mode": 3,
    "samplerate": RATE,
    "segment": {"_type": "fraction", "numerator": 39, "denominator": 5},
}
SOURCES = ("drums", "bass", "other", "vocals")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a stretch of sound."""

    seconds: float  # of sound
    wall_s: float
    cpu_s: float
    peak_bytes: int  # the most the process ever held

    def figures(self, classical: "Cost | None") -> dict[str, float]:
        """For a report."""
        found = {
            "wall_of_sound": self.wall_s / self.seconds,
            "cpu_of_sound": self.cpu_s / self.seconds,
            "peak_mib": self.peak_bytes / (1 << 20),
        }
        if classical is not None:
            found["cpu_of_classical"] = found["cpu_of_sound"] / (classical.cpu_s / classical.seconds)
        return found


def separation(report: Report, *, small: Path = SMALL) -> None:
    """Recordings taken apart: the classical method, a small Demucs, one of htdemucs' size; "streams" are threads."""
    yardstick = measure(classical())
    report.add(Row("separation, classical", 1, yardstick.figures(None)))
    for threads in (1, 2):
        cost = measure(demucs(small, threads))
        report.add(Row("separation, small Demucs", threads, cost.figures(yardstick)))

    def published(directory: Path) -> None:
        for threads in (1, 2):
            cost = measure(demucs(directory, threads))
            report.add(Row("separation, Demucs of htdemucs' size", threads, cost.figures(yardstick)))

    with_random_htdemucs(published)


def classical() -> EngineSpec:
    """The method without a model."""
    return _spec("repetition")


def demucs(directory: Path, threads: int, device: str = "cpu") -> EngineSpec:
    """Demucs with the weights of a directory."""
    return _spec("demucs").with_options(directory=str(directory.resolve()), threads=threads, device=device)


def measure(spec: EngineSpec) -> Cost:
    """One stretch of sound, of the length the engine likes, after a short one to warm up."""
    return asyncio.run(_measure(spec))


def with_random_htdemucs(use: Callable[[Path], None]) -> None:
    """Call ``use`` with a directory that holds a checkpoint of htdemucs' shape and random weights."""
    import torch
    from demucs.hf import _decode_json
    from demucs.htdemucs import HTDemucs
    from safetensors.torch import save_file

    from engines.separation.checkpoints import MODEL_CLASS

    torch.manual_seed(0)
    state = HTDemucs(list(SOURCES), **_decode_json(HTDEMUCS)).state_dict()
    metadata = {"klass": MODEL_CLASS, "args": json.dumps([list(SOURCES)]), "kwargs": json.dumps(HTDEMUCS)}
    with tempfile.TemporaryDirectory(prefix="voxline-htdemucs-") as folder:
        halves = {name: value.half().contiguous() for name, value in state.items()}
        save_file(halves, Path(folder) / "htdemucs.safetensors", metadata)
        del state, halves
        use(Path(folder))


async def _measure(spec: EngineSpec) -> Cost:
    host = EngineHost(spec, limits=_PATIENT)
    try:
        able = await host.start()
        await host.separate(_sound(_SHORT_S), RATE, CHANNELS)
        assert host.pid is not None
        process, seconds = psutil.Process(host.pid), able.stretch_s or _CLASSICAL_S
        began, before = time.monotonic(), process.cpu_times()
        await host.separate(_sound(seconds), RATE, CHANNELS)
        wall, after = time.monotonic() - began, process.cpu_times()
        cpu = after.user + after.system - before.user - before.system
        return Cost(seconds, wall, cpu, _peak(host.pid))
    finally:
        await host.aclose()


def _sound(seconds: float) -> bytes:
    samples = np.random.default_rng(0).normal(0, 3000, (round(seconds * RATE), CHANNELS))
    return bytes(samples.astype("<i2").tobytes())


def _peak(pid: int) -> int:
    """The most a process ever held, as Linux counts it; elsewhere what it holds now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) << 10
    return int(psutil.Process(pid).memory_info().rss)


def _spec(name: str) -> EngineSpec:
    return replace(next(spec for spec in registry.BUILT_IN if spec.name == name), nice=_NICE)
