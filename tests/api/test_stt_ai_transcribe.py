"""Seed C's transcriptions over a real server: formats in and out, models, speakers, prices, and every way to fail."""

import math
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from accounts.ledger import Balance
from server.accounts import Accounts
from tests.api.serving import PATIENCE_S, Api, Person, settled
from tests.engines.media.films import FILMS, make_film

PATH = "/v1/transcribe"
# C2: its sixteen formats; the codecs of sound alone, and of films as in FILMS.
SOUNDS = {
    "mp3": ("mp3", "libmp3lame"),
    "wav": ("wav", "pcm_s16le"),
    "flac": ("flac", "flac"),
    "ogg": ("ogg", "libopus"),
    "m4a": ("ipod", "aac"),
    "aac": ("adts", "aac"),
    "opus": ("opus", "libopus"),
    "wma": ("asf", "wmav2"),
}
FORMATS = [*SOUNDS, "mp4", "webm", "mkv", "avi", "mov", "wmv", "mpg", "mpeg"]


@pytest.fixture(scope="module")
def sample(files: Path) -> bytes:
    return (files / "sample.wav").read_bytes()


def send(client: httpx.Client, data: bytes, name: str = "sample.wav", **fields: Any) -> httpx.Response:
    return client.post(PATH, files={"file": (name, data)}, data=fields)


def refusal(reply: httpx.Response, status: int) -> str:
    """C21: a plain string, and nothing else."""
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert body.keys() == {"error"} and isinstance(body["error"], str)
    return str(body["error"])


def test_every_format_of_the_document(idle: Api, tmp_path: Path) -> None:
    """C2: each of the sixteen is read to its end and priced, as nobody is told of what cannot be read (test_400)."""
    with idle.client(idle.person(credits=0)) as client:
        for name in FORMATS:
            path = tmp_path / f"tone.{name}"
            if name in SOUNDS:
                make_film(path, SOUNDS[name][0], None, SOUNDS[name][1])
            else:
                make_film(path, *FILMS["mpg" if name == "mpeg" else name])
            reply = send(client, path.read_bytes(), path.name)
            assert reply.status_code == 402, (name, reply.text)


@pytest.mark.parametrize(
    ("form", "media_type", "begins"),
    [
        ("txt", "text/plain; charset=utf-8", ""),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n"),
    ],
)
def test_text_and_subtitles(api: Api, ann: Person, sample: bytes, form: str, media_type: str, begins: str) -> None:
    """C5."""
    with api.client(ann) as client:
        reply = send(client, sample, response_format=form, language="en", diarize="no")
    assert reply.status_code == 200 and reply.headers["content-type"] == media_type
    assert reply.text.strip() and reply.text.startswith(begins)


def test_json_says_who_did_it_and_what_it_cost_beside_the_document_fields(
    api: Api, ann: Person, sample: bytes
) -> None:
    """C6: the body is the document's alone; the rest is in headers."""
    with api.client(ann) as client:
        reply = send(client, sample, language="en", model="small")
        assert reply.json().keys() == {"text", "language", "duration", "segments", "speakers"}
        assert reply.json()["language"] == "en" and reply.json()["duration"] == 4.0
        assert reply.json()["speakers"] == ["Speaker 1"] and reply.json()["segments"][0]["speaker"] == "Speaker 1"
        assert (reply.headers["x-engine"], reply.headers["x-credits-used"]) == ("faster-whisper", "1")
        kept = client.get(f"/api/v1/transcripts/{reply.headers['x-job-id']}/").json()
    assert (kept["text"], kept["segments"]) == (reply.json()["text"], reply.json()["segments"])


def test_nobody_is_told_apart_where_that_is_not_wanted(api: Api, ann: Person, sample: bytes) -> None:
    """C5."""
    with api.client(ann) as client:
        reply = send(client, sample, language="en", diarize="False").json()
        assert reply["speakers"] == [] and all("speaker" not in one for one in reply["segments"])


