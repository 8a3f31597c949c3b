"""Recordings: read once when they arrive, kept as sound for their job, measured by what came out."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from accounts.store import Store
from batch.disk import Watermark
from batch.media import Media, MediaLimits, MediaReader, Recording, Sound, sound_of
from batch.uploads import Upload, Uploads
from engines.media.readers import Readers
from protocol.errors import Code, VoiceError
from tests.batch.clocks import Clock
from tests.engines.media.films import SECONDS, make_film
from tests.engines.sound import strongest_frequency, tone

LIMITS = MediaLimits()


class NearlyFull(Watermark):
    """A disk with room for 20 kB."""

    def spare(self, directory: Path) -> int:
        return 20_000


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    store = Store.__new__(Store)  # receiving asks no store
    return Uploads(tmp_path / "uploads", store, now=Clock(), choice=secrets.choice, watermark=Watermark(0, 0, 0))


@pytest.fixture
async def media(uploads: Uploads) -> AsyncIterator[MediaReader]:
    readers = Readers()
    yield MediaReader(readers, uploads)
    await readers.aclose()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return make_film(tmp_path / "song.flac", "flac", None, "flac", layout="stereo")


def received(path: Path, filename: str) -> Upload:
    return Upload(path.name, path, filename, path.stat().st_size, path.read_bytes()[:4096])


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "uploads").rglob("*") if path.is_file())


async def test_what_a_job_works_on_is_the_sound_of_what_arrived(
    media: MediaReader, uploads: Uploads, song: Path, tmp_path: Path
) -> None:
    async with media.take(received(song, "song.flac"), LIMITS) as recording, uploads.kept(recording.upload):
        assert recording == Recording("audio", SECONDS, "flac", recording.upload)
    sound = sound_of(uploads.path(recording.upload))
    assert sound == Sound(uploads.path(recording.upload), 16000, 1)
    assert sound.seconds == SECONDS
    assert strongest_frequency(sound.path.read_bytes(), 16000) == pytest.approx(440, abs=1)
    assert left(tmp_path) == [recording.upload]


@pytest.mark.parametrize(
    ("rate", "channels", "shape"), [(44_100, 2, (22_050, 1)), (16_000, 2, (16_000, 1)), (8_000, 1, (8_000, 1))]
)
async def test_sound_of_a_lower_rate_and_fewer_channels_may_stay_as_it_is(
    media: MediaReader, uploads: Uploads, tmp_path: Path, rate: int, channels: int, shape: tuple[int, int]
) -> None:
    song = tmp_path / "low.wav"
    soundfile.write(song, np.frombuffer(tone(440, 1.0, 22_050), "<i2"), 22_050)
    wanted = media.take(received(song, "low.wav"), LIMITS, rate=rate, channels=channels, keep=True)
    async with wanted as recording, uploads.kept(recording.upload):
        assert recording.seconds == pytest.approx(1.0, abs=0.01)
    sound = sound_of(uploads.path(recording.upload))
    assert sound is not None and (sound.rate, sound.channels) == shape
    assert strongest_frequency(sound.path.read_bytes(), shape[0]) == pytest.approx(440, abs=1)
    assert left(tmp_path) == [recording.upload]


async def test_a_recording_whose_job_was_not_accepted_is_removed(
    media: MediaReader, uploads: Uploads, song: Path, tmp_path: Path
) -> None:
    with pytest.raises(VoiceError):
        async with media.take(received(song, "song.flac"), LIMITS):
            raise VoiceError(Code.RATE_LIMITED, "before it was kept")
    with pytest.raises(VoiceError):
        async with media.take(received(song, "song.flac"), LIMITS) as recording, uploads.kept(recording.upload):
            raise VoiceError(Code.INSUFFICIENT_CREDITS, "after it was kept")
    assert not left(tmp_path)


async def test_video_is_video_by_its_name_or_by_its_pictures(media: MediaReader, song: Path, tmp_path: Path) -> None:
    """A34; and a film that is called .mp3 is not cheaper for it (A41)."""
    film = make_film(tmp_path / "film", "mp4", "mpeg4", "aac")
    assert (await media.probe(song, "song.mp3", LIMITS)).kind == "audio"
    assert (await media.probe(song, "song.MP4", LIMITS)).kind == "video"
    assert (await media.probe(film, "film.mp3", LIMITS)).kind == "video"
    found = await media.probe(film, "film", LIMITS)
    assert found == Media("video", found.seconds, "mov")
    assert found.seconds == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(
    ("filename", "limits", "code"),
    [
        ("song.flac", MediaLimits(audio_s=1.0, video_s=60), Code.TOO_LARGE),
        ("song.mp4", MediaLimits(audio_s=60, video_s=1.0), Code.TOO_LARGE),
        ("noise.mp3", LIMITS, Code.UNSUPPORTED_MEDIA),
    ],
)
async def test_what_is_refused_leaves_nothing(
    media: MediaReader, song: Path, tmp_path: Path, filename: str, limits: MediaLimits, code: Code
) -> None:
    """A42."""
    (tmp_path / "noise").write_bytes(b"#EXTM3U\nfile:///etc/passwd\n")
    path = tmp_path / "noise" if filename.startswith("noise") else song
    with pytest.raises(VoiceError) as caught:
        async with media.take(received(path, filename), limits):
            raise AssertionError("it was accepted")
    assert caught.value.code is code
    assert not left(tmp_path)


async def test_there_is_room_for_the_sound_before_it_is_decoded(song: Path, tmp_path: Path) -> None:
    """R6: 2,000 s of it may come."""
    kept = Watermark(0, 1 << 60, 1 << 60)
    uploads = Uploads(tmp_path / "uploads", Store.__new__(Store), now=Clock(), choice=secrets.choice, watermark=kept)
    with pytest.raises(VoiceError) as caught:
        async with MediaReader(Readers(), uploads).take(received(song, "song.flac"), LIMITS):
            raise AssertionError("it was accepted")
    assert caught.value.code is Code.STORAGE_FULL


async def test_sound_stops_where_the_room_does(song: Path, tmp_path: Path) -> None:
    """An admin may set no limit to the seconds; the disk has one all the same, and is not filled to its brim."""
    uploads = Uploads(
        tmp_path / "uploads",
        Store.__new__(Store),
        now=Clock(),
        choice=secrets.choice,
        watermark=NearlyFull(),
    )
    readers = Readers()
    with pytest.raises(VoiceError) as caught:
        await MediaReader(readers, uploads).decode(song, 16000)
    await readers.aclose()
    assert caught.value.code is Code.STORAGE_FULL
    assert not left(tmp_path)


async def test_a_worker_gets_a_kept_sound_without_a_copy(
    media: MediaReader, uploads: Uploads, song: Path, tmp_path: Path
) -> None:
    upload = received(song, "song.flac")
    async with media.take(upload, LIMITS, rate=44100, channels=2) as recording, uploads.kept(recording.upload):
        pass
    kept = uploads.path(recording.upload)
    same = await media.decode(kept, 44100, 2, directory=tmp_path)
    assert (same.parent, same.stat().st_ino) == (tmp_path, kept.stat().st_ino)
    same.unlink()
    assert uploads.path(recording.upload) == kept, "the job may have to begin again"


async def test_a_kept_sound_in_another_shape(media: MediaReader, uploads: Uploads, tmp_path: Path) -> None:
    name, path = uploads.reserve(shape=".44100.1")
    path.write_bytes(tone(440, 2.0, 44100))
    async with uploads.kept(name):
        pass
    target = await media.decode(uploads.path(name), 24000)
    sound = sound_of(target)
    assert sound == Sound(target, 24000, 1)
    assert sound.seconds == pytest.approx(2.0, abs=0.01)
    assert strongest_frequency(target.read_bytes(), 24000) == pytest.approx(440, abs=1)


async def test_a_file_is_decoded_for_whoever_asks(media: MediaReader, song: Path, tmp_path: Path) -> None:
    target = await media.decode(song, 24000)
    assert target.stat().st_size == SECONDS * 48000
    target.unlink()
    (tmp_path / "noise").write_bytes(bytes(1000))
    with pytest.raises(VoiceError) as caught:
        await media.decode(tmp_path / "noise", 24000)
    assert caught.value.code is Code.UNSUPPORTED_MEDIA
    assert not left(tmp_path)


@pytest.mark.parametrize("name", ["a", "a.mp3", "a.16000", "a.16000.3", "a.16000.1.x", ".1.1", "a.1600000.1"])
def test_a_name_without_a_shape_is_a_file_to_be_decoded(name: str) -> None:
    assert sound_of(Path(name)) is None
