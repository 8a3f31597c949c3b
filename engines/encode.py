"""PCM to what a client asked for, piece by piece: pcm, wav, G.711, mp3 (LAME) and Opus in Ogg (libopus).

Everything is incremental: bytes leave as soon as the codec has them, and ``finish`` gives the rest and leaves the
encoder ready for the next utterance. LAME is called in this process through lameenc: measured, 17 s at 22.05 kHz cost
29 ms of CPU at quality 7 against 94 ms through PyAV's libmp3lame; an ffmpeg process costs 200 ms and more.
"""

from functools import cache
from typing import Protocol

import av
import lameenc
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from protocol.audio import AudioFormat, Encoding, alaw_encode, check_rate, mulaw_encode, wav_header
from protocol.errors import Code, VoiceError

MP3_BITRATE = 128_000
OPUS_BITRATE = 32_000
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)

_LAME_QUALITY = 7  # LAME's fastest useful setting: a third of the CPU of quality 2, half of quality 5
_MP3_DELAY = 576 + 529  # samples of quiet before the sound: of LAME, and of every decoder that is told of none
_OGG_PAGE_US = 40_000  # sound held back until a page is full
_OPUS_HELD_S = 0.0665  # a page, a frame of 20 ms, and how far libopus looks ahead
_MPEG1 = frozenset({32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320})
_MPEG2 = frozenset({8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160})
_MPEG1_RATES = (32000, 44100, 48000)
_MP3_HEADER = 4  # bytes
_MP3_KBPS = {  # what LAME writes; asked for anything else it takes the nearest without a word
    **dict.fromkeys(_MPEG1_RATES, _MPEG1),
    **dict.fromkeys((16000, 22050, 24000), _MPEG2),
    **dict.fromkeys((8000, 11025, 12000), frozenset(kbps for kbps in _MPEG2 if kbps <= 64)),  # MPEG 2.5
}


