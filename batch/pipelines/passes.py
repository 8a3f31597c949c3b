"""A recording through a tool for sound: cut into stretches, treated one by one, joined again.

Stretches overlap. The second of two neighbours hears some of the first to find in, and they are faded into each other
near the end of what they share, or where it is quietest. One stretch is in memory at a time, however long the
recording.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batch.media import sound_of
from batch.pipelines.base import JobContext, Tools
from batch.pipelines.patience import patiently
from engines.batch_lanes import BATCH_NICE
from engines.host import EngineHost

STRETCH_S = 40.0  # long enough to know a room or a noise by, short enough for progress to move
OVERLAP_S = 3.0
FADE_S = 0.5
_QUIET_FADE_S = 0.03
_RATE, _CHANNELS = 44_100, 2  # of an upload that is a file yet
_BLOCK_S = 0.01

Samples = npt.NDArray[np.int16]
Tell = Callable[[float], None]  # the share that is done


@dataclass(frozen=True, slots=True)
class Take:
    """A recording as interleaved s16le in a file."""

    path: Path
    rate: int
    channels: int

    @property
    def frames(self) -> int:
        """Samples of each channel."""
        return self.path.stat().st_size // (2 * self.channels)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.rate

    def read(self, start: int, count: int) -> bytes:
        """Some of it, from a frame on."""
        size = 2 * self.channels
        with self.path.open("rb") as file:
            file.seek(start * size)
            return file.read(count * size)


@asynccontextmanager
async def recording(
    upload: str, context: JobContext, tools: Tools, *, rate: int | None = None, channels: int | None = None
) -> AsyncIterator[Take]:
    """An upload's sound for the length of a block, of the shape it was kept in unless another one is wanted."""
    source = tools.uploads.path(upload)
    kept = sound_of(source)
    rate = rate or (kept.rate if kept else _RATE)
    channels = channels or (kept.channels if kept else _CHANNELS)
    async with decoded(source, context, tools, rate=rate, channels=channels) as take:
        yield take


@asynccontextmanager
async def decoded(
    source: Path, context: JobContext, tools: Tools, *, rate: int, channels: int = 1
) -> AsyncIterator[Take]:
    """A file's sound, for the length of a block."""
    path = await tools.media.decode(source, rate, channels, directory=context.directory)
    try:
        yield Take(path, rate, channels)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def side_thread() -> Iterator[ThreadPoolExecutor]:
    """A thread for what takes time beside the engine: files, encoding. It gives way to live sessions as that does."""
    with ThreadPoolExecutor(1, "encode", _give_way) as thread:
        yield thread


def cuts(frames: int, rate: int, stretch_s: float, overlap_s: float) -> Iterator[tuple[int, int, bool]]:
    """The stretches of a recording: first frame, number of frames, whether it is the last. Neighbours overlap."""
    longest, overlap = round(max(stretch_s, 2 * overlap_s) * rate), round(overlap_s * rate)
    start = 0
    while True:
        # What would be left over is added to the last one rather than heard without its surroundings.
        last = frames - start <= longest + longest // 2
        count = frames - start if last else longest
        yield start, count, last
        if last:
            return
        start += longest - overlap


class Joint:
    """Stretches of sound, joined: whole samples go out by ``write``."""

    def __init__(
        self, write: Callable[[bytes], object], channels: int, overlap: int, fade: int, *, quiet: int = 0
    ) -> None:
        self._write = write
        self._channels = channels
        self._overlap = overlap  # frames
        self._fade = min(fade, overlap)
        self._quiet = quiet  # frames of which the quietest in a row are where to fade; 0: at the end of the overlap
        self._held: Samples = np.zeros((0, channels), np.int16)  # the end of the last stretch, to be faded out

    def add(self, pcm: bytes, last: bool) -> None:
        """The next stretch."""
        samples = np.frombuffer(pcm, "<i2").reshape(-1, self._channels)
        begun = 0
        if len(self._held):
            fading = min(self._fade, len(samples), len(self._held))
            at = self._place(fading)
            share = (np.arange(fading, dtype=np.float32) + 0.5)[:, None] / np.float32(max(fading, 1))
            old, new = self._held[at : at + fading], samples[at : at + fading]
            self._write(self._held[:at].tobytes())
            self._write(np.rint(old * (1 - share) + new * share).astype("<i2").tobytes())
            begun = at + fading
        end = len(samples) - (0 if last else self._overlap)
        self._write(samples[begun:end].tobytes())
        self._held = samples[end:]

    def _place(self, fading: int) -> int:
        latest = len(self._held) - fading
        if not self._quiet or latest <= 0:
            return max(0, latest)
        block = max(1, self._quiet)
        whole = self._held[: len(self._held) // block * block].astype(np.float32)
        level = (whole.reshape(-1, block * self._channels) ** 2).sum(axis=1)
        return min(latest, int(np.argmin(level)) * block)


async def listen(
    take: Take, host: EngineHost, order: Mapping[str, object], tell: Tell
) -> list[Mapping[str, object]]:
    """What a tool hears in each stretch of a recording; they do not overlap."""
    heard: list[Mapping[str, object]] = []
    for start, count, _ in cuts(take.frames, take.rate, STRETCH_S, 0.0):
        pcm = await asyncio.to_thread(take.read, start, count)
        heard.append((await patiently(partial(host.treat, pcm, take.rate, take.channels, order))).facts)
        tell((start + count) / max(take.frames, 1))
    return heard


async def treat(
    take: Take,
    host: EngineHost,
    order: Mapping[str, object],
    tell: Tell,
    write: Callable[[bytes], object],
    thread: ThreadPoolExecutor,
    *,
    rate: int | None = None,
    channels: int | None = None,
    in_pauses: bool = False,
) -> list[Mapping[str, object]]:
    """A recording treated and joined; what comes goes to ``write``, in ``thread``. Returns what the tool tells of it.

    ``rate`` and ``channels`` are those of what comes, where they differ. ``in_pauses``: neighbours meet where it is
    quietest, since they do not match sample by sample.
    """
    rate, channels = rate or take.rate, channels or take.channels
    fade_s = _QUIET_FADE_S if in_pauses else FADE_S
    joint = Joint(
        write,
        channels,
        round(OVERLAP_S * rate),
        round(fade_s * rate),
        quiet=round(_BLOCK_S * rate) if in_pauses else 0,
    )
    loop, told = asyncio.get_running_loop(), list[Mapping[str, object]]()
    for start, count, last in cuts(take.frames, take.rate, STRETCH_S, OVERLAP_S):
        pcm = await loop.run_in_executor(thread, take.read, start, count)
        treated = await patiently(partial(host.treat, pcm, take.rate, take.channels, order))
        told.append(treated.facts)
        await loop.run_in_executor(thread, joint.add, treated.pcm, last)
        tell((start + count) / max(take.frames, 1))
    return told


def _give_way() -> None:
    if hasattr(os, "setpriority"):  # on Linux a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BATCH_NICE)
