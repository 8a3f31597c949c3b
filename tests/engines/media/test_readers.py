"""Files of strangers in processes of their own (F6): what they are, what bounds them, and what they cannot reach."""

import asyncio
import os
import random
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from engines.media.order import Order
from engines.media.readers import Readers
from protocol.errors import Code, VoiceError
from tests.engines.media.films import FILMS, SECONDS, make_film
from tests.engines.sound import strongest_frequency, tone

LIMITS = Order(audio_s=2000, video_s=1800, size=4 << 30)
FULL = Path("/dev/full")


@pytest.fixture
async def readers() -> AsyncIterator[Readers]:
    """Whatever a test did, no process is left."""
    before = set(children())
    readers = Readers()
    yield readers
    await readers.aclose()
    assert set(children()) <= before


def children() -> list[Any]:
    """The templates of this process, and their readers."""
    own = psutil.Process().children()  # servers that other tests of this process started have templates too
    templates = [process for process in own if "engines.media.template" in process.cmdline()]
    return [*templates, *(reader for template in templates for reader in template.children(recursive=True))]


def appeared(template: Any) -> list[Any]:
    """A template's readers, as soon as there is one."""
    while not (found := template.children()):
        continue
    return list(found)


async def read(readers: Readers, path: Path, order: Order = LIMITS) -> tuple[str, str, bytes]:
    """What a file is, libavformat's name for it, and its sound."""
    target = path.with_suffix(".pcm")
    with path.open("rb") as source, target.open("wb") as written:
        answer = await readers.read(order, source.fileno(), written.fileno())
    pcm = target.read_bytes()
    assert len(pcm) == answer.samples * 2 * order.channels
    return answer.kind, answer.container, pcm


async def refused(readers: Readers, path: Path, order: Order = LIMITS) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        await read(readers, path, order)
    return caught.value


def wav(channels: int, rate: int, data: bytes, width: int = 2) -> bytes:
    form = struct.pack(
        "<HHIIHH", 1, channels, rate, rate * channels * width & 0xFFFFFFFF, channels * width & 0xFFFF, 8 * width
    )
    body = b"WAVEfmt \x10\x00\x00\x00" + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


# -- what they are -----------------------------------------------------------------------------------


async def test_video_gives_its_sound(readers: Readers, tmp_path: Path) -> None:
    """A34: mp4, mov, mkv, webm, avi, flv, wmv, m4v ..."""
    for extension, (container, video, audio) in FILMS.items():
        path = make_film(tmp_path / f"film.{extension}", container, video, audio)
        kind, _, pcm = await read(readers, path)
        assert kind == "video", extension
        assert len(pcm) / 2 / 16000 == pytest.approx(SECONDS, abs=0.15), extension
        assert strongest_frequency(pcm[8000:-8000], 16000) == pytest.approx(440, abs=3), extension


async def test_sound_in_a_container_for_video_is_sound_unless_it_is_called_video(
    readers: Readers, tmp_path: Path
) -> None:
    """A34: the name decides. What a browser records is webm without pictures; called .mp4 it is priced as video."""
    path = make_film(tmp_path / "voice.weba", "webm", None, "libopus")
    assert (await read(readers, path))[:2] == ("audio", "matroska")
    called = Order(audio_s=2000, video_s=1800, size=4 << 30, video=True)
    assert (await read(readers, path, called))[0] == "video"


async def test_separation_hears_both_ears_at_44100(readers: Readers, tmp_path: Path) -> None:
    """A60."""
    path = make_film(tmp_path / "song.flac", "flac", None, "flac", layout="stereo")
    order = Order(audio_s=1200, video_s=1200, size=4 << 30, rate=44100, channels=2)
    _, _, pcm = await read(readers, path, order)
    assert len(pcm) / 4 / 44100 == pytest.approx(SECONDS, abs=0.01)
    assert pcm[0::4] == pcm[2::4]


