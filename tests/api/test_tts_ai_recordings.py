"""Seed D's recordings on a running server: recognition, voices, tools (D7, D8, D10, D12-D17), by what comes back.

How well the tools do their work is measured where they are (tests/engines, tests/batch/pipelines).
"""

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.ears import Heard, hear
from tests.api.serving import Api, Person

RATE = 22_050


@pytest.fixture
def client(api: Api, ann: Person) -> Iterator[httpx.Client]:
    with api.client(ann) as http:
        yield http


def send(client: httpx.Client, path: str, file: Path | bytes, **fields: Any) -> httpx.Response:
    name, data = ("a.wav", file) if isinstance(file, bytes) else (file.name, file.read_bytes())
    reply = client.post(f"/v1/{path}/", data=fields, files={"file": (name, data)})
    assert reply.status_code == 200, reply.text
    assert {"x-credits-used", "x-credits-remaining", "x-task-id", "x-ratelimit-remaining"} <= reply.headers.keys()
    return reply


def made(client: httpx.Client, path: str, file: Path | bytes, **fields: Any) -> Heard:
    reply = send(client, path, file, **fields)
    assert int(reply.headers["content-length"]) == len(reply.content) and reply.headers["x-engine"]
    return hear(reply.content)


def wav(samples: "np.typing.NDArray[np.float64]", rate: int = RATE) -> bytes:
    """A file of mono samples, -1 to 1."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.clip(samples * 32767, -32768, 32767).astype("<i2").tobytes())
    return whole.getvalue()


def test_who_speaks(client: httpx.Client, files: Path) -> None:
    """D7, D8: speakers of a film by their numbers, and no words where none are asked for; a minute begun costs two."""
    reply = send(client, "stt", files / "video.mp4", language="en", diarize="true")
    body = reply.json()
    assert body.keys() == {"text", "language", "duration", "segments"} and reply.headers["x-credits-used"] == "2"
    assert {segment["speaker"] for segment in body["segments"]} == {"SPEAKER_00"}
    assert all(segment.keys() == {"start", "end", "text", "speaker"} for segment in body["segments"])


def test_another_voice(client: httpx.Client, files: Path) -> None:
    """D10, D12: as long as what was said, however it is written; at twice the speed half as long."""
    spoken = hear(files / "sample.wav")
    asked = {"target_voice": "am_adam", "model": "knn-vc", "format": "flac"}
    converted = made(client, "voice-convert", files / "sample.wav", **asked)
    assert converted.codec == "flac" and abs(converted.seconds - spoken.seconds) < 0.5 and converted.loudness > 0.01
    quick = made(client, "speech-to-speech", files / "sample.wav", voice="af_bella", emotion="happy", speed="2.0")
    assert quick.codec == "pcm_s16le" and 0.35 < quick.seconds / spoken.seconds < 0.65 and quick.loudness > 0.01


def test_enhanced(client: httpx.Client) -> None:
    """D13: less noise than was sent, in the format that was sent."""
    noise = 0.05 * np.random.default_rng(1).standard_normal(3 * RATE)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE) * (np.arange(3 * RATE) % RATE < RATE // 2)
    sent = noise + tone
    better = made(client, "audio/enhance", wav(sent), strength="3", enhance_clarity="false")
    assert better.codec == "pcm_s16le" and abs(better.seconds - 3) < 0.1

    def floor(samples: Any, rate: int) -> float:
        return float(np.sqrt(np.mean(samples[round(0.6 * rate) : round(0.95 * rate)] ** 2)) / np.abs(samples).max())

    assert floor(better.samples, better.rate) < 0.5 * floor(sent, RATE)


def test_without_its_room(client: httpx.Client) -> None:
    """D15: as long as it was, and quieter after the sound has ended."""
    clicks = np.zeros(2 * RATE)
    clicks[:: RATE // 2] = 0.8
    room = np.exp(-np.arange(RATE // 2) / (0.12 * RATE)) * np.random.default_rng(2).standard_normal(RATE // 2)
    wet = np.convolve(clicks, room)[: 2 * RATE]
    wet *= 0.7 / np.abs(wet).max()
    dry = made(client, "audio/de-echo", wav(wet), type="reverb", intensity="5")
    assert abs(dry.seconds - 2) < 0.1

    def tail(samples: Any, rate: int) -> float:
        return float(np.sqrt(np.mean(samples[round(0.3 * rate) : round(0.45 * rate)] ** 2)) / np.abs(samples).max())

    assert tail(dry.samples, dry.rate) < tail(wet, RATE)


def test_key_and_tempo(client: httpx.Client) -> None:
    """D16: of a tune whose key and tempo are known; and what goes with the key. It costs nothing."""
    beat_s, sound = 60 / 120, np.zeros(round(12 * RATE))
    times = np.arange(round(0.4 * RATE)) / RATE
    for number in range(24):
        strength = 0.25 if number % 4 == 0 else 0.15
        for note in ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))[number // 4 % 4]:
            tone = np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * times)
            at = round(number * beat_s * RATE)
            sound[at : at + len(times)] += strength * np.exp(-6 * times) * tone
    reply = send(client, "audio/analyze", wav(sound))
    body = reply.json()
    assert body.keys() == {"key", "scale", "bpm", "time_signature", "camelot", "compatible_keys"}
    assert (body["key"], body["scale"], body["camelot"]) == ("C", "Major", "8B")
    assert set(body["compatible_keys"]) == {"C Major", "G Major", "F Major", "A Minor"}
    assert min(abs(body["bpm"] - tempo) for tempo in (60, 120)) < 2 and body["time_signature"] == "4/4"
    assert reply.headers["x-credits-used"] == "0"


@pytest.mark.parametrize(
    ("fields", "codec", "media"),
    [
        ({"format": "mp3", "bitrate": "320", "sample_rate": "48000", "channels": "stereo"}, "mp3", "audio/mpeg"),
        ({"format": "wav", "sample_rate": "22050", "channels": "mono"}, "pcm_s16le", "audio/wav"),
        ({"format": "flac"}, "flac", "audio/flac"),
        ({"format": "ogg", "sample_rate": "44100"}, "vorbis", "audio/ogg"),
        ({"format": "m4a", "bitrate": "128", "sample_rate": "44100"}, "aac", "audio/mp4"),
        ({"format": "aac", "bitrate": "64"}, "aac", "audio/aac"),
    ],
)
def test_converted(client: httpx.Client, files: Path, fields: dict[str, str], codec: str, media: str) -> None:
    """D17: exactly as asked for, and as the file was where nothing was; free."""
    reply = send(client, "audio/convert", files / "sample.wav", **fields)
    sound, sent = hear(reply.content), hear(files / "sample.wav")
    assert reply.headers["content-type"] == media and sound.codec.startswith(codec)
    assert sound.rate == int(fields.get("sample_rate", sent.rate))
    assert sound.channels == (2 if fields.get("channels") == "stereo" else 1)
    assert abs(sound.seconds - sent.seconds) < 0.2 and sound.loudness == pytest.approx(sent.loudness, rel=0.15)
    assert reply.headers["x-credits-used"] == "0"
    if "bitrate" in fields:
        assert len(reply.content) * 8 / sound.seconds / 1000 == pytest.approx(int(fields["bitrate"]), rel=0.35)


def test_stems_that_nothing_here_makes(client: httpx.Client, files: Path) -> None:
    """D14: told before anything is paid, with the command that adds them."""
    sent = {"file": ("song.mp3", (files / "song.mp3").read_bytes())}
    reply = client.post("/v1/audio/separate/", data={"stems": "6"}, files=sent)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (404, "not_found") and "htdemucs_6s" in error["install"]
