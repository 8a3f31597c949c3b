"""Audio formats and their arithmetic: rates, bytes and seconds, G.711 both ways, WAV headers.

PCM is 16-bit signed little-endian mono throughout, so a sample is two bytes; G.711 (ITU-T) packs one into a byte.
Everything here is the standard library's work on plain bytes, fast enough to run on every frame of a call:
a G.711 byte becomes a sample by two ``bytes.translate`` calls, a sample becomes a byte by one table look-up.
"""

import struct
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from protocol.errors import Code, VoiceError

MIN_RATE = 8000
MAX_RATE = 48000
UNKNOWN_LENGTH = 0xFFFFFFFF  # what a WAV header says when nobody knows yet how long the sound will be


class Encoding(StrEnum):
    """How samples are written as bytes."""

    PCM_S16LE = "pcm_s16le"
    MULAW = "mulaw"
    ALAW = "alaw"
    MP3 = "mp3"
    OPUS = "opus"  # in Ogg
    WAV = "wav"


_SAMPLE_BYTES = {Encoding.PCM_S16LE: 2, Encoding.WAV: 2, Encoding.MULAW: 1, Encoding.ALAW: 1}
_MEDIA_TYPES = {
    Encoding.PCM_S16LE: "audio/pcm;rate={rate}",
    Encoding.MULAW: "audio/basic;rate={rate}",
    Encoding.ALAW: "audio/x-alaw;rate={rate}",
    Encoding.MP3: "audio/mpeg",
    Encoding.OPUS: "audio/ogg; codecs=opus",
    Encoding.WAV: "audio/wav",
}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """An encoding at a sample rate (Hz); always mono."""

    encoding: Encoding = Encoding.PCM_S16LE
    rate: int = 16000

    @property
    def sample_bytes(self) -> int:
        """Bytes a sample takes; 0 for a compressed encoding, where no such number exists."""
        return _SAMPLE_BYTES.get(self.encoding, 0)

    @property
    def media_type(self) -> str:
        """The Content-Type of a body in this format (E9 leaves it open)."""
        return _MEDIA_TYPES[self.encoding].format(rate=self.rate)

    def seconds(self, size: int) -> float:
        """How long ``size`` bytes of sound last. Compressed encodings: ValueError."""
        return size / (self._uncompressed() * self.rate)

    def size(self, seconds: float) -> int:
        """How many bytes ``seconds`` of sound take, in whole samples. Compressed encodings: ValueError."""
        return round(seconds * self.rate) * self._uncompressed()

    def _uncompressed(self) -> int:
        size = self.sample_bytes
        if not size:
            raise ValueError(f"{self.encoding} has no fixed number of bytes a second")
        return size


def check_rate(rate: int, *, field: str = "sample_rate") -> int:
    """Return ``rate`` if any dialect can use it (8000 to 48000 Hz), else VoiceError(BAD_REQUEST) naming ``field``."""
    if MIN_RATE <= rate <= MAX_RATE:
        return rate
    message = f"{field} must be between {MIN_RATE} and {MAX_RATE} Hz"
    raise VoiceError(Code.BAD_REQUEST, message, field=field, minimum=MIN_RATE, maximum=MAX_RATE)


def pcm_seconds(size: int, rate: int) -> float:
    """How long ``size`` bytes of s16le mono last at ``rate`` Hz."""
    return size / (2 * rate)


def pcm_size(seconds: float, rate: int) -> int:
    """How many bytes of s16le mono ``seconds`` take at ``rate`` Hz; always even."""
    return 2 * round(seconds * rate)


# -- G.711 -------------------------------------------------------------------------------------------


def mulaw_decode(data: bytes) -> bytes:
    """mu-law bytes to s16le samples."""
    return _expand(data, *_mulaw_bytes())


def mulaw_encode(pcm: bytes) -> bytes:
    """s16le samples to mu-law bytes; an odd last byte is a ValueError."""
    return _compress(pcm, _mulaw_codes())


def alaw_decode(data: bytes) -> bytes:
    """A-law bytes to s16le samples."""
    return _expand(data, *_alaw_bytes())


def alaw_encode(pcm: bytes) -> bytes:
    """s16le samples to A-law bytes; an odd last byte is a ValueError."""
    return _compress(pcm, _alaw_codes())


def _expand(data: bytes, low: bytes, high: bytes) -> bytes:
    pcm = bytearray(2 * len(data))
    pcm[0::2] = data.translate(low)
    pcm[1::2] = data.translate(high)
    return bytes(pcm)


def _compress(pcm: bytes, codes: bytes) -> bytes:
    if len(pcm) % 2:
        raise ValueError("16-bit samples need an even number of bytes")
    return bytes(map(codes.__getitem__, struct.unpack(f"<{len(pcm) // 2}H", pcm)))


def _mulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = mantissa + 8 if exponent == 0 else mantissa + 0x108 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


def _split(samples: list[int]) -> tuple[bytes, bytes]:
    """Two 256-byte translation tables: the low and the high byte of each code's sample."""
    packed = struct.pack("<256h", *samples)
    return packed[0::2], packed[1::2]


@cache
def _mulaw_bytes() -> tuple[bytes, bytes]:
    return _split([_mulaw_sample(code) for code in range(256)])


@cache
def _alaw_bytes() -> tuple[bytes, bytes]:
    return _split([_alaw_sample(code) for code in range(256)])


@cache
def _mulaw_codes() -> bytes:
    """The code of each sample, indexed by the sample as an unsigned 16-bit number.

    Magnitudes get a bias of 132; segment k then holds 16 steps of 2**(k+3), from 128 on; beyond the last is clipped.
    """
    runs = (bytes([~(k << 4 | step) & 0xFF]) * (8 << k) for k in range(8) for step in range(16))
    positive = b"".join(runs)[132 - 128 :].ljust(32769, b"\x80")
    return positive[:32768] + bytes(code & 0x7F for code in positive[:0:-1])


@cache
def _alaw_codes() -> bytes:
    """As ``_mulaw_codes``. No bias; steps of 16 in the first two segments, then doubling; minus counts from -1."""
    runs = (bytes([(k << 4 | step) ^ 0xD5]) * (16 << max(0, k - 1)) for k in range(8) for step in range(16))
    positive = b"".join(runs)
    return positive + bytes(code ^ 0x80 for code in reversed(positive))


# -- WAV ---------------------------------------------------------------------------------------------


def wav_header(audio: AudioFormat, size: int | None = None) -> bytes:
    """The header of a WAV file of ``size`` bytes of sound in ``audio`` (PCM or G.711; ``WAV`` means PCM).

    Without ``size`` both length fields are 0xFFFFFFFF, which players and libraries read as "until the file ends":
    that is how a WAV is sent while it is being made. A size no header can hold is written so too.
    """
    if not audio.sample_bytes:
        raise ValueError(f"{audio.encoding} does not go into a WAV file")
    tag = {Encoding.ALAW: 6, Encoding.MULAW: 7}.get(audio.encoding, 1)
    width = audio.sample_bytes
    extra = b"" if tag == 1 else struct.pack("<H", 0)  # only PCM may leave the extension's length out
    known = size is not None and size + 58 < UNKNOWN_LENGTH
    data = size if known and size is not None else UNKNOWN_LENGTH
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16 + len(extra), tag, 1, audio.rate, audio.rate * width, width, 8 * width)
    fact = b"" if tag == 1 else struct.pack("<4sII", b"fact", 4, data if not known else data // width)
    body = form + extra + fact + struct.pack("<4sI", b"data", data)
    riff = 4 + len(body) + data + data % 2 if known else UNKNOWN_LENGTH
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + body
