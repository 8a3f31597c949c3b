"""Tempo beyond what an engine can do itself, at the same pitch: libavfilter's atempo (WSOLA), piece by piece."""

import math

import av
from av.filter import Graph

_LOWEST = 0.5  # what one atempo can do; slower takes several in a row


class Stretch:
    """s16le mono at ``rate`` Hz in; the same, ``tempo`` times as fast, out."""

    def __init__(self, rate: int, tempo: float) -> None:
        self._rate = rate
        self._graph = Graph()
        count = max(1, math.ceil(math.log(tempo, _LOWEST))) if tempo < 1 else 1
        source = self._graph.add_abuffer(sample_rate=rate, format="s16", layout="mono")
        stages = [self._graph.add("atempo", f"{tempo ** (1 / count):.6f}") for _ in range(count)]
        stages += [self._graph.add("aformat", "sample_fmts=s16"), self._graph.add("abuffersink")]
        for before, after in zip([source, *stages], stages, strict=False):
            before.link_to(after)
        self._graph.configure()

    def push(self, pcm: bytes) -> bytes:
        """What is ready of the sound so far."""
        if not pcm:
            return b""
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate = self._rate
        frame.planes[0].update(pcm)
        self._graph.push(frame)
        return self._pull()

    def flush(self) -> bytes:
        """The rest; nothing may be pushed after it."""
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> bytes:
        parts: list[bytes] = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return b"".join(parts)
            assert isinstance(frame, av.AudioFrame)
            parts.append(bytes(frame.planes[0])[: 2 * frame.samples])
