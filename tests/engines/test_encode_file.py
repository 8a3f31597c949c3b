"""Finished files against independent decoders: what was written plays, lasts, sounds and weighs what it should."""

import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from engines.encode_file import FileEncoder, FileFormat
from protocol.errors import Code, VoiceError
from tests.engines.sound import strongest_frequency, tone

LEFT, RIGHT, SECONDS = 440, 1320, 4.0


def stereo(rate: int, seconds: float = SECONDS) -> bytes:
    """A tone in each ear."""
    ears = [np.frombuffer(tone(frequency, seconds, rate), "<i2") for frequency in (LEFT, RIGHT)]
    return np.stack(ears, axis=1).astype("<i2").tobytes()


def written(path: Path, kind: FileFormat, rate: int, channels: int, pcm: bytes, bitrate: int | None = None) -> Path:
    with FileEncoder(path, kind, rate, channels=channels, bitrate=bitrate) as encoder:
        for at in range(0, len(pcm), 40_000):
            encoder.write(pcm[at : at + 40_000])
    return path


def decoded(path: Path) -> tuple[list[bytes], int]:
    """Each channel as FFmpeg hears it, and the rate."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        rate, channels = frames[0].sample_rate, frames[0].layout.nb_channels
        packed = av.AudioResampler("s16", frames[0].layout.name, rate)
        parts = [part.to_ndarray() for frame in [*frames, None] for part in packed.resample(frame) if part is not None]
    samples = np.concatenate(parts, axis=1).reshape(-1, channels)
    return [samples[:, channel].astype("<i2").tobytes() for channel in range(channels)], rate


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg"])
@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_stereo_keeps_its_ears_apart_and_its_length(tmp_path: Path, kind: FileFormat, rate: int) -> None:
    (left, right), back = decoded(written(tmp_path / f"song.{kind}", kind, rate, 2, stereo(rate)))
    assert back == rate
    assert len(left) / 2 / rate == pytest.approx(SECONDS, abs=0.08)  # MPEG's frames and LAME's delay
    assert strongest_frequency(left, rate) == pytest.approx(LEFT, abs=2)
    assert strongest_frequency(right, rate) == pytest.approx(RIGHT, abs=2)


@pytest.mark.parametrize("kind", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_is_lossless(tmp_path: Path, kind: FileFormat, channels: int) -> None:
    pcm = stereo(44100) if channels == 2 else tone(LEFT, SECONDS, 44100)
    sound, rate = soundfile.read(written(tmp_path / f"a.{kind}", kind, 44100, channels, pcm), dtype="int16")
    assert (sound.tobytes(), rate) == (pcm, 44100)


def test_a_wav_says_how_long_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", "wav", 24000, 1, tone(LEFT, SECONDS, 24000))
    with wave.open(str(path)) as file:
        assert (file.getnframes(), file.getnchannels(), file.getframerate()) == (96000, 1, 24000)


@pytest.mark.parametrize(
    ("rate", "channels", "asked", "kbps"),
    [
        (44100, 2, None, 192),
        (44100, 1, None, 128),
        (8000, 1, None, 64),
        (44100, 2, 320_000, 320),
        (24000, 1, 64_000, 64),
    ],
)
def test_mp3_has_the_bitrate_that_was_asked_for(
    tmp_path: Path, rate: int, channels: int, asked: int | None, kbps: int
) -> None:
    """A60: separated stems are stereo at 192 kbit/s."""
    pcm = stereo(rate) if channels == 2 else tone(LEFT, SECONDS, rate)
    path = written(tmp_path / "a.mp3", "mp3", rate, channels, pcm, asked)
    assert path.stat().st_size * 8 / SECONDS / 1000 == pytest.approx(kbps, rel=0.05)  # and whole frames
    with av.open(str(path)) as container:
        assert container.bit_rate == pytest.approx(kbps * 1000, rel=0.01)
        assert container.streams.audio[0].codec_context.channels == channels


def test_an_mp3_that_cannot_be_is_refused_before_there_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(VoiceError) as caught:
        FileEncoder(tmp_path / "a.mp3", "mp3", 8000, bitrate=192_000)
    assert caught.value.code is Code.BAD_REQUEST
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg"])
def test_no_sound_makes_a_file_that_can_be_closed(tmp_path: Path, kind: FileFormat) -> None:
    assert written(tmp_path / f"a.{kind}", kind, 24000, 1, b"").exists()


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg"])
def test_a_failure_leaves_no_file(tmp_path: Path, kind: FileFormat) -> None:
    with pytest.raises(LookupError), FileEncoder(tmp_path / f"a.{kind}", kind, 24000) as encoder:
        encoder.write(tone(LEFT, 1.0, 24000))
        raise LookupError
    assert not list(tmp_path.iterdir())


def test_a_long_piece_at_once_is_no_trouble(tmp_path: Path) -> None:
    """libsndfile's Vorbis encoder overflows its stack on a minute given at once."""
    path = tmp_path / "a.ogg"
    with FileEncoder(path, "ogg", 44100, channels=2) as encoder:
        encoder.write(stereo(44100, 60.0))
    assert soundfile.info(path).duration == pytest.approx(60.0, abs=0.01)


_FULL = """
import errno, resource, signal, sys
from pathlib import Path
from engines.encode_file import FileEncoder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = bytes(range(256)) * 400
try:
    with FileEncoder(Path(sys.argv[2]), sys.argv[1], 44100, channels=2, bitrate=None) as encoder:
        for _ in range(200):
            encoder.write(noise)
except OSError as error:
    sys.exit(0 if error.errno == errno.EFBIG and not Path(sys.argv[2]).exists() else f"{error!r}")
sys.exit("it fitted")
"""


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg"])
def test_a_full_disk_is_an_error_and_no_half_file(tmp_path: Path, repository: Path, kind: FileFormat) -> None:
    """RELIABILITY R6, with a limit on the size of files in place of a small disk."""
    command = [sys.executable, "-c", _FULL, kind, str(tmp_path / f"a.{kind}")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
