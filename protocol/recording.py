"""The part of a stream's audio that may still be needed."""

RATE = 16000  # Hz
_SAMPLE = 2  # bytes: s16le, mono


class Recording:
    """Audio from sample ``start`` to sample ``end``, both counted from the beginning of the stream."""

    __slots__ = ("_pcm", "end", "start")

    def __init__(self) -> None:
        self._pcm = bytearray()
        self.start = 0
        self.end = 0

    def append(self, pcm: bytes) -> None:
        """Add whole samples at the end."""
        self._pcm += pcm
        self.end += len(pcm) // _SAMPLE

    def cut(self, start: int, end: int) -> bytes:
        """The audio between two places that are both still here."""
        with memoryview(self._pcm) as pcm:
            return bytes(pcm[(start - self.start) * _SAMPLE : (end - self.start) * _SAMPLE])

    def forget(self, before: int) -> None:
        """Drop what lies before a place; dropping it again changes nothing."""
        if before > self.start:
            del self._pcm[: (before - self.start) * _SAMPLE]
            self.start = before