def mp3_rates(bitrate: int) -> tuple[int, ...]:
    """The sample rates (Hz, ascending) at which MPEG layer III allows ``bitrate`` bits a second."""
    return tuple(sorted(rate for rate, kbps in _MP3_KBPS.items() if bitrate % 1000 == 0 and bitrate // 1000 in kbps))


def mp3_bitrates(rate: int) -> tuple[int, ...]:
    """The bitrates (bits a second, ascending) MPEG layer III allows at ``rate`` Hz; none at a rate it does not know."""
    return tuple(1000 * kbps for kbps in sorted(_MP3_KBPS.get(rate, ())))


class _Codec(Protocol):
    @property
    def held_s(self) -> float:
        """Seconds of what went in that cannot be played yet; below 0 the quiet behind all of it."""
        ...

    def encode(self, pcm: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class Encoder:
    """s16le mono at ``audio.rate`` in, bytes in ``audio.encoding`` out.

    ``bitrate`` is in bits a second and matters to mp3 and Opus only. A rate or bitrate the encoding does not have is
    VoiceError(BAD_REQUEST) naming what is allowed. ``size`` is the number of PCM bytes to come, where it is known: a
    WAV header then says so, else it is the open-ended one.
    """

    def __init__(self, audio: AudioFormat, bitrate: int | None = None, *, size: int | None = None) -> None:
        check_format(audio, bitrate)
        self.audio = audio
        self.bitrate = bitrate
        self._size = size
        self._codec: _Codec | None = None  # made with the first sound: an idle session holds no codec
        self.tail_s = 0.0  # seconds of quiet behind the sound of the utterance that was finished last

    @property
    def lead_s(self) -> float:
        """Seconds of quiet that a player will hear before the next sound, where that begins an utterance."""
        return _MP3_DELAY / self.audio.rate if self.audio.encoding is Encoding.MP3 and self._codec is None else 0.0

    @property
    def held_s(self) -> float:
        """At most so many seconds of the sound so far cannot be played yet, until more comes or it is finished."""
        return 0.0 if self._codec is None else max(0.0, self._codec.held_s)

    @property
    def media_type(self) -> str:
        """The Content-Type of what comes out."""
        return self.audio.media_type

    def encode(self, pcm: bytes) -> bytes:
        """What is ready of the sound so far; possibly nothing. ``pcm`` holds whole samples."""
        if not pcm:
            return b""
        if self._codec is None:
            self._codec = self._open()
        return self._codec.encode(pcm)

    def finish(self) -> bytes:
        """The rest of this utterance; the next ``encode`` begins a new one. Without sound: an empty WAV, or nothing."""
        if self._codec is None and self.audio.encoding is not Encoding.WAV:
            return b""
        codec, self._codec = self._codec or self._open(), None
        data = codec.finish()
        self.tail_s = max(0.0, -codec.held_s)
        return data

    def reset(self) -> None:
        """Forget what was not yet given out, so that the next utterance starts clean."""
        self._codec = None

    def _open(self) -> _Codec:
        match self.audio.encoding:
            case Encoding.PCM_S16LE:
                return _Plain()
            case Encoding.MULAW | Encoding.ALAW:
                return _G711(self.audio.encoding)
            case Encoding.WAV:
                return _Wav(self.audio.rate, self._size)
            case Encoding.MP3:
                return _Mp3(self.audio.rate, self.bitrate or default_bitrate(self.audio))
            case Encoding.OPUS:
                return _Opus(self.audio.rate, self.bitrate or OPUS_BITRATE)


def default_bitrate(audio: AudioFormat) -> int:
    """The bitrate used when none was asked for: 128 kbps (E6) or the most the rate allows; 0 for what has none."""
    if audio.encoding is Encoding.MP3:
        return min(MP3_BITRATE, max(mp3_bitrates(audio.rate), default=MP3_BITRATE))
    return OPUS_BITRATE if audio.encoding is Encoding.OPUS else 0


def check_format(audio: AudioFormat, bitrate: int | None = None) -> None:
    """VoiceError(BAD_REQUEST) with ``field`` and ``allowed`` unless ``audio`` at ``bitrate`` can be written."""
    check_rate(audio.rate)
    if audio.encoding is Encoding.OPUS:
        if audio.rate not in OPUS_RATES:
            raise _refused("sample_rate", f"Opus has no {audio.rate} Hz", OPUS_RATES)
        if bitrate is not None and not 6000 <= bitrate <= 256_000:
            raise _refused("bitrate", "Opus takes 6000 to 256000 bits a second", ())
    if audio.encoding is not Encoding.MP3:
        return
    allowed = mp3_bitrates(audio.rate)
    if not allowed:
        raise _refused("sample_rate", f"MP3 has no {audio.rate} Hz", tuple(sorted(_MP3_KBPS)))
    if bitrate is not None and bitrate not in allowed:
        listed = ", ".join(str(value // 1000) for value in allowed)
        message = f"MP3 at {audio.rate} Hz allows {listed} kbps"
        if rates := mp3_rates(bitrate):
            message += f"; {bitrate // 1000} kbps needs a sample rate of {', '.join(map(str, rates))} Hz"
        raise _refused("bitrate", message, allowed)


def _refused(field: str, message: str, allowed: tuple[int, ...]) -> VoiceError:
    return VoiceError(Code.BAD_REQUEST, message, field=field, allowed=allowed)


class _Plain:
    held_s = 0.0

    def encode(self, pcm: bytes) -> bytes:
        return pcm

    def finish(self) -> bytes:
        return b""


class _G711(_Plain):
    """``protocol.audio``'s coder by its table, which numpy looks up in a fifth of the time."""

    def __init__(self, encoding: Encoding) -> None:
        self._codes = _codes(encoding)

    def encode(self, pcm: bytes) -> bytes:
        return bytes(self._codes[np.frombuffer(pcm, "<u2")])


@cache
def _codes(encoding: Encoding) -> NDArray[np.uint8]:
    every_sample = np.arange(1 << 16).astype("<u2").tobytes()
    return np.frombuffer((mulaw_encode if encoding is Encoding.MULAW else alaw_encode)(every_sample), np.uint8)


class _Wav:
    held_s = 0.0

    def __init__(self, rate: int, size: int | None) -> None:
        self._header = wav_header(AudioFormat(Encoding.WAV, rate), size)

    def encode(self, pcm: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + pcm

    def finish(self) -> bytes:
        return self.encode(b"")


class _Mp3:
    """Constant bitrate, no Xing header: a stream whose length is not known when it begins has nothing to put there.

    LAME gives bytes away in the middle of a frame; here they come in whole ones, so that sound that is broken off and
    followed by other sound is still one stream.
    """

    def __init__(self, rate: int, bitrate: int) -> None:
        lame = lameenc.Encoder()
        lame.silence()
        lame.set_channels(1)
        lame.set_in_sample_rate(rate)
        lame.set_out_sample_rate(rate)
        lame.set_bit_rate(bitrate // 1000)
        lame.set_quality(_LAME_QUALITY)
        self._lame = lame
        self._rate = rate
        self._frame = 1152 if rate in _MPEG1_RATES else 576  # samples
        self._frame_bytes = self._frame // 8 * bitrate // rate
        self._begun = bytearray()  # the frame that is not yet whole
        self._samples = _MP3_DELAY  # that went in
        self._frames = 0  # that came out

    @property
    def held_s(self) -> float:
        return (self._samples - self._frames * self._frame) / self._rate

    def encode(self, pcm: bytes) -> bytes:
        self._samples += len(pcm) // 2
        self._begun += self._lame.encode(pcm)
        return self._whole_frames()

    def finish(self) -> bytes:
        self._begun += self._lame.flush()
        return self._whole_frames() + bytes(self._begun)

    def _whole_frames(self) -> bytes:
        end = 0
        while end + _MP3_HEADER <= len(self._begun):
            padding = self._begun[end + 2] >> 1 & 1  # ISO/IEC 11172-3, 2.4.2.3
            if end + self._frame_bytes + padding > len(self._begun):
                break
            end += self._frame_bytes + padding
            self._frames += 1
        data = bytes(self._begun[:end])
        del self._begun[:end]
        return data


class Tail:
    """A file to write to, whose contents are taken away as they come."""

    def __init__(self) -> None:
        self._parts = bytearray()

    def write(self, data: bytes) -> int:
        self._parts += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._parts)
        self._parts.clear()
        return taken


class _Opus:
    def __init__(self, rate: int, bitrate: int) -> None:
        self._file = Tail()
        options = {"page_duration": str(_OGG_PAGE_US), "flush_packets": "1"}
        self._container = av.open(self._file, "w", format="ogg", options=options)
        stream = self._container.add_stream("libopus", rate=rate, layout="mono", options={"application": "voip"})
        assert isinstance(stream, AudioStream)
        stream.bit_rate = bitrate
        self._stream = stream
        self._rate = rate
        self._samples = 0

    @property
    def held_s(self) -> float:
        return _OPUS_HELD_S if self._samples else 0.0

    def encode(self, pcm: bytes) -> bytes:
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), "s16", "mono")
        frame.sample_rate = self._rate
        frame.pts = self._samples
        self._samples += frame.samples
        self._container.mux(self._stream.encode(frame))
        return self._file.take()

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.take()
