"""Media to PCM: every kind of file people send, the caps while decoding, and files that are not what they say."""

import io
import itertools
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from engines.decode import RATE, DecodeLimits, decode_file, decode_media, media_kind
from protocol.audio import AudioFormat, Encoding, wav_header
from protocol.errors import Code, VoiceError
from tests.engines.sound import strongest_frequency, tone

FILES = [  # container, codec, rate, layout, libavformat's reader
    ("wav", "pcm_s16le", 8000, "mono", "wav"),
    ("wav", "pcm_mulaw", 8000, "mono", "wav"),
    ("wav", "pcm_f32le", 48000, "stereo", "wav"),
    ("mp3", "libmp3lame", 44100, "stereo", "mp3"),
    ("mp3", "libmp3lame", 8000, "mono", "mp3"),
    ("mp2", "mp2", 44100, "mono", "mp3"),
    ("flac", "flac", 44100, "mono", "flac"),
    ("ogg", "libopus", 48000, "mono", "ogg"),
    ("webm", "libopus", 48000, "stereo", "matroska"),
    ("matroska", "flac", 48000, "mono", "matroska"),
    ("ipod", "aac", 44100, "stereo", "mov"),
    ("mp4", "aac", 22050, "mono", "mov"),
    ("mov", "pcm_s16le", 16000, "mono", "mov"),
    ("adts", "aac", 16000, "mono", "aac"),
    ("avi", "libmp3lame", 44100, "mono", "avi"),
    ("asf", "wmav2", 44100, "stereo", "asf"),
    ("flv", "aac", 44100, "mono", "flv"),
    ("mpeg", "mp2", 44100, "stereo", "mpeg"),
    ("mpegts", "aac", 44100, "mono", "mpegts"),
    ("aiff", "pcm_s16be", 16000, "mono", "aiff"),
    ("au", "pcm_s16be", 16000, "mono", "au"),
    ("caf", "pcm_s16be", 16000, "mono", "caf"),
]


def written(container: str, codec: str, rate: int, layout: str, seconds: float = 3.0) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64000
        sound = np.frombuffer(tone(440, seconds, rate), "<i2")
        packed = np.repeat(sound, 2 if layout == "stereo" else 1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "s16", layout)
        frame.sample_rate, frame.pts = rate, 0
        for packet in itertools.chain(stream.encode(frame), stream.encode(None)):
            output.mux(packet)
    return file.getvalue()


def heard(data: bytes, limits: DecodeLimits | None = None) -> bytes:
    return b"".join(decode_media(io.BytesIO(data), limits))


def refused(data: bytes, limits: DecodeLimits | None = None) -> Code:
    with pytest.raises(VoiceError) as caught:
        heard(data, limits)
    return caught.value.code


@pytest.mark.parametrize(("container", "codec", "rate", "layout", "kind"), FILES)
def test_every_format_gives_its_sound(container: str, codec: str, rate: int, layout: str, kind: str) -> None:
    data = written(container, codec, rate, layout)
    assert media_kind(data[:4096]) == kind
    pcm = heard(data)
    assert len(pcm) / 2 / RATE == pytest.approx(3.0, abs=0.1)  # AAC and MPEG layers add their priming
    assert strongest_frequency(pcm[RATE:-RATE], RATE) == pytest.approx(440, abs=2)


def test_sound_comes_a_second_at_a_time() -> None:
    pieces = list(decode_media(io.BytesIO(written("flac", "flac", 44100, "mono", 5.0))))
    assert len(pieces) == 5
    assert all(1.0 <= len(piece) / 2 / RATE < 1.2 for piece in pieces[:-1])


def test_a_wav_at_16_khz_is_untouched() -> None:
    pcm = tone(440, 1.5, RATE)
    assert heard(wav_header(AudioFormat(Encoding.WAV, RATE), len(pcm)) + pcm) == pcm
    assert heard(wav_header(AudioFormat(Encoding.WAV, RATE)) + pcm) == pcm


def test_a_file_by_its_path_has_no_limits(tmp_path: Path) -> None:
    path = tmp_path / "talk.flac"
    path.write_bytes(written("flac", "flac", 16000, "mono"))
    assert len(b"".join(decode_file(path))) == 2 * 3 * RATE
    with pytest.raises(VoiceError, match="longer than 1 seconds"):
        list(decode_file(path, DecodeLimits(seconds=1)))
    with pytest.raises(FileNotFoundError):
        list(decode_file(tmp_path / "none.wav"))


