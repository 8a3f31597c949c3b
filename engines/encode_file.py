"""PCM to a file that is to be kept: wav, mp3, flac, ogg (Vorbis), m4a or aac, mono or stereo, written piece by piece.

Unlike a stream a finished file says how long it is. What does not fit on the disk is an OSError, whoever of the
libraries met it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self

import av
import lameenc
import numpy as np
import soundfile

from engines.encode import check_format, mp3_bitrates
from protocol.audio import AudioFormat, Encoding
from protocol.errors import Code, VoiceError

FileFormat = Literal["wav", "mp3", "flac", "ogg", "m4a", "aac"]

MP3_BITRATES = {1: 128_000, 2: 192_000}  # by channels (A60)
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

_LAME_QUALITY = 4  # music shows what 7, good enough for speech in a call, leaves out
_CONTAINERS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}
_AAC_CONTAINERS = {"m4a": "ipod", "aac": "adts"}
_AAC_BITS = 6144  # of a frame of 1024 samples and a channel, at most
_LAYOUTS = {1: "mono", 2: "stereo"}
# How good Vorbis has to be, 0 to 1, to take about so many bits a second for stereo at 44.1 kHz.
_VORBIS = {64_000: 0.0, 128_000: 0.4, 192_000: 0.6, 256_000: 0.8, 320_000: 0.9, 500_000: 1.0}
_AT_ONCE = 1 << 18  # bytes; libsndfile's Vorbis keeps what it is given at once on its stack


class _Writer(Protocol):
    def write(self, pcm: bytes) -> None: ...

    def close(self) -> None: ...


class FileEncoder:
    """Interleaved s16le in, a file out. To be used in a ``with``: an exception in it removes the unfinished file.

    ``bitrate``, in bits a second, matters to mp3, m4a and aac, and to ogg, which comes near it; None is 192 kbit/s for
    stereo and 128 for mono, or the most the rate allows, and for ogg what it does of itself. A rate or bitrate that the
    format does not have is VoiceError(BAD_REQUEST) naming what is allowed.
    """

    def __init__(
        self, path: Path, kind: FileFormat, rate: int, *, channels: int = 1, bitrate: int | None = None
    ) -> None:
        check_file(kind, rate, bitrate)
        self.path = path
        self._file = _Watched(path.open("wb"))
        if kind == "mp3":
            most = max(mp3_bitrates(rate))
            self._writer: _Writer = _Mp3(self._file, rate, channels, bitrate or min(most, MP3_BITRATES[channels]))
        elif kind in _AAC_CONTAINERS:
            most = _AAC_BITS * rate // 1024 * channels
            self._writer = _Aac(self._file, kind, rate, channels, min(most, bitrate or MP3_BITRATES[channels]))
        else:
            self._writer = _Sndfile(self._file, kind, rate, channels, bitrate)

    def write(self, pcm: bytes) -> None:
        """Add whole samples, of all channels. Raises OSError when the disk is full."""
        for at in range(0, len(pcm), _AT_ONCE):
            with self._file.watching():
                self._writer.write(pcm[at : at + _AT_ONCE])

    def close(self) -> None:
        """Finish the file. Raises OSError when its end no longer fits."""
        try:
            with self._file.watching():
                self._writer.close()
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
            else:
                with contextlib.suppress(OSError):
                    self.close()
                self.path.unlink(missing_ok=True)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise


def check_file(kind: FileFormat, rate: int, bitrate: int | None = None) -> None:
    """VoiceError(BAD_REQUEST) with ``field`` and ``allowed`` unless such a file can be written."""
    if kind == "mp3":
        check_format(AudioFormat(Encoding.MP3, rate), bitrate)
    elif kind in _AAC_CONTAINERS and rate not in AAC_RATES:
        raise VoiceError(Code.BAD_REQUEST, f"AAC has no {rate} Hz", field="sample_rate", allowed=list(AAC_RATES))


class _Watched:
    """A file under a C library, which would swallow what Python raises and go on: ``watching`` raises it after all."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._failure: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self._failure = self._failure or error
            return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # it writes what is buffered
            self._failure = self._failure or error
            return -1

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        try:
            yield
        except (soundfile.SoundFileError, AssertionError) as error:
            raise self._failure or OSError(str(error)) from error
        if self._failure is not None:
            raise self._failure


class _Sndfile:
    def __init__(self, file: _Watched, kind: str, rate: int, channels: int, bitrate: int | None) -> None:
        container, subtype = _CONTAINERS[kind]
        self._channels = channels
        level = None
        if kind == "ogg" and bitrate is not None:
            each = bitrate * 2 / channels * 44_100 / max(rate, 1)
            level = 1.0 - float(np.interp(each, list(_VORBIS), list(_VORBIS.values())))
        with file.watching():
            self._sound = soundfile.SoundFile(
                file, "w", rate, channels, subtype, format=container, compression_level=level
            )

    def write(self, pcm: bytes) -> None:
        self._sound.write(np.frombuffer(pcm, "<i2").reshape(-1, self._channels))

    def close(self) -> None:
        self._sound.close()


class _Aac:
    """FFmpeg's encoder, low complexity."""

    def __init__(self, file: _Watched, kind: str, rate: int, channels: int, bitrate: int) -> None:
        self._channels, self._rate = channels, rate
        self._container = av.open(file, "w", format=_AAC_CONTAINERS[kind])
        self._stream = self._container.add_stream("aac", rate=rate, layout=_LAYOUTS[channels], bit_rate=bitrate)
        self._stream.codec_context.thread_count = 1

    def write(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "s16", _LAYOUTS[self._channels])
        frame.sample_rate = self._rate
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


class _Mp3:
    """Constant bitrate, so that the length follows from the size."""

    def __init__(self, file: _Watched, rate: int, channels: int, bitrate: int) -> None:
        lame = lameenc.Encoder()
        lame.silence()
        lame.set_channels(channels)
        lame.set_in_sample_rate(rate)
        lame.set_out_sample_rate(rate)
        lame.set_bit_rate(bitrate // 1000)
        lame.set_quality(_LAME_QUALITY)
        self._lame = lame
        self._file = file
        self._begun = False

    def write(self, pcm: bytes) -> None:
        if pcm:
            self._begun = True
            self._file.write(bytes(self._lame.encode(pcm)))

    def close(self) -> None:
        if self._begun:
            self._file.write(bytes(self._lame.flush()))
