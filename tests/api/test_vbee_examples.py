"""Seed B's example by the real curl, its callback, and the question after it (B1-B13)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.mailbox import Mailbox, mailboxes
from tests.api.serving import PATIENCE_S, Api, Person, examples, settled, shell

COMMAND = examples("vbee.curl.txt")["speak"]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mailboxes() as box:
        yield box


def test_the_example(api: Api, ann: Person, desk: Path, mailbox: Mailbox) -> None:
    """B2 wants the header that the sample leaves out; curl sends the body as a form, and it is read as what it is."""
    command = COMMAND.replace("https://vbee.vn", api.base).replace("https://mydomain/callback", mailbox.url)
    command = command.replace("--location", f"--location -H 'Authorization: Bearer {ann.key}'")
    reply = json.loads(shell(command, desk))
    assert reply["status"] == 1
    said = {
        "app_id": "55e0053d-f86f-4c2b-b791-b1ba6d59a868",
        "audio_type": "mp3",
        "bitrate": 128,
        "characters": 297,
        "speed_rate": "1.0",
        "voice_code": "hn_female_ngochuyen_full_48k-fhg",
    }
    request_id = reply["result"]["request_id"]
    assert reply["result"].items() >= {**said, "status": "IN_PROGRESS"}.items()
    with api.client(ann) as client:
        result = settled(client, f"/api/v1/tts/{request_id}")["result"]
        assert result.items() >= {**said, "status": "SUCCESS", "progress": 100, "audio_expired": False}.items()
        assert result["audio_link"].startswith(api.base + "/audio/tts_")
    with api.client() as anybody:
        sound = anybody.get(result["audio_link"])
        assert sound.headers["content-type"] == "audio/mpeg" and len(sound.content) > 10_000
    assert mailbox.arrived.wait(PATIENCE_S)
    assert mailbox.body == {
        **said,
        "request_id": request_id,
        "created_at": reply["result"]["create_at"],
        "status": "SUCCESS",
        "audio_link": result["audio_link"],
    }
    assert mailbox.headers["content-type"].startswith("application/json")
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= mailbox.headers.keys()


def test_without_the_header(api: Api, desk: Path) -> None:
    """B2, B9."""
    reply = json.loads(shell(COMMAND.replace("https://vbee.vn", api.base), desk))
    assert (reply["status"], reply["error_code"], reply["result"]) == (0, "UNAUTHORIZED", None)
