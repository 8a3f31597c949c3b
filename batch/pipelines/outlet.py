"""Treated sound on its way to the file that was asked for: made louder or quicker, at the rate the format can have."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import soxr

from batch.artifacts import MEDIA_TYPES
from batch.pipelines.base import ProducedFile
from batch.pipelines.passes import Take, Tell
from engines.encode_file import AAC_RATES, FileEncoder, FileFormat

_PIECE_S = 5.0  # encoded at a time


class Step(Protocol):
    """Something sound goes through, piece by piece (``Levelled``, ``Stretch``)."""

    def push(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Resampled:
    """Another rate, at soxr's high quality."""

    def __init__(self, rate: int, wanted: int, channels: int) -> None:
        self._channels = channels
        self._stream = soxr.ResampleStream(rate, wanted, channels, dtype="int16", quality="HQ")

    def push(self, pcm: bytes) -> bytes:
        """What is ready of the sound so far."""
        return self._through(pcm, last=False)

    def flush(self) -> bytes:
        """The rest."""
        return self._through(b"", last=True)

    def _through(self, pcm: bytes, *, last: bool) -> bytes:
        samples = np.frombuffer(pcm, "<i2").reshape(-1, self._channels)
        made = self._stream.resample_chunk(samples if self._channels > 1 else samples[:, 0], last=last)
        return bytes(made.astype("<i2").tobytes())


class Outlet:
    """A file for interleaved s16le at ``rate`` Hz. To be used in a ``with``: an exception in it removes the file."""

    def __init__(
        self,
        directory: Path,
        kind: FileFormat,
        rate: int,
        channels: int,
        *,
        wanted: int | None = None,
        bitrate: int | None = None,
        steps: Sequence[Step] = (),
        role: str = "audio",
    ) -> None:
        """``wanted`` is the file's rate, ``bitrate`` in kbit/s. BAD_REQUEST for what the format does not have."""
        final = wanted or rate
        self.file = ProducedFile(role, directory / f"{role}.{kind}", MEDIA_TYPES[kind])
        self._encoder = FileEncoder(
            self.file.path, kind, final, channels=channels, bitrate=1000 * bitrate if bitrate else None
        )
        self._steps = [*steps, *([Resampled(rate, final, channels)] if final != rate else [])]

    def write(self, pcm: bytes) -> None:
        """Add whole samples, of all channels. Blocks."""
        for step in self._steps:
            pcm = step.push(pcm)
        self._encoder.write(pcm)

    def __enter__(self) -> Self:
        self._encoder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException as failure:
            self._encoder.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._encoder.__exit__(kind, error, trace)

    def _finish(self) -> None:
        for index, step in enumerate(self._steps):
            rest = step.flush()
            for later in self._steps[index + 1 :]:
                rest = later.push(rest)
            self._encoder.write(rest)


async def copied(take: Take, outlet: Outlet, thread: ThreadPoolExecutor, tell: Tell) -> None:
    """All of a recording into an outlet, piece by piece, in ``thread``."""
    loop, piece = asyncio.get_running_loop(), round(_PIECE_S * take.rate)
    for at in range(0, take.frames, piece):
        await loop.run_in_executor(thread, partial(_copy, take, outlet, at, piece))
        tell(min(1.0, (at + piece) / take.frames))


def _copy(take: Take, outlet: Outlet, at: int, count: int) -> None:
    outlet.write(take.read(at, count))


def nearest_aac_rate(rate: int) -> int:
    """The lowest rate AAC has that loses nothing, or its highest."""
    return min((one for one in AAC_RATES if one >= rate), default=AAC_RATES[-1])
