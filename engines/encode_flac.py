"""PCM to FLAC as it comes, for a reply that is sent while it is made; how long it is, its header cannot say."""

import av
import numpy as np
from av.audio.stream import AudioStream

from engines.encode import Tail

MEDIA_TYPE = "audio/flac"


class FlacEncoder:
    """s16le mono at ``rate`` Hz in, a FLAC stream out, frame by frame."""

    def __init__(self, rate: int) -> None:
        self._tail = Tail()
        self._container = av.open(self._tail, "w", format="flac", options={"flush_packets": "1"})
        stream = self._container.add_stream("flac", rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._rate = rate
        self._samples = 0

    def encode(self, pcm: bytes) -> bytes:
        """What is ready of the sound so far; possibly nothing. ``pcm`` holds whole samples."""
        if not pcm:
            return b""
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), "s16", "mono")
        frame.sample_rate = self._rate
        frame.pts = self._samples
        self._samples += frame.samples
        self._container.mux(self._stream.encode(frame))
        return self._tail.take()

    def finish(self) -> bytes:
        """The rest. Nothing can be encoded after it."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._tail.take()