def test_seconds_are_counted_not_believed() -> None:
    """A header may claim any length: vllm#44970 decoded hours of a small Opus file before it looked."""
    data = written("ogg", "libopus", 48000, "mono", 30.0)
    taken = 0
    with pytest.raises(VoiceError) as caught:
        for piece in decode_media(io.BytesIO(data), DecodeLimits(seconds=10)):
            taken += len(piece)
    assert caught.value.code is Code.TOO_LARGE
    assert caught.value.facts == {"maximum_seconds": 10}
    assert 8 < taken / 2 / RATE <= 10


def test_bytes_are_counted_too() -> None:
    """vllm#45908: a forged rate keeps the seconds short while the samples are many."""
    data = wav_header(AudioFormat(Encoding.WAV, 44100)) + bytes(1 << 20)
    assert refused(data, DecodeLimits(size=1 << 19)) is Code.TOO_LARGE


def _wav(channels: int, rate: int) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVEfmt \x10\x00\x00\x00" + form + b"data\x00\x10\x00\x00" + bytes(4096)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("channels", "rate"), [(1, 655_350), (64, 16000), (16, 48000)])
def test_shapes_that_are_not_speech_are_refused(channels: int, rate: int) -> None:
    assert refused(_wav(channels, rate)) is Code.UNSUPPORTED_MEDIA


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, this is text",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        b"\x7fELF" + bytes(200),
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"%PDF-1.7\n",
    ],
)
def test_playlists_and_strangers_are_never_opened(data: bytes) -> None:
    """libavformat would follow a playlist to files and addresses; what is not media by its first bytes stays shut."""
    assert media_kind(data) is None
    assert refused(data) is Code.UNSUPPORTED_MEDIA


def test_a_picture_in_a_known_container_holds_no_sound() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        for packet in itertools.chain(stream.encode(av.VideoFrame(16, 16, "yuvj420p")), stream.encode(None)):
            output.mux(packet)
    assert refused(file.getvalue()) is Code.UNSUPPORTED_MEDIA


def test_a_container_without_samples_holds_no_sound() -> None:
    assert refused(wav_header(AudioFormat(Encoding.WAV, RATE), 0)) is Code.UNSUPPORTED_MEDIA


def test_a_truncated_file_gives_what_it_has() -> None:
    data = written("mp3", "libmp3lame", 44100, "mono", 4.0)
    assert 1.5 < len(heard(data[: len(data) // 2])) / 2 / RATE < 2.5


def test_an_error_names_no_path_and_no_library() -> None:
    with pytest.raises(VoiceError) as caught:
        heard(written("ipod", "aac", 44100, "mono")[:300])
    assert caught.value.code is Code.UNSUPPORTED_MEDIA
    assert "av" not in caught.value.message.split()
    assert "/" not in caught.value.message


def mutants(seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    whole = [written(container, codec, rate, layout, 0.3) for container, codec, rate, layout, _ in FILES]
    for data in itertools.islice(itertools.cycle(whole), 300):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 12)):
            damaged[rng.randrange(min(len(damaged), 600))] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        yield bytes(damaged)


def test_damaged_headers_end_in_sound_or_a_typed_error() -> None:
    """RELIABILITY F6: 300 mutated headers; never another exception, never more than the caps."""
    limits = DecodeLimits(seconds=20, size=1 << 24)
    outcomes = []
    for data in mutants(6):
        try:
            outcomes.append(len(heard(data, limits)))
        except VoiceError as error:
            assert error.code in (Code.UNSUPPORTED_MEDIA, Code.TOO_LARGE)
    assert 0 < len(outcomes) < 300
    assert max(outcomes) <= 2 * RATE * 20


def test_a_codec_that_nobody_knows_is_a_typed_error() -> None:
    """Found by mutation: the stream is there, but nothing to decode it with."""
    data = bytearray(wav_header(AudioFormat(Encoding.PCM_S16LE, 16000), 800) + bytes(800))
    data[20:22] = b"\x00\x00"  # the format tag
    with pytest.raises(VoiceError) as caught:
        heard(bytes(data))
    assert caught.value.code is Code.UNSUPPORTED_MEDIA
