"""A server with VITS voices beside espeak-ng: who does it best speaks, and the reply says who that was."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.serving import serve
from tests.checkpoints.nano_vits.make_nano_vits import make


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    root = tmp_path_factory.mktemp("vits")
    make(root / "voices" / "mms-tts-eng")
    with serve(root, vits_model=str(root / "voices"), vits_threads="1") as api, api.client(api.person()) as client:
        yield client


def engine_of(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    assert float(reply.headers["x-duration-secs"]) > 0.3
    return reply.headers["x-engine"]


def test_who_speaks(client: httpx.Client) -> None:
    """Auto: the model where it knows the language; a description: the engine that follows one."""
    english = {"text": "Hello world, this is a voice.", "language": "english"}
    assert engine_of(client.post("/api/v1/tts/auto", data=english)) == "vits"
    french = {"text": "Bonjour tout le monde.", "language": "french"}
    assert engine_of(client.post("/api/v1/tts/auto", data=french)) == "espeak-ng"
    described = client.post("/api/v1/tts/design", data={**english, "gender": "female"})
    assert engine_of(described) == "espeak-ng"


def test_its_voices_are_listed(client: httpx.Client) -> None:
    listed = client.get("/v1/voices", params={"language": "en"}).json()["voices"]
    assert "vits-en" in {voice["id"] for voice in listed}


def test_the_synchronous_call_speaks_with_a_named_voice(client: httpx.Client) -> None:
    request = {"text": "Hello world.", "voiceCode": "vits-en", "outputFormat": "wav", "mode": "sync"}
    reply = client.post("/v1/tts", json=request, headers={"App-Id": "test"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-engine"] == "vits" and reply.content[:4] == b"RIFF"
