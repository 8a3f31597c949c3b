"""What a file of sound is, found by decoding it with another library than the server's encoders."""

import io
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound: how it was written, and its samples (mono, -1 to 1)."""

    codec: str
    rate: int
    channels: int
    samples: npt.NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    @property
    def loudness(self) -> float:
        """Root mean square."""
        return float(np.sqrt(np.mean(self.samples**2)))


def hear(sound: bytes | Path) -> Heard:
    """Decode it, all of it."""
    with av.open(io.BytesIO(sound if isinstance(sound, bytes) else sound.read_bytes())) as file:
        stream = file.streams.audio[0]
        codec, rate, channels = stream.codec_context.name, stream.rate, stream.channels
        plain = av.AudioResampler("fltp")
        pieces = [part.to_ndarray().mean(axis=0) for frame in file.decode(stream) for part in plain.resample(frame)]
    return Heard(codec, rate, channels, np.concatenate(pieces))
