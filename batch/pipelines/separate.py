"""A recording to its voices and the rest (A58-A60): taken apart stretch by stretch, joined again, written as files.

Stretches overlap and are faded into each other, so that a joint is not heard, and what is faded still adds up to the
recording. One stretch is in memory at a time, however long the recording.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batch.artifacts import MEDIA_TYPES
from batch.pipelines.base import JobContext, Produced, ProducedFile, Tools
from batch.pipelines.patience import patiently
from engines.batch_lanes import BATCH_NICE
from engines.encode_file import FileEncoder
from engines.host import EngineHost
from protocol.work import Separating

RATE = 44_100
_CHANNELS = 2
_FRAME = 2 * _CHANNELS  # bytes
# Long enough to hold repeats of what is played, short enough for progress to move; a model says what it wants itself.
STRETCH_S = 40.0
OVERLAP_S = 2.0

Samples = npt.NDArray[np.int16]


async def run(work: Separating, context: JobContext, tools: Tools) -> Produced:
    """Take a recording apart."""
    separator = tools.fleet.separator(work.stems)
    path = await tools.media.decode(tools.uploads.path(work.upload), RATE, _CHANNELS, directory=context.directory)
    try:
        frames = path.stat().st_size // _FRAME
        async with separator.borrow() as host:
            files = await _separate(path, frames, work, context, host)
            engine = host.capabilities.engine
    finally:
        path.unlink(missing_ok=True)
    return Produced(files, engine=engine, seconds=frames / RATE)


async def _separate(
    path: Path, frames: int, work: Separating, context: JobContext, host: EngineHost
) -> tuple[ProducedFile, ...]:
    form, bitrate = work.delivery.format, work.delivery.bitrate
    every = not {"vocals", "instrumental"} >= set(work.stems)
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        # Encoding music takes as long as separating it: in a thread that gives way, like the engine.
        thread = stack.enter_context(ThreadPoolExecutor(1, "encode", _give_way))
        stems = {
            stem: _Stem(
                stack.enter_context(
                    FileEncoder(
                        context.directory / f"{stem}.{form}",
                        form,
                        RATE,
                        channels=_CHANNELS,
                        bitrate=1000 * bitrate if bitrate and form == "mp3" else None,
                    )
                ).write
            )
            for stem in work.stems
        }
        for start, count, last in plan(frames, host.capabilities.stretch_s or STRETCH_S):
            mix = await loop.run_in_executor(thread, _read, path, start, count)
            parts = await patiently(partial(host.separate, mix, RATE, _CHANNELS, every=every))
            for stem, writer in stems.items():
                part = await loop.run_in_executor(thread, part_of, parts, stem, work.stems)
                await loop.run_in_executor(thread, writer.add, part, last)
            context.progress((start + count) / max(frames, 1))
    return tuple(ProducedFile(stem, context.directory / f"{stem}.{form}", MEDIA_TYPES[form]) for stem in work.stems)


def plan(frames: int, stretch_s: float = STRETCH_S) -> Iterator[tuple[int, int, bool]]:
    """The stretches of a recording: first frame, number of frames, whether it is the last. Neighbours overlap."""
    longest, overlap = round(max(stretch_s, 2 * OVERLAP_S) * RATE), round(OVERLAP_S * RATE)
    start = 0
    while True:
        # What would be left over is added to the last one rather than heard without its surroundings.
        last = frames - start <= longest + longest // 2
        count = frames - start if last else longest
        yield start, count, last
        if last:
            return
        start += longest - overlap


def part_of(parts: Mapping[str, bytes], stem: str, stems: Sequence[str]) -> bytes:
    """A stem of a stretch. "other" is whatever none of ``stems`` is, and the instrumental whatever is not voice."""
    if stem in parts and stem != "other":
        return parts[stem]
    left_out = {"vocals"} if stem == "instrumental" else {one for one in stems if one != "other"}
    names = [name for name in parts if name not in left_out]
    if len(names) == 1:
        return parts[names[0]]
    total = np.zeros(len(parts["vocals"]) // 2, np.int32)
    for name in names:
        total += np.frombuffer(parts[name], "<i2")
    return bytes(np.clip(total, -32768, 32767).astype("<i2").tobytes())


class _Stem:
    """One stem's stretches, joined."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held: Samples = np.zeros((0, _CHANNELS), np.int16)  # the end of the last stretch, to be faded out

    def add(self, pcm: bytes, last: bool) -> None:
        """The next stretch."""
        samples = np.frombuffer(pcm, "<i2").reshape(-1, _CHANNELS)
        fading = len(self._held)
        share = (np.arange(fading, dtype=np.float32) + 0.5)[:, None] / np.float32(max(fading, 1))
        faded = np.rint(self._held * (1 - share) + samples[:fading] * share).astype("<i2")
        end = len(samples) - (0 if last else round(OVERLAP_S * RATE))
        self._write(faded.tobytes())
        self._write(samples[fading:end].tobytes())
        self._held = samples[end:]


def _read(path: Path, start: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start * _FRAME)
        return file.read(count * _FRAME)


def _give_way() -> None:
    if hasattr(os, "setpriority"):  # on Linux a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BATCH_NICE)
