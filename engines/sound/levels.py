"""How loud a recording is to a listener (EBU R 128, by libavfilter's ebur128), and bringing it to a target."""

import math
from itertools import pairwise

import av
import numpy as np
from av.filter import Graph

TARGET_LUFS = -16.0  # what speech on phones and in players is mixed to
PEAK_DB = -1.0  # nothing passes it
_SILENCE_LUFS = -69.0  # the scale's own end is -70
_MOST_DB = 30.0
_LAYOUTS = {1: "mono", 2: "stereo"}


class Loudness:
    """Interleaved s16le goes in; ``lufs`` is how loud all of it was."""

    def __init__(self, rate: int, channels: int) -> None:
        self.peak = 0.0
        self._rate, self._channels = rate, channels
        self._graph = _graph(rate, channels, [("ebur128", "metadata=1")])
        self._lufs = -math.inf

    @property
    def lufs(self) -> float:
        """The integrated loudness; minus infinity for silence."""
        return self._lufs if self._lufs > _SILENCE_LUFS else -math.inf

    def add(self, pcm: bytes) -> None:
        """Some more."""
        if not pcm:
            return
        samples = np.frombuffer(pcm, "<i2")
        self.peak = max(self.peak, float(np.abs(samples.astype(np.int32)).max()) / 32768)
        self._graph.push(_frame(samples, self._rate, self._channels))
        while (frame := _pull(self._graph)) is not None:
            said = frame.metadata.get("lavfi.r128.I")
            if said is not None:
                self._lufs = float(said)

    def gain_db(self, target: float = TARGET_LUFS) -> float:
        """What brings it to a target; 0 for silence."""
        return 0.0 if self.lufs == -math.inf else min(_MOST_DB, target - self.lufs)


class Levelled:
    """Interleaved s16le in; the same ``gain_db`` louder out, its peaks held under ``PEAK_DB`` by a limiter."""

    def __init__(self, rate: int, channels: int, gain_db: float) -> None:
        self._rate, self._channels = rate, channels
        limit = 10 ** (PEAK_DB / 20)
        self._graph = _graph(
            rate,
            channels,
            [
                ("aformat", "sample_fmts=dbl"),
                ("volume", f"volume={gain_db:.3f}dB:precision=double"),
                ("alimiter", f"limit={limit:.5f}:level=0:attack=5:release=80:latency=1"),
                ("aformat", "sample_fmts=s16"),
            ],
        )

    def push(self, pcm: bytes) -> bytes:
        """What is ready of the sound so far."""
        if not pcm:
            return b""
        self._graph.push(_frame(np.frombuffer(pcm, "<i2"), self._rate, self._channels))
        return self._ready()

    def flush(self) -> bytes:
        """The rest; nothing may be pushed after it."""
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> bytes:
        parts: list[bytes] = []
        while (frame := _pull(self._graph)) is not None:
            parts.append(bytes(frame.planes[0])[: 2 * self._channels * frame.samples])
        return b"".join(parts)


def _graph(rate: int, channels: int, filters: list[tuple[str, str]]) -> Graph:
    graph = Graph()
    graph.threads = 1
    steps = [graph.add_abuffer(sample_rate=rate, format="s16", layout=_LAYOUTS[channels])]
    steps += [graph.add(name, options) for name, options in filters]
    steps.append(graph.add("abuffersink"))
    for before, after in pairwise(steps):
        before.link_to(after)
    graph.configure()
    return graph


def _frame(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate: int, channels: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", _LAYOUTS[channels])
    frame.sample_rate = rate
    return frame


def _pull(graph: Graph) -> av.AudioFrame | None:
    try:
        frame = graph.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
    assert isinstance(frame, av.AudioFrame)
    return frame