async def test_a_file_of_our_own_is_converted_too(readers: Readers, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(tone(440, 2.0, 44100))
    order = Order(audio_s=3, video_s=3, size=1 << 30, rate=24000, raw=(44100, 1))
    _, _, pcm = await read(readers, path, order)
    assert len(pcm) / 2 / 24000 == pytest.approx(2.0, abs=0.01)
    assert strongest_frequency(pcm, 24000) == pytest.approx(440, abs=2)


async def test_nothing_need_be_written(readers: Readers, tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.flac", "flac", None, "flac")
    with path.open("rb") as source:
        answer = await readers.read(LIMITS, source.fileno())
    assert answer.samples == int(SECONDS * 16000)


async def test_a_short_file_takes_little_time(readers: Readers, tmp_path: Path) -> None:
    """Only the first pays for a new interpreter: measured, 200 ms and then 20; on a busy machine all take longer."""
    path = make_film(tmp_path / "a.flac", "flac", None, "flac")
    times = []
    for _ in range(8):
        began = time.monotonic()
        await read(readers, path)
        times.append(time.monotonic() - began)
    assert min(times[1:]) < times[0] / 2


# -- what bounds them --------------------------------------------------------------------------------


async def test_seconds_are_counted_by_kind(readers: Readers, tmp_path: Path) -> None:
    order = Order(audio_s=3.0, video_s=1.0, size=4 << 30)
    sound = make_film(tmp_path / "a.mkv", "matroska", None, "flac")
    film = make_film(tmp_path / "b.mkv", "matroska", "mpeg4", "flac")
    assert (await read(readers, sound, order))[0] == "audio"
    error = await refused(readers, film, order)
    assert (error.code, error.facts) == (Code.TOO_LARGE, {"maximum_seconds": 1.0})


def silence(path: Path, hours: int) -> Path:
    """Opus at well under 6 kbit/s; one packet, over and over, since encoding eight hours takes a minute."""
    with av.open(str(path), "w", format="ogg") as output:
        stream = output.add_stream("libopus", rate=48000, layout="mono", options={"frame_duration": "60"})
        stream.bit_rate = 6000
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        packets = [packet for each in (frame, None) for packet in stream.encode(each)]
        data, length = bytes(packets[3]), packets[3].duration
        for number in range(hours * 60000):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, packets[3].time_base
            packet.pts = packet.dts = number * length
            packet.duration = length
            output.mux(packet)
    return path


@pytest.mark.parametrize(("hours", "seconds"), [(1, 120), pytest.param(8, 2000, marks=pytest.mark.nightly)])
async def test_hours_in_a_small_file_stop_at_the_limit(
    readers: Readers, tmp_path: Path, hours: int, seconds: int
) -> None:
    """F6, vllm#44970: 8 h of Opus, 6 kbit/s."""
    path = silence(tmp_path / "bomb.ogg", hours)
    assert path.stat().st_size < hours * (3 << 20)
    error = await refused(readers, path, Order(audio_s=seconds, video_s=seconds, size=4 << 30))
    assert (error.code, error.facts) == (Code.TOO_LARGE, {"maximum_seconds": seconds})
    assert (seconds - 2) * 32000 < path.with_suffix(".pcm").stat().st_size <= seconds * 32000


@pytest.mark.parametrize(("channels", "rate"), [(1, 655_350), (64, 16000), (16, 48000), (1, 1), (65535, 0xFFFFFFFF)])
async def test_forged_shapes_are_refused(readers: Readers, tmp_path: Path, channels: int, rate: int) -> None:
    path = tmp_path / "forged.wav"
    path.write_bytes(wav(channels, rate, bytes(1 << 18)))
    error = await refused(readers, path, Order(audio_s=10, video_s=10, size=4 << 30))
    assert error.code in (Code.UNSUPPORTED_MEDIA, Code.TOO_LARGE)


async def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    readers = Readers(wall_s=0.0)
    path = make_film(tmp_path / "a.flac", "flac", None, "flac")
    assert (await refused(readers, path)).code is Code.TOO_LARGE
    await readers.aclose()


async def test_a_request_that_is_cancelled_ends_its_reader(readers: Readers, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(wav(1, 8000, bytes(1 << 27)))
    path_small = make_film(tmp_path / "a.flac", "flac", None, "flac")
    await read(readers, path_small)
    (template,) = children()
    with path.open("rb") as source:
        task = asyncio.ensure_future(readers.read(Order(1e6, 1e6, 1 << 40, rate=48000), source.fileno()))
        (reader,) = await asyncio.to_thread(appeared, template)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(psutil.wait_procs, [reader], 10)
        assert not reader.is_running()
    await read(readers, path_small)


async def test_only_so_many_may_wait(tmp_path: Path) -> None:
    readers = Readers(at_once=1, waiting=1)
    path = make_film(tmp_path / "a.flac", "flac", None, "flac")
    with path.open("rb") as one, path.open("rb") as two, path.open("rb") as three:
        asked = (readers.read(LIMITS, file.fileno()) for file in (one, two, three))
        answers = await asyncio.gather(*asked, return_exceptions=True)
    (busy,) = [each for each in answers if isinstance(each, VoiceError)]
    assert (busy.code, busy.facts) == (Code.BUSY, {"retry_after": 10})
    await readers.aclose()


async def test_a_template_that_is_lost_while_it_reads_is_replaced(readers: Readers, tmp_path: Path) -> None:
    """Found here: the second attempt has to begin at the beginning of both files, which the first moved on in."""
    path = tmp_path / "long.wav"
    path.write_bytes(wav(1, 8000, tone(440, 300.0, 8000)))
    task = asyncio.ensure_future(read(readers, path))
    await asyncio.sleep(0)
    template = await asyncio.to_thread(busy_template, path.with_suffix(".pcm"))
    template.send_signal(signal.SIGKILL)
    _, _, pcm = await task
    assert len(pcm) / 32000 == pytest.approx(300.0, abs=0.1)


def busy_template(target: Path) -> Any:
    """The template, as soon as a reader of its has written something."""
    while not (target.exists() and target.stat().st_size):
        continue
    return next(process for process in children() if process.ppid() == os.getpid())


async def test_a_template_that_is_lost_is_replaced(readers: Readers, tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.flac", "flac", None, "flac")
    await read(readers, path)
    (template,) = children()
    template.send_signal(signal.SIGKILL)
    await read(readers, path)


async def test_a_full_disk_is_no_fault_of_the_file(readers: Readers, tmp_path: Path) -> None:
    """R6: /dev/full takes nothing."""
    path = make_film(tmp_path / "a.flac", "flac", None, "flac")
    with path.open("rb") as source, FULL.open("wb") as target, pytest.raises(VoiceError) as caught:  # noqa: ASYNC230
        await readers.read(LIMITS, source.fileno(), target.fileno())
    assert (caught.value.code, caught.value.facts) == (Code.STORAGE_FULL, {"retry_after": 60})


# -- what they cannot reach --------------------------------------------------------------------------


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A port that must never be connected to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


SECRET = Path("/etc/passwd").read_bytes()[:20]


def playlists(port: int) -> Iterator[bytes]:
    """What makes FFmpeg open something else, under any name."""
    for url in (
        "file:///etc/passwd",
        "/etc/passwd",
        f"http://127.0.0.1:{port}/canary.ts",
        "subfile,,start,0,end,999,,:/etc/passwd",
    ):
        yield f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n".encode()
        yield f"ffconcat version 1.0\nfile '{url}'\n".encode()
        yield f"<?xml version='1.0'?><MPD type='static'><Period><AdaptationSet><BaseURL>{url}</BaseURL>".encode()
        yield f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio {port} RTP/AVP 0\na={url}\n".encode()
        yield f"<ASX version='3'><entry><ref href='{url}'/></entry></ASX>".encode()
        yield f"[playlist]\nFile1={url}\n".encode()
        yield f"concat:{url}|{url}".encode()
        # the same inside something that begins as media does
        yield b"ID3\x03\x00\x00\x00\x00\x00\x00" + f"#EXTM3U\n#EXTINF:1,\n{url}\n".encode()
        yield b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  " + reference_movie(url.encode())


def atom(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def reference_movie(url: bytes) -> bytes:
    """QuickTime's own way to point elsewhere: a reference movie, and a data reference."""
    reference = atom(b"rmra", atom(b"rmda", atom(b"rdrf", bytes(4) + b"url " + struct.pack(">I", len(url)) + url)))
    data = atom(b"dinf", atom(b"dref", bytes(4) + struct.pack(">I", 1) + atom(b"url ", bytes(4) + url + b"\x00")))
    track = atom(b"trak", atom(b"mdia", atom(b"minf", data)))
    return atom(b"moov", reference + track)


async def test_playlists_reach_nothing_whatever_they_are_called(
    readers: Readers, tmp_path: Path, canary: socket.socket
) -> None:
    """F6: HLS, DASH, SDP, concat, subfile and reference movies as .mp4, at a file and at a port of ours."""
    for number, data in enumerate(playlists(canary.getsockname()[1])):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(data)
        began = time.monotonic()
        error = await refused(readers, path)
        assert time.monotonic() - began < 10
        assert error.code is Code.UNSUPPORTED_MEDIA, data
        assert SECRET not in error.message.encode()
        assert SECRET not in path.with_suffix(".pcm").read_bytes()


# -- damaged files -----------------------------------------------------------------------------------


def mutants(tmp_path: Path, count: int) -> Iterator[bytes]:
    rng = random.Random(6)
    forms = [*FILMS.values(), ("wav", None, "pcm_s16le"), ("mp3", None, "libmp3lame"), ("ogg", None, "libopus")]
    forms += [("flac", None, "flac"), ("ipod", None, "aac"), ("adts", None, "aac")]
    whole = [make_film(tmp_path / f"whole{at}", *form).read_bytes() for at, form in enumerate(forms)]
    for number in range(count):
        damaged = bytearray(whole[number % len(whole)])
        for _ in range(rng.randint(1, 12)):
            damaged[rng.randrange(min(len(damaged), 600))] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        yield bytes(damaged)


async def damage(readers: Readers, tmp_path: Path, count: int) -> None:
    order = Order(audio_s=20, video_s=20, size=1 << 26)
    outcomes = []
    for number, data in enumerate(mutants(tmp_path, count)):
        path = tmp_path / "damaged"
        path.write_bytes(data)
        try:
            _, _, pcm = await read(readers, path, order)
            outcomes.append(len(pcm))
        except VoiceError as error:
            assert error.code in (Code.UNSUPPORTED_MEDIA, Code.TOO_LARGE), number
    assert 0 < len(outcomes) < count
    assert max(outcomes) <= 20 * 32000 + 3200
    (template,) = children()
    assert template.memory_info().rss < 120 << 20, "the template reads nothing, so nothing may stay in it"


async def test_damaged_headers_end_in_sound_or_a_typed_error(readers: Readers, tmp_path: Path) -> None:
    """F6."""
    await damage(readers, tmp_path, 60)


@pytest.mark.nightly
async def test_very_many_damaged_headers(readers: Readers, tmp_path: Path) -> None:
    """F6."""
    await damage(readers, tmp_path, 5_000)
