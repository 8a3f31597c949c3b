"""Seed C's sounds over a real server: recordings enhanced (C16), a voice cloned (C17)."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from loadtest.recordings import RATE
from tests.api.serving import Api, Person
from tests.api.test_stt_ai_transcribe import refusal


def wav(samples: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> bytes:
    """Samples of -1 to 1 as a file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture(scope="module")
def speech(files: Path) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Four seconds of it."""
    with wave.open(str(files / "sample.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32768
    return np.asarray(samples)


def test_enhance(api: Api, ann: Person, speech: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
    """C16: a WAV of the same length; the price is of a started minute."""
    noisy = speech + 0.02 * np.random.default_rng(1).standard_normal(len(speech))
    with api.client(ann) as client:
        reply = client.post("/v1/enhance-audio", files={"file": ("noisy.wav", wav(noisy))})
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"] == "audio/wav" and reply.headers["x-credits-used"] == "1"
        with wave.open(io.BytesIO(reply.content)) as file:
            assert file.getnframes() / file.getframerate() == pytest.approx(len(speech) / RATE, abs=0.1)
        assert "file is required" in refusal(client.post("/c/v1/enhance-audio", data={}), 400)
        refusal(client.post("/v1/enhance-audio", files={"file": ("a.wav", b"no sound" * 99)}), 400)


def test_clone(api: Api, ann: Person, speech: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
    """C17, X1: a multipart form at the path that three APIs share; the headers tell how long it is, and took."""
    with api.client(ann) as client:
        for path in ("/v1/tts", "/c/v1/tts"):
            files = {"reference": ("me.wav", wav(speech))}
            reply = client.post(path, files=files, data={"text": "Good morning, how are you?", "language": "en"})
            assert reply.status_code == 200, reply.text
            assert reply.headers["content-type"] == "audio/wav" and float(reply.headers["x-generation-time"]) > 0
            with wave.open(io.BytesIO(reply.content)) as file:
                seconds = file.getnframes() / file.getframerate()
            assert float(reply.headers["x-duration"]) == pytest.approx(seconds, abs=0.02) and seconds > 0.5


def test_what_a_clone_needs(api: Api, ann: Person, speech: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
    """C17: 3 to 10 seconds of a voice, and a text."""
    with api.client(ann) as client:
        for reference, text, name in (
            (speech[: 2 * RATE], "Hello", "reference"),
            (np.tile(speech, 3), "Hello", "reference"),
            (speech, " ", "text"),
        ):
            reply = client.post("/v1/tts", files={"reference": ("a.wav", wav(reference))}, data={"text": text})
            assert name in refusal(reply, 400)
        assert "reference" in refusal(client.post("/v1/tts", files={"text": (None, "Hello")}), 400)
