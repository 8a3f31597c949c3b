"""Where no weights are but a small Whisper: who stands in, that the reply says so, and what else is told by name."""

import io
import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from loadtest.recordings import record
from tests.api.serving import Api, Person, settled
from tests.checkpoints.nano_demucs.music import music

SENTENCE = "please open the window"


def flac(sound: np.ndarray, rate: int = 16_000) -> dict[str, tuple[str, bytes]]:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="FLAC")
    return {"audio_file": ("sound.flac", file.getvalue())}


@pytest.fixture
def client(api: Api, ann: Person) -> Iterator[httpx.Client]:
    with api.client(ann) as client:
        yield client


def test_recordings_are_heard_by_the_live_model(client: httpx.Client) -> None:
    """A v1 is transformers' where that is installed."""
    said = np.frombuffer(record([SENTENCE]).pcm, "<i2")
    reply = client.post("/api/v1/stt", files=flac(said), data={"language": "english"})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["engine"], reply.json()["text"]) == ("faster-whisper", SENTENCE)


def test_speech_described_and_cloned_is_espeaks(client: httpx.Client) -> None:
    for path, data, file in (
        ("auto", {"text": "Good morning."}, None),
        ("design", {"text": "Good morning.", "gender": "female"}, None),
        ("clone", {"text": "Good morning."}, {"ref_audio": ("me.flac", flac(_voice())["audio_file"][1])}),
    ):
        reply = client.post(f"/api/v1/tts/{path}", data={**data, "language": "english"}, files=file)
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-engine"] == "espeak-ng", path


def _voice() -> np.ndarray:
    return np.frombuffer(record(["call the doctor tomorrow", SENTENCE], pause=0.3).pcm, "<i2")


def test_music_is_taken_apart_by_the_classical_method(client: httpx.Client) -> None:
    song = music(6.0, np.random.default_rng(1))
    asked = client.post("/api/v1/audio-separate", files=flac(song), data={"mode": "vocals"})
    assert settled(client, f"/api/v1/job/{asked.json()['job_id']}")["engine"] == "repetition"


def test_what_could_be_had_is_listed_with_its_command(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()
    absent = {row["id"]: row["install"] for row in listed["not_installed"]}
    assert absent["whisper-small"] == "voxline models pull whisper-small" and "omnivoice" in absent
    assert not absent.keys() & {row["id"] for row in listed["data"]}


@pytest.mark.parametrize(
    ("model", "code"),
    [("large-v3-turbo", None), ("auto", None), ("large-v3", "not_installed"), ("whisper-small", "not_installed"),
     ("../model", "bad_request"), ("gpt", "not_found")],
)  # fmt: skip
async def test_a_stream_that_names_a_model(api: Api, ann: Person, model: str, code: str | None) -> None:
    """The document's default is whatever is here; another that is not says how to have it."""
    url = api.base.replace("http", "ws", 1) + "/v1/stream"
    async with connect(url, additional_headers=ann.bearer) as stream:
        await stream.send(json.dumps({"language": "en", "model": model}))
        told = json.loads(await stream.recv())
        if code is None:
            assert (told["status"], told["engine"]) == ("ready", "faster-whisper")
            await stream.send('{"action": "stop"}')
            return
        assert told["code"] == code and told["fatal"]
        if code == "not_installed":
            assert told["install"] == f"voxline models pull {model}"
        with pytest.raises(ConnectionClosed):
            await stream.recv()


def test_a_voice_of_a_model_that_is_not_here(client: httpx.Client) -> None:
    request = {"text": "Hello.", "voiceCode": "vits-en", "outputFormat": "wav", "mode": "sync"}
    reply = client.post("/v1/tts", json=request, headers={"App-Id": "test"})
    assert reply.status_code == 400 and "voiceCode" in reply.text
