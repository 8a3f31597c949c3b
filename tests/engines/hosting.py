"""For tests with real children: a host for the length of a block, and proof that nothing was left behind."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engines.host import EngineHost
from engines.registry import EngineSpec
from engines.supervisor import HostLimits

# Impatient, so that a hang is a matter of a second. A freshly started interpreter needs some time on a busy machine.
QUICK = HostLimits(start_s=30, grace_s=1.0, wait_s=20, stop_s=1.0, beat_s=0.2, missed_beats=8, check_s=0.05)
PATIENCE_S = 20.0


@dataclass
class Notes:
    """An Observer that remembers."""

    waits: list[tuple[str, str]] = field(default_factory=list)
    works: list[tuple[str, float, int]] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)

    def waited(self, engine: str, priority: str, seconds: float) -> None:
        assert seconds >= 0
        self.waits.append((engine, priority))

    def worked(self, engine: str, seconds: float, audio_seconds: float, batch: int) -> None:
        assert seconds >= 0
        self.works.append((engine, audio_seconds, batch))

    def restarted(self, engine: str, why: str) -> None:
        self.restarts.append(why)


@asynccontextmanager
async def hosting(
    spec: EngineSpec, notes: Notes | None = None, limits: HostLimits = QUICK
) -> AsyncIterator[EngineHost]:
    """A started host."""
    host = EngineHost(spec, observer=notes, limits=limits)
    with nothing_left():
        try:
            await host.start()
            yield host
        finally:
            await host.aclose()


@contextmanager
def nothing_left() -> Iterator[None]:
    """No descriptor and no process more at the end than at the beginning."""
    descriptors, processes = open_descriptors(), children()
    yield
    assert children() <= processes
    assert open_descriptors() <= descriptors + 1  # the loop may have opened its own meanwhile


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def children() -> set[int]:
    """The process numbers of this process's children, dead ones that nobody waited for included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ended since they were listed
            found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def gone(pid: int) -> bool:
    """There is no such process, or only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # or it went between opening and reading
        return True


async def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition nobody signals; fails when it takes too long."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)
