"""Seed D's tasks on a running server: told of by a webhook, asked for by their id (D14, D21, D23)."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.ears import hear
from tests.api.mailbox import Mailbox, mailboxes
from tests.api.serving import PATIENCE_S, Api, Person, settled

BODY = {"model": "kokoro", "text": "Hello! " * 20, "voice": "af_bella"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def client(api: Api, ann: Person) -> Iterator[httpx.Client]:
    with api.client(ann) as http:
        yield http


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mailboxes() as box:
        yield box


def accepted(reply: httpx.Response) -> dict[str, Any]:
    """The reply to a request that names a webhook: at once, with where the result will be."""
    body: dict[str, Any] = reply.json()
    assert reply.status_code == 202, body
    assert body.keys() == {"task_id", "status", "result_url", "credits_used", "created_at"}
    assert re.fullmatch(r"task_[0-9a-f]{32}", body["task_id"]) and body["status"] == "queued"
    assert body["result_url"].endswith(f"/v1/results/{body['task_id']}") and TIME.fullmatch(body["created_at"])
    return body


def event(mailbox: Mailbox, task: dict[str, Any]) -> dict[str, Any]:
    """What was posted of it."""
    assert mailbox.arrived.wait(PATIENCE_S)
    told = mailbox.body
    fields = {"event", "task_id", "status", "result_url", "credits_used", "created_at", "completed_at"}
    assert fields <= told.keys() <= fields | {"error"} and mailbox.headers["webhook-signature"]
    assert {name: told[name] for name in ("task_id", "result_url", "created_at")}.items() <= task.items()
    assert datetime.fromisoformat(told["completed_at"]) >= datetime.fromisoformat(told["created_at"])
    return told


def test_a_long_text(client: httpx.Client, mailbox: Mailbox) -> None:
    """D23, with speech (D5)."""
    task = accepted(client.post("/v1/tts/", json={**BODY, "webhook_url": mailbox.url}))
    told = event(mailbox, task)
    assert (told["event"], told["status"]) == ("task.completed", "success")
    assert told["credits_used"] == task["credits_used"] == 2 * len(BODY["text"].strip()) / 1000
    result = client.get(told["result_url"]).json()
    assert (result["status"], result["type"], result["progress"]) == ("success", "tts", 100)
    assert result["engine"] == "espeak-ng" and result["completed_at"] == told["completed_at"]
    (file,) = result["files"]
    assert file["role"] == "audio" and file["content_type"] == "audio/mpeg"
    sound = httpx.get(file["url"])  # its name is the secret (D21)
    assert len(sound.content) == file["size"] and hear(sound.content).seconds > 5


def test_a_separation(client: httpx.Client, mailbox: Mailbox, files: Path) -> None:
    """D14, D23: two stems, as long as the song, which add up to it."""
    with (files / "song.mp3").open("rb") as song:
        form = {"webhook_url": mailbox.url, "format": "flac"}
        task = accepted(client.post("/v1/audio/separate/", data=form, files={"file": song}))
    told = event(mailbox, task)
    assert (told["event"], told["status"], told["credits_used"]) == ("task.completed", "success", 4)
    result = client.get(task["result_url"]).json()["result"]
    assert result.keys() == {"task_id", "status", "stems", "duration", "engine", "credits_used"}
    assert result["stems"].keys() == {"vocals", "instrumental"}
    stems = [hear(httpx.get(url).content) for url in result["stems"].values()]
    song_s = hear(files / "song.mp3").seconds
    assert all(stem.codec == "flac" and stem.rate == 44_100 and abs(stem.seconds - song_s) < 0.1 for stem in stems)


def test_one_that_fails(client: httpx.Client, mailbox: Mailbox) -> None:
    """D23 tells of success only; of a failure it is told in the same words, and nothing is paid."""
    silence = bytes(32_000)
    wav = b"RIFF" + (36 + len(silence)).to_bytes(4, "little") + b"WAVEfmt " + bytes.fromhex(
        "1000000001000100803e0000007d000002001000"
    ) + b"data" + len(silence).to_bytes(4, "little") + silence
    form = {"text": "Hello", "webhook_url": mailbox.url}
    task = accepted(client.post("/v1/tts/clone/", data=form, files={"reference_audio": ("a.wav", wav)}))
    told = event(mailbox, task)
    assert (told["event"], told["status"], told["credits_used"]) == ("task.failed", "failed", 0)
    assert told["error"]["code"] == "bad_request" and told["error"]["message"]
    result = client.get(task["result_url"]).json()
    assert result["status"] == "failed" and result["error"] == told["error"] and "files" not in result


def test_a_transcript_is_kept_with_its_task(client: httpx.Client, files: Path) -> None:
    """D21: what was waited for can be asked for again, in the same words."""
    with (files / "recording.wav").open("rb") as recording:
        reply = client.post("/v1/stt/", files={"file": recording})
    task = reply.headers["x-task-id"]
    assert client.get(f"/v1/results/{task}").json()["result"] == reply.json()
    assert client.get(f"/d/v1/results/{task}").json()["type"] == "stt"


def test_settled_by_asking(client: httpx.Client) -> None:
    """Without a receiver: by asking, until it is done."""
    task = accepted(client.post("/v1/tts/", json={**BODY, "webhook_url": "http://127.0.0.1:9999/"}))
    assert settled(client, f"/v1/results/{task['task_id']}")["status"] == "success"
