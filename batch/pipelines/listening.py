"""A recording of any length, looked at piece by piece: its samples, where speech is, where it is quiet."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batch.pipelines.patience import patiently
from batch.pipelines.stretches import LONGEST_S, Stretch
from engines.host import EngineHost
from engines.vad.batch import WINDOW

RATE = 16_000
_CONTEXT = 64  # samples of the window before, which the detector sees again
_STATE_BYTES = 4 * 2 * 128  # of one stream
_STREAMS = 16  # places of a recording that are judged together: a window costs a third of what it does alone
_ROUNDS = 16  # windows of each place in one call
_SHORTEST = 30 * RATE // WINDOW  # windows of one place
_WARM_UP = 2 * RATE // WINDOW  # windows before its place a stream hears, to find in
_QUIET_FROM = 0.7  # without a detector: a window of LONGEST_S is cut in its last part ...
_BLOCK = RATE // 20  # ... in the quietest 50 ms

Samples = npt.NDArray[np.int16]


class Recording:
    """16 kHz mono s16le in a file; only what is asked for is in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.samples = path.stat().st_size // 2

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / RATE

    def read(self, start: int, count: int) -> Samples:
        """Samples from ``start`` on, with zeros for those before the beginning and after the end."""
        first, last = max(start, 0), min(start + count, self.samples)
        samples = np.zeros(count, np.int16)
        if last > first:
            with self._path.open("rb") as file:
                file.seek(2 * first)
                samples[first - start : last - start] = np.frombuffer(file.read(2 * (last - first)), "<i2")
        return samples

    def pcm(self, stretch: Stretch) -> bytes:
        """The sound of a stretch."""
        start = max(0, round(stretch.start * RATE))
        return self.read(start, min(round(stretch.end * RATE), self.samples) - start).astype("<i2").tobytes()

    def quiet_cuts(self) -> Iterator[Stretch]:
        """All of it, in pieces cut where it is quietest. To be read in a thread: it reads the file."""
        start, longest = 0, round(LONGEST_S * RATE)
        while start < self.samples:
            end = min(start + longest, self.samples)
            if end < self.samples:
                tail = self.read(start + round(_QUIET_FROM * longest), longest - round(_QUIET_FROM * longest))
                blocks = tail[: len(tail) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float32)
                end += int(((blocks**2).sum(axis=1).argmin() + 0.5) * _BLOCK) - len(tail)
            yield Stretch(start / RATE, end / RATE)
            start = end


async def speech(recording: Recording, detector: EngineHost, tell: Callable[[float], None]) -> list[float]:
    """How likely each 32 ms of a recording are speech. Several places of it are judged side by side."""
    windows = -(-recording.samples // WINDOW)
    streams = max(1, min(_STREAMS, windows // _SHORTEST))
    share = -(-windows // streams)
    state = bytes(_STATE_BYTES * streams)
    judged = np.zeros((streams, share), np.float32)
    for at in range(-_WARM_UP if streams > 1 else 0, share, _ROUNDS):
        asked = await asyncio.to_thread(_windows, recording, [stream * share + at for stream in range(streams)])
        answer, state = await patiently(detector.detect, asked, state)
        found = np.frombuffer(answer, np.float32).reshape(_ROUNDS, streams).T
        if at + _ROUNDS > 0:
            first = max(at, 0)
            judged[:, first : at + _ROUNDS] = found[:, first - at : share - at]
            tell(min(at + _ROUNDS, share) / share)
    return [float(probability) for probability in judged.reshape(-1)[:windows]]


def _windows(recording: Recording, places: list[int]) -> bytes:
    """The next windows from each place, round by round, as ``engines.base.SpeechDetector`` wants them."""
    rows = [recording.read(place * WINDOW - _CONTEXT, _ROUNDS * WINDOW + _CONTEXT) for place in places]
    cut = np.lib.stride_tricks.sliding_window_view(np.stack(rows), WINDOW + _CONTEXT, axis=1)[:, ::WINDOW]
    return (cut.transpose(1, 0, 2).astype(np.float32) / np.float32(32768)).tobytes()
