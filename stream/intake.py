"""The wire's audio to 16 kHz s16le, for a recogniser: G.711 unpacked, resampled, handed on a window at a time.

Nothing is decided between two windows of voice activity, so sound is kept until it completes the next one, or as many
as nothing depends on: the same answers at the same time, for fewer calls.
"""

from collections.abc import Callable

from engines.resample import Resampler
from protocol.audio import AudioFormat, Encoding, alaw_decode, mulaw_decode

RATE = 16_000
WINDOW = 512  # samples at RATE

_DECODERS: dict[Encoding, Callable[[bytes], bytes]] = {Encoding.MULAW: mulaw_decode, Encoding.ALAW: alaw_decode}


class Intake:
    """One stream's converter. ``push`` takes whole samples of ``audio`` and gives 16 kHz PCM, or b"" for not yet."""

    __slots__ = ("_audio", "_decode", "_made", "_need", "_patience", "_pending", "_resampler")

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._decode = _DECODERS.get(audio.encoding)
        self._resampler = None if audio.rate == RATE else Resampler(audio.rate, RATE)
        self._pending = b""
        self._made = 0  # samples given so far
        self._patience = 1
        self._need = self._bytes_to_give()

    @property
    def patience(self) -> int:
        """How many windows are to be complete before any is given; at least one."""
        return self._patience

    @patience.setter
    def patience(self, windows: int) -> None:
        self._patience = max(1, windows)
        self._need = self._bytes_to_give()

    def push(self, data: bytes) -> bytes:
        """What is complete by now."""
        if self._pending:
            data = self._pending + data
        if len(data) < self._need:
            self._pending = data
            return b""
        self._pending = b""
        return self._convert(data)

    def take(self) -> bytes:
        """What waits for its windows to be complete: something happens here, and the stream goes on."""
        data, self._pending = self._pending, b""
        return self._convert(data) if data else b""

    def finish(self) -> bytes:
        """All that is left, the resampler's last milliseconds included."""
        rest = self.take()
        return rest if self._resampler is None else rest + self._resampler.flush()

    def _convert(self, data: bytes) -> bytes:
        pcm = data if self._decode is None else self._decode(data)
        if self._resampler is not None:
            pcm = self._resampler.push(pcm)
        self._made += len(pcm) // 2
        self._need = self._bytes_to_give()
        return pcm

    def _bytes_to_give(self) -> int:
        missing = self._patience * WINDOW - self._made % WINDOW
        return -(-missing * self._audio.rate // RATE) * self._audio.sample_bytes
