"""Sample-rate conversion: piece by piece for what is live, at once for what is a file.

Live sound goes through libswresample (PyAV's AudioResampler): 1 to 2 ms of lag, the same samples however the input is
cut. soxr is better still but releases sound in blocks of up to 115 ms, so it serves whole files only.
"""

import av
import numpy as np
import soxr


class Resampler:
    """s16le mono at ``source`` Hz in, s16le mono at ``target`` Hz out. Equal rates cost nothing.

    ``push`` takes whole samples (a byte left over is the caller's to keep) and gives what is ready; ``flush`` gives
    the last milliseconds and leaves the resampler ready for the next, unrelated sound.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self._swr: av.AudioResampler | None = None

    def push(self, pcm: bytes) -> bytes:
        """What is ready of the sound so far, at the target rate."""
        if self.source == self.target or not pcm:
            return pcm
        if self._swr is None:
            self._swr = av.AudioResampler(format="s16", layout="mono", rate=self.target)
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate = self.source
        frame.planes[0].update(pcm)
        return _joined(self._swr.resample(frame))

    def flush(self) -> bytes:
        """The rest of the sound; the next ``push`` begins a new one."""
        swr, self._swr = self._swr, None
        return b"" if swr is None else _joined(swr.resample(None))


def resample_file(pcm: bytes, source: int, target: int) -> bytes:
    """A whole sound at once, at soxr's high quality; s16le mono in and out."""
    if source == target or not pcm:
        return pcm
    return bytes(soxr.resample(np.frombuffer(pcm, "<i2"), source, target, quality="HQ").astype("<i2").tobytes())


def _joined(frames: list[av.AudioFrame]) -> bytes:
    """The samples of the frames; a plane's buffer is padded, so only what holds samples is taken."""
    return b"".join(bytes(memoryview(frame.planes[0])[: 2 * frame.samples]) for frame in frames)
