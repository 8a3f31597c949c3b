"""Made sound that waits to be sent: bytes in, frames out, their place in the stream counted in seconds.

What has a fixed number of bytes a second (PCM, G.711) is cut into frames of one length; what is compressed goes out in
the pieces the encoder gave, each with the seconds of sound that went into it.
"""

from collections import deque

PIECES = 65_536  # of compressed sound that can wait; far more than the seconds that may be made ahead


class Track:
    """One stream's sound. ``sent`` and ``made`` are seconds of it: what is handed out, and that plus what waits."""

    def __init__(self, *, bytes_per_second: int, frame_s: float) -> None:
        self.sent = 0.0
        self._rate = bytes_per_second  # 0: compressed
        self._frame = round(bytes_per_second * frame_s) // 2 * 2  # whole samples of two bytes, at any rate
        self._bytes = bytearray()
        self._pieces: deque[tuple[bytes, float]] = deque(maxlen=PIECES)
        self._waiting = 0.0  # seconds of the pieces
        self._base = 0.0  # ``sent`` when bytes were last counted from zero, so that seconds add up exactly
        self._taken = 0
        self.settled = True  # what waits ends where a clause does, so its last frame may be a short one

    @property
    def waiting(self) -> float:
        """Seconds of sound that are made and not sent."""
        return len(self._bytes) / self._rate if self._rate else self._waiting

    @property
    def made(self) -> float:
        return self.sent + self.waiting

    @property
    def ready(self) -> bool:
        """There is a frame to take."""
        if not self._rate:
            return bool(self._pieces)
        return len(self._bytes) >= self._frame or (self.settled and bool(self._bytes))

    @property
    def trailing(self) -> bool:
        """The next piece is of no length: it belongs to the sound before it."""
        return bool(self._pieces) and not self._pieces[0][1]

    def add(self, data: bytes, seconds: float) -> None:
        """More sound; ``seconds`` counts for compressed sound only, where ``data`` may also be empty."""
        if self._rate:
            self._bytes += data
        elif data or seconds:
            self._pieces.append((data, seconds))
            self._waiting += seconds
        else:
            return
        self.settled = False

    def take(self) -> bytes:
        """The next frame or piece; only where one is ``ready``."""
        if not self._rate:
            data, seconds = self._pieces.popleft()
            self._waiting = self._waiting - seconds if self._pieces else 0.0
            self.sent += seconds
            return data
        data = bytes(memoryview(self._bytes)[: self._frame])
        del self._bytes[: self._frame]
        self._taken += len(data)
        self.sent = self._base + self._taken / self._rate
        return data

    def clear(self) -> None:
        """Drop what waits."""
        self._bytes.clear()
        self._pieces.clear()
        self._waiting = 0.0
        self.settled = True
