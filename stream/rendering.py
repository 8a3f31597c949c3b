"""An engine's sound to the bytes a client asked for: joined with natural pauses, resampled, encoded, piece by piece."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor

import numpy as np

from engines.encode import Encoder, check_format
from engines.resample import Resampler
from protocol.audio import AudioFormat, pcm_seconds, pcm_size
from protocol.requests import SpeechChunk

PIECE_S = 0.1  # of sound, encoded in one go on the loop: LAME takes 0.13 ms for it
THREADED_PIECE_S = 1.0  # ... and off it: a hop to a thread and back costs about as much as 0.1 s
_QUIET = 64  # of 32768: what an engine's own silence stays under
_TAIL_S = 0.5  # how far back silence is looked for
_DRAIN_S = 0.01  # quiet that goes in at a time, to bring out what an encoder holds back


class Rendering:
    """One stream's sound. BAD_REQUEST for a format or bitrate (bits a second) that does not exist."""

    def __init__(self, audio: AudioFormat, bitrate: int | None = None) -> None:
        check_format(audio, bitrate)
        self.audio = audio
        self._bitrate = bitrate
        self._line = _Line(audio, bitrate)
        self._last = b""  # the engine's last sound
        self._rate = audio.rate

    def render(self, pcm: bytes, rate: int) -> bytes:
        """What is ready of the sound so far; ``pcm`` is whole s16le samples at ``rate`` Hz."""
        self._last, self._rate = pcm, rate
        return self._line.render(pcm, rate)

    async def pieces(self, chunk: SpeechChunk, pool: Executor | None = None) -> AsyncIterator[tuple[bytes, float]]:
        """A chunk as bytes and the seconds that went into them; compressed sound in pieces, so that others have a turn.

        With a ``pool`` all but the first sound is encoded there; one that is still at it when the rendering is reset
        works on what was left behind.
        """
        if self.audio.sample_bytes:
            yield self.render(chunk.pcm, chunk.rate), pcm_seconds(len(chunk.pcm), chunk.rate)
            return
        start = 0
        while start < len(chunk.pcm):
            threaded = pool is not None and self._line.begun
            step = pcm_size(THREADED_PIECE_S if threaded else PIECE_S, chunk.rate)
            pcm = chunk.pcm[start : start + step]
            if threaded:
                self._last, self._rate = pcm, chunk.rate
                data = await asyncio.get_running_loop().run_in_executor(pool, self._line.render, pcm, chunk.rate)
            else:
                if start:
                    await asyncio.sleep(0)
                data = self.render(pcm, chunk.rate)
            yield data, pcm_seconds(len(pcm), chunk.rate)
            start += step

    def part(self, gap_s: float) -> tuple[bytes, float]:
        """Quiet before the next clause, so that with what the engine left it lasts ``gap_s``: bytes and seconds.

        Some encodings begin an utterance with quiet of their own: its seconds count, its bytes come with the sound.
        """
        lead_s = self._line.encoder.lead_s
        missing = pcm_size(max(0.0, gap_s - self._quiet_s()), self._rate) if gap_s else 0
        data = self.render(bytes(missing), self._rate) if missing else b""
        return data, lead_s + pcm_seconds(missing, self._rate)

    def drain(self) -> tuple[bytes, float]:
        """What the encoder holds back of the sound so far, and the seconds of quiet behind it that bring it out.

        For when the text may not go on for a while: else the end of its last word comes with the next clause.
        """
        data, quiet = b"", b""
        while self._line.encoder.held_s > pcm_seconds(len(quiet), self._rate):
            step = bytes(pcm_size(_DRAIN_S, self._rate))
            data += self._line.render(step, self._rate)
            quiet += step
        self._last += quiet
        return data, pcm_seconds(len(quiet), self._rate)

    def finish(self) -> bytes:
        """The rest of an utterance; the next sound begins a new one."""
        return self._line.finish()

    @property
    def tail_s(self) -> float:
        """Seconds of quiet behind the sound of the utterance that was finished last; in ``finish``'s bytes."""
        return self._line.encoder.tail_s

    def reset(self) -> None:
        """Forget what was not given out."""
        self._line = _Line(self.audio, self._bitrate)
        self._last = b""

    def _quiet_s(self) -> float:
        tail = np.frombuffer(self._last[-pcm_size(_TAIL_S, self._rate) :], "<i2")
        loud = np.flatnonzero(np.abs(tail.astype(np.int32)) >= _QUIET)
        return (len(tail) - 1 - int(loud[-1]) if len(loud) else len(tail)) / self._rate


class _Line:
    """A resampler and an encoder, one behind the other."""

    def __init__(self, audio: AudioFormat, bitrate: int | None) -> None:
        self.begun = False
        self._rate = audio.rate
        self.encoder = Encoder(audio, bitrate)
        self._resampler: Resampler | None = None

    def render(self, pcm: bytes, rate: int) -> bytes:
        lead = b""
        if self._resampler is None or self._resampler.source != rate:
            lead = b"" if self._resampler is None else self._resampler.flush()
            self._resampler = Resampler(rate, self._rate)
        data = self.encoder.encode(lead + self._resampler.push(pcm))
        self.begun = self.begun or bool(data)
        return data

    def finish(self) -> bytes:
        rest = b"" if self._resampler is None else self._resampler.flush()
        data = self.encoder.encode(rest) + self.encoder.finish()
        self.begun = False
        return data
