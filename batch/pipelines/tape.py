"""Speech on its way to a file: pieces joined without clicks, kept on disk, and evened out when all of it is known.

What a long text sounds like takes an hour of samples, so they lie in a file from the first pass to the second, which
gives every speaker the same loudness and encodes. All calls here block; none keeps more than a piece in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.encode_file import FileEncoder
from engines.resample import resample_file
from protocol.audio import pcm_size

_QUIET = 64  # of 32768: what an engine's own silence stays under
_MARGIN_S = 0.015  # of it left around speech
_FADE_S = 0.004
_BLOCK_S = 0.05  # over which loudness is taken
_SPEECH = 0.01  # root mean square from which a block is speech
_PEAK = 0.97
_PIECE_S = 2.0  # read, scaled and encoded at a time

Samples = NDArray[np.int16]


@dataclass(slots=True)
class _Level:
    """How loud a speaker is."""

    energy: float = 0.0
    blocks: int = 0
    peak: float = 0.0

    def add(self, sound: Samples, rate: int) -> None:
        """Count some of the speech."""
        block = max(1, round(_BLOCK_S * rate))
        whole = sound[: len(sound) // block * block].reshape(-1, block).astype(np.float32) / 32768
        means = (whole**2).mean(axis=1)
        loud = means[means > _SPEECH**2]
        self.energy += float(loud.sum())
        self.blocks += len(loud)
        if len(sound):
            self.peak = max(self.peak, float(np.abs(sound.astype(np.int32)).max()) / 32768)

    @property
    def loudness(self) -> float:
        """Root mean square of the speech; 0 when there was none."""
        return float(np.sqrt(self.energy / self.blocks)) if self.blocks else 0.0


class Tape:
    """Mono s16le at ``rate`` Hz in a file at ``path``; ``close`` it. Speakers are told apart by any number."""

    def __init__(self, path: Path, rate: int) -> None:
        self.rate = rate
        self.samples = 0
        self._path = path
        self._file = path.open("wb")
        self._spans: list[tuple[int, int]] = []  # where a span begins, and whose it is
        self._levels: dict[int, _Level] = {}

    @property
    def seconds(self) -> float:
        """How long it is so far."""
        return self.samples / self.rate

    def speak(self, pcm: bytes, rate: int, speaker: int = 0) -> None:
        """Add speech, without the silence around it."""
        self.add(trimmed(resample_file(pcm, rate, self.rate), self.rate), speaker)

    def add(self, pcm: bytes, speaker: int = 0) -> None:
        """Add speech at the tape's rate as it is."""
        sound = np.frombuffer(pcm, "<i2")
        if not len(sound):
            return
        if not self._spans or self._spans[-1][1] != speaker:
            self._spans.append((self.samples, speaker))
        self._levels.setdefault(speaker, _Level()).add(sound, self.rate)
        self._put(pcm)

    def pause(self, seconds: float) -> None:
        """Add silence; less than none is none."""
        left = pcm_size(max(0.0, seconds), self.rate)
        while left:
            size = min(left, pcm_size(_PIECE_S, self.rate))
            self._put(bytes(size))
            left -= size

    def encode(self, encoder: FileEncoder, tell: Callable[[float], None]) -> None:
        """Everything into a file, all speakers as loud as each other; ``tell`` hears the share that is done."""
        self._file.flush()
        gains = self._gains()
        bounds = [*(start for start, _ in self._spans[1:]), self.samples] if self._spans else []
        done = 0
        with self._path.open("rb") as file:
            for (_, speaker), end in zip(self._spans, bounds, strict=True):
                while done < end:
                    size = min(end - done, round(_PIECE_S * self.rate))
                    encoder.write(_scaled(file.read(2 * size), gains[speaker]))
                    done += size
                    tell(done / self.samples)
            encoder.write(file.read())  # a tape of silence has no spans

    def close(self) -> None:
        """Forget the sound; the file goes with its directory."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _put(self, pcm: bytes) -> None:
        self._file.write(pcm)
        self.samples += len(pcm) // 2

    def _gains(self) -> dict[int, float]:
        """By speaker: to the loudness they have in the middle, or the most at which none of them clips."""
        heard = {speaker: level for speaker, level in self._levels.items() if level.loudness}
        gains = dict.fromkeys(self._levels, 1.0)
        if len(heard) < 2:
            return gains
        middle = float(np.median([level.loudness for level in heard.values()]))
        most = min(level.loudness * _PEAK / level.peak for level in heard.values())
        return gains | {speaker: min(middle, most) / level.loudness for speaker, level in heard.items()}


def trimmed(pcm: bytes, rate: int) -> bytes:
    """Speech from its first sound to its last, faded in and out over a moment."""
    sound = np.frombuffer(pcm, "<i2")
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) >= _QUIET)
    if not len(loud):
        return b""
    margin, fade = round(_MARGIN_S * rate), round(_FADE_S * rate)
    kept = sound[max(0, loud[0] - margin) : loud[-1] + 1 + margin].astype(np.float32)
    fade = min(fade, len(kept) // 2)
    if fade:
        slope = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        kept[:fade] *= slope
        kept[-fade:] *= slope[::-1]
    return bytes(kept.astype("<i2").tobytes())


def _scaled(pcm: bytes, gain: float) -> bytes:
    if gain == 1.0:
        return pcm
    louder = np.frombuffer(pcm, "<i2").astype(np.float32) * gain
    return bytes(np.clip(np.rint(louder), -32768, 32767).astype("<i2").tobytes())
