"""A recording to its voices and the rest (A58-A60): taken apart stretch by stretch, joined again, written as files.

Stretches overlap and are faded into each other, so that a joint is not heard, and what is faded still adds up to the
recording. One stretch is in memory at a time, however long the recording.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np

from batch.artifacts import MEDIA_TYPES
from batch.pipelines.base import JobContext, Produced, ProducedFile, Tools
from batch.pipelines.passes import Joint, Take, cuts, recording, side_thread
from batch.pipelines.patience import patiently
from engines.encode_file import FileEncoder
from engines.host import EngineHost
from protocol.work import Separating

RATE = 44_100
_CHANNELS = 2
# Long enough to hold repeats of what is played, short enough for progress to move; a model says what it wants itself.
STRETCH_S = 40.0
OVERLAP_S = 2.0


async def run(work: Separating, context: JobContext, tools: Tools) -> Produced:
    """Take a recording apart."""
    separator = tools.fleet.separator(work.stems)
    async with recording(work.upload, context, tools, rate=RATE, channels=_CHANNELS) as take:
        async with separator.borrow() as host:
            files = await _separate(take, work, context, host)
            engine = host.capabilities.engine
        return Produced(files, engine=engine, seconds=take.seconds)


async def _separate(take: Take, work: Separating, context: JobContext, host: EngineHost) -> tuple[ProducedFile, ...]:
    form, bitrate = work.delivery.format, work.delivery.bitrate
    every = not {"vocals", "instrumental"} >= set(work.stems)
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        thread = stack.enter_context(side_thread())  # encoding music takes as long as separating it
        stems = {
            stem: Joint(
                stack.enter_context(
                    FileEncoder(
                        context.directory / f"{stem}.{form}",
                        form,
                        RATE,
                        channels=_CHANNELS,
                        bitrate=1000 * bitrate if bitrate and form == "mp3" else None,
                    )
                ).write,
                _CHANNELS,
                round(OVERLAP_S * RATE),
                round(OVERLAP_S * RATE),
            )
            for stem in work.stems
        }
        for start, count, last in plan(take.frames, host.capabilities.stretch_s or STRETCH_S):
            mix = await loop.run_in_executor(thread, take.read, start, count)
            parts = await patiently(partial(host.separate, mix, RATE, _CHANNELS, every=every))
            for stem, writer in stems.items():
                part = await loop.run_in_executor(thread, part_of, parts, stem, work.stems)
                await loop.run_in_executor(thread, writer.add, part, last)
            context.progress((start + count) / max(take.frames, 1))
    return tuple(ProducedFile(stem, context.directory / f"{stem}.{form}", MEDIA_TYPES[form]) for stem in work.stems)


def plan(frames: int, stretch_s: float = STRETCH_S) -> Iterator[tuple[int, int, bool]]:
    """The stretches of a recording: first frame, number of frames, whether it is the last. Neighbours overlap."""
    return cuts(frames, RATE, stretch_s, OVERLAP_S)


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