def test_the_price_is_of_started_minutes(api: Api, files: Path) -> None:
    """C4: 121 seconds are three."""
    person = api.person(credits=10)

    async def left(accounts: Accounts) -> Balance:
        async with accounts.store.read() as connection:
            return await accounts.ledger.balance(connection, person.user_id)

    with api.client(person) as client:
        long = (files / "podcast_20min.mp3").read_bytes()
        reply = send(client, long, "podcast_20min.mp3", diarize="false", language="en")
    seconds = reply.json()["duration"]
    assert seconds > 120 and reply.headers["x-credits-used"] == str(math.ceil(seconds / 60))
    assert api.within(left) == Balance(available=70_000, spent=30_000)


def test_a_client_that_leaves_takes_nothing_with_it(api: Api, files: Path) -> None:
    """The job goes on, and its transcript is in the account (C22)."""
    person = api.person()
    form = {"file": ("podcast.mp3", 6 * (files / "podcast.mp3").read_bytes())}
    number = api.left(PATH, person=person, files=form, data={"diarize": "0"})
    with api.client(person) as client:
        (found,) = client.get("/api/v1/transcripts/").json()["results"]
        assert found["id"] == number and settled(client, f"/api/v1/transcripts/{number}/")["text"]


def test_the_same_request_again_is_the_same_job(api: Api, ann: Person, sample: bytes) -> None:
    """Idempotency-Key, by either address."""
    ids = set()
    with api.client(ann) as client:
        for path in (PATH, f"/c{PATH}"):
            fields, key = {"language": "en", "diarize": "0"}, {"Idempotency-Key": "stt-ai-once"}
            reply = client.post(path, files={"file": ("a.wav", sample)}, data=fields, headers=key)
            ids.add(reply.headers["x-job-id"])
    assert len(ids) == 1


# -- errors: C20, C21 ----------------------------------------------------------------------------------


def test_400(api: Api, ann: Person, sample: bytes) -> None:
    """Missing file, unsupported format, and fields that are wrong: each named."""
    with api.client(ann) as client:
        assert "file is required" in refusal(client.post(PATH, data={"model": "small"}), 400)
        assert "other" in refusal(client.post(PATH, files={"other": ("a.wav", sample)}), 400)
        refusal(send(client, b"not a sound at all" * 99, "a.mp3"), 400)
        refusal(client.post(PATH, json={"file": "a"}), 400)
        for name, value in (
            ("response_format", "doc"),
            ("speakers", "-1"),
            ("speakers", "many"),
            ("language", "klingon"),
            ("model", "gpt-4"),
        ):
            assert name in refusal(send(client, sample, **{name: value}), 400)


def test_401(api: Api) -> None:
    """A key that is shown must be right."""
    with api.client(address="127.0.4.1") as client:
        for path in (PATH, f"/c{PATH}", "/v1/summarize"):
            reply = client.post(path, headers={"Authorization": "Bearer nonsense"})
            refusal(reply, 401)
            assert reply.headers["www-authenticate"] == "Bearer"


def test_402(idle: Api, sample: bytes) -> None:
    """No credits."""
    person = idle.person("pro", credits=0)
    with idle.client(person) as client:
        assert "No credits remaining" in refusal(send(client, sample), 402)


def test_404_and_405(api: Api) -> None:
    with api.client() as client:
        refusal(client.get("/c/v1/nothing"), 404)
        reply = client.get(PATH)
        refusal(reply, 405)
        assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize(("plan", "mib"), [("", 100), ("free", 500), ("pro", 2048)])
def test_413(idle: Api, plan: str, mib: int) -> None:
    """C3: refused by its declared size, before any of it is read."""
    key = f"Authorization: Bearer {idle.person(plan).key}\r\n" if plan else ""
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\n{key}Content-Type: multipart/form-data; boundary=x\r\n"
    address = urlsplit(idle.base)
    own = ("127.0.0.9", 0)  # an address of its own: the other tests' requests without a key count for theirs
    with socket.create_connection((address.hostname, address.port), PATIENCE_S, source_address=own) as connection:
        connection.sendall(f"{head}Content-Length: {(mib + 1) << 20}\r\n\r\n".encode())
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 413 ")


def test_503_names_the_command_that_adds_what_is_missing(idle: Api, sample: bytes) -> None:
    """C23, of a language that only weights know."""
    with idle.client(idle.person()) as client:
        assert "voxline models pull" in refusal(send(client, sample, language="vi"), 503)
