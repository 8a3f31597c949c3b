"""Sample-rate conversion: piece by piece for what is live, at once for what is a file.

Live sound goes through libswresample (a filter graph of PyAV's): 1 to 2 ms of lag, the same samples however the input
is cut. soxr is better still but releases sound in blocks of up to 115 ms, so it serves whole files only.
"""

from functools import partial

import av
import numpy as np
import soxr
from av.filter import Graph


class Resampler:
    """s16le mono at ``source`` Hz in, s16le mono at ``target`` Hz out. Equal rates cost nothing.

    ``push`` takes whole samples (a byte left over is the caller's to keep) and gives what is ready; ``flush`` gives
    the last milliseconds and leaves the resampler ready for the next, unrelated sound.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self._graph: Graph | None = None

    def push(self, pcm: bytes) -> bytes:
        """What is ready of the sound so far, at the target rate."""
        if self.source == self.target or not pcm:
            return pcm
        if self._graph is None:
            self._graph = _graph(self.source, self.target)
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate = self.source
        frame.planes[0].update(pcm)
        self._graph.push(frame)
        # No more than one frame comes for one that went in. To see that there is no other would cost as much again: an
        # exception. Should there ever be one, the next call gives it.
        return _pulled(self._graph) or b""

    def flush(self) -> bytes:
        """The rest of the sound; the next ``push`` begins a new one."""
        graph, self._graph = self._graph, None
        if graph is None:
            return b""
        graph.push(None)
        return b"".join(iter(partial(_pulled, graph), None))


def resample_file(pcm: bytes, source: int, target: int) -> bytes:
    """A whole sound at once, at soxr's high quality; s16le mono in and out."""
    if source == target or not pcm:
        return pcm
    return bytes(soxr.resample(np.frombuffer(pcm, "<i2"), source, target, quality="HQ").astype("<i2").tobytes())


def _graph(source: int, target: int) -> Graph:
    """What av.AudioResampler makes, but without a pool of threads (one for each CPU) for every stream."""
    graph = Graph()
    graph.threads = 1
    steps = (
        graph.add("abuffer", sample_rate=str(source), sample_fmt="s16", channel_layout="mono"),
        graph.add("aformat", sample_rates=str(target), sample_fmts="s16", channel_layouts="mono"),
        graph.add("abuffersink"),
    )
    graph.link_nodes(*steps).configure()
    return graph


def _pulled(graph: Graph) -> bytes | None:
    """The next samples that are ready; a plane's buffer is padded, so only what holds samples is taken."""
    try:
        frame = graph.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
    assert isinstance(frame, av.AudioFrame)
    return bytes(memoryview(frame.planes[0])[: 2 * frame.samples])
