"""Seed A's jobs: cancelled, asked for twice, left alone, and the headers of those waited for (A19-A24, A40)."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.api.serving import Api, Person, settled

AUTO = "/api/v1/tts/auto"


@pytest.fixture
def client(api: Api, ann: Person) -> Iterator[httpx.Client]:
    with api.client(ann) as http:
        yield http


def credits(client: httpx.Client, job_id: str) -> float:
    return float(client.get(f"/api/v1/job/{job_id}").json()["credits_remaining"])


def test_a_queued_job_is_cancelled_and_paid_back(idle: Api) -> None:
    """A24, A8."""
    with idle.client(idle.person(credits=100)) as client:
        job_id = client.post(AUTO, data={"text": "Hello", "async_mode": "true"}).json()["job_id"]
        assert credits(client, job_id) == 94
        reply = client.post(f"/api/v1/job/{job_id}/cancel")
        assert reply.json() == {"success": True, "message": "Job cancelled and credits refunded"}
        told = client.get(f"/api/v1/job/{job_id}").json()
        assert (told["status"], told["credits_used"], told["credits_remaining"]) == ("cancelled", 0, 100)
        assert client.post(f"/api/v1/job/{job_id}/cancel").status_code == 409


def test_a_client_that_leaves_takes_nothing_with_it(idle: Api) -> None:
    """The job it waited for goes on, and can be asked for."""
    person = idle.person()
    job_id = idle.left(AUTO, person=person, data={"text": "Hello"})
    with idle.client(person) as client:
        told = client.get(f"/api/v1/job/{job_id}").json()
        assert told["status"] == "queued" and told["job_type"] == "tts_auto"


def test_the_same_request_twice_is_one_job(client: httpx.Client, files: Path) -> None:
    """A retry with the same Idempotency-Key is answered as the first time, files and waiting included."""
    key = {"Idempotency-Key": str(uuid4())}
    first, again = (client.post(AUTO, data={"text": "Hello"}, headers=key) for _ in range(2))
    assert first.headers["x-job-id"] == again.headers["x-job-id"] and first.content == again.content
    assert client.post(AUTO, data={"text": "Bye"}, headers=key).status_code == 409
    assert (
        client.post("/a" + AUTO, data={"text": "Hello"}, headers=key).headers["x-job-id"] == first.headers["x-job-id"]
    )
    key, sound = {"Idempotency-Key": str(uuid4())}, (files / "sample.wav").read_bytes()
    cloned = [
        client.post(
            "/api/v1/tts/clone", data={"text": "Hi", "async_mode": "1"}, headers=key, files={"ref_audio": sound}
        )
        for _ in range(2)
    ]
    assert cloned[0].json()["job_id"] == cloned[1].json()["job_id"]
    other = client.post("/api/v1/tts/clone", data={"text": "Hi"}, headers=key, files={"ref_audio": sound[:-2]})
    assert other.status_code == 409


def test_headers_of_a_file_that_was_waited_for(client: httpx.Client) -> None:
    """A19, A40; ``X-Engine`` names who spoke."""
    reply = client.post(AUTO, data={"text": "Hello world, this is AI voice", "language": "english"})
    assert reply.headers["content-type"] == "audio/wav" and reply.content[:4] == b"RIFF"
    assert reply.headers["x-engine"] == "espeak-ng" and float(reply.headers["x-duration-secs"]) > 0.5
    assert float(reply.headers["x-credits-used"]) == pytest.approx(1.2 * 29)
    assert reply.headers["content-length"] == str(len(reply.content))
    told = settled(client, f"/api/v1/job/{reply.headers['x-job-id']}")
    assert client.get(told["audio_url"]).content == reply.content


@pytest.mark.parametrize(
    ("form", "media_type"),
    [("srt", "application/x-subrip"), ("vtt", "text/vtt"), ("txt", "text/plain")],
)
def test_headers_of_a_transcript(client: httpx.Client, files: Path, form: str, media_type: str) -> None:
    """A40."""
    sound = {"audio_file": ("video.mp4", (files / "video.mp4").read_bytes())}
    reply = client.post("/api/v1/stt", files=sound, data={"language": "english", "output_format": form})
    assert reply.headers["content-type"].startswith(media_type)
    assert reply.headers["x-media-type"] == "video" and reply.headers["x-engine"] == "faster-whisper"
    seconds = float(reply.headers["x-duration-secs"])
    assert float(reply.headers["x-credits-used"]) == pytest.approx(seconds * 60, rel=1e-4)  # A41: 3600 a minute


def test_every_form_of_form(client: httpx.Client) -> None:
    """A7: multipart as curl sends it, urlencoded as requests does."""
    fields = {"text": "Xin chào", "language": "vietnamese", "async_mode": "1"}
    assert client.post(AUTO, data=fields).json()["status"] == "queued"
    parts = {name: (None, value) for name, value in fields.items()}
    assert client.post(AUTO, files=parts).json()["status"] == "queued"


def test_the_prefix(client: httpx.Client) -> None:
    """Under ``/a`` it is A's, files included (the escape hatch)."""
    job_id = client.post("/a" + AUTO, data={"text": "Hello", "async_mode": "1"}).json()["job_id"]
    told = settled(client, f"/a/api/v1/job/{job_id}")
    assert client.get("/a" + told["audio_url"]).content[:4] == b"RIFF"
    assert client.get("/a/api/v1/health").json()["status"] == "ok"
    assert client.get("/a/nothing").json()["code"] == "not_found"


def test_slashes_are_not_redirected(client: httpx.Client) -> None:
    """X2: a redirect would lose the body."""
    assert client.post(AUTO + "/", data={"text": "a"}).status_code == 404


def test_health_needs_no_key(api: Api) -> None:
    """A9."""
    with api.client() as nobody:
        assert nobody.get("/api/v1/health").json().keys() == {"status", "version"}


def test_options(client: httpx.Client) -> None:
    """A10."""
    options = client.get("/api/v1/options").json()
    assert {"vietnamese", "english", "auto"} <= set(options["languages"])
    for value in options["styles"]:
        assert client.post("/api/v1/tts/design", data={"text": "Hi", "style": value}).is_success
