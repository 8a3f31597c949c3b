"""Decoded frames of any shape to s16le of one shape: what av.AudioResampler does, without its threads.

(Its filter graph starts a pool of them, one for each CPU, in every process that reads a file.)
"""

from collections.abc import Iterator

import av
from av.audio.frame import AudioFrame
from av.filter import Graph

_LAYOUTS = {1: "mono", 2: "stereo"}


class Conversion:
    """Frames in, interleaved s16le at ``rate`` Hz out, in one or two ``channels``.

    A change of rate or layout in mid-stream begins a new conversion. Time stamps are not looked at: a gap is not filled
    with silence, nor an overlap cut.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self._channels = channels
        self._shape: tuple[str, str, int] | None = None
        self._graph: Graph | None = None

    def push(self, frame: AudioFrame) -> Iterator[bytes]:
        """What is ready of the sound so far."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            yield from self.finish()
            self._shape = shape
            self._graph = self._open(frame)
        frame.pts = None
        if self._graph is None:
            yield self._samples(frame)
            return
        self._graph.push(frame)
        yield from self._pulled(self._graph)

    def finish(self) -> Iterator[bytes]:
        """The rest of it."""
        graph, self._graph, self._shape = self._graph, None, None
        if graph is not None:
            graph.push(None)
            yield from self._pulled(graph)

    def _open(self, frame: AudioFrame) -> Graph | None:
        """None where there is nothing to do. Mono is doubled afterwards: libswresample would make it 3 dB quieter."""
        layout = _LAYOUTS[min(self._channels, frame.layout.nb_channels)]
        wanted = ("s16", layout, self._rate)
        if self._shape == wanted:
            return None
        graph = Graph()
        graph.threads = 1
        name, given, rate = frame.format.name, frame.layout.name, frame.sample_rate
        steps = (
            graph.add("abuffer", sample_rate=str(rate), sample_fmt=name, channel_layout=given),
            graph.add("aformat", sample_rates=str(self._rate), sample_fmts="s16", channel_layouts=layout),
            graph.add("abuffersink"),
        )
        graph.link_nodes(*steps).configure()
        return graph

    def _pulled(self, graph: Graph) -> Iterator[bytes]:
        while True:
            try:
                frame = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield self._samples(frame)

    def _samples(self, frame: AudioFrame) -> bytes:
        """A plane's buffer is padded, so only what holds samples is taken."""
        given = frame.layout.nb_channels
        pcm = bytes(memoryview(frame.planes[0])[: 2 * given * frame.samples])
        if given == self._channels:
            return pcm
        doubled = bytearray(2 * len(pcm))
        for at in range(4):
            doubled[at::4] = pcm[at % 2 :: 2]
        return bytes(doubled)
