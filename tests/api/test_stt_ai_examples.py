"""Every curl line and program of seed C, by the real curl, Python and Node, with only address, key and file names
changed (its browser program: tests/clients): what comes back has the documented fields, types and headers."""

import re
import sys
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.api.reader import Document, Reader
from tests.api.serving import EXAMPLES, Api, Person

DOCUMENT = Document.of("stt_ai.curl.txt", "https://api.stt.ai", "YOUR_API_KEY")
FORM_DATA = Path(__file__).parents[1] / "clients" / "node_form_data.js"
SPEECH = {"meeting.mp3": "podcast.mp3"}


@pytest.fixture
def reader(api: Api, ann: Person, desk: Path) -> Reader:
    return Reader(DOCUMENT, api, ann, desk)


def test_transcribe(reader: Reader) -> None:
    """C5, C6: the document's fields and no other, at every level."""
    reply = reader.ask("transcribe", **SPEECH)
    assert reply.keys() == {"text", "language", "duration", "segments", "speakers"}
    assert reply["text"] and re.fullmatch("[a-z]{2}", reply["language"]) and reply["duration"] > 1
    assert reply["speakers"] and reply["speakers"][0] == "Speaker 1"
    for segment in reply["segments"]:
        assert segment.keys() == {"start", "end", "text", "speaker", "confidence", "words"}
        assert segment["speaker"] in reply["speakers"] and 0 <= segment["confidence"] <= 1
        assert 0 <= segment["start"] <= segment["end"] <= reply["duration"] + 0.1
        assert segment["words"] and all(word.keys() == {"word", "start", "end"} for word in segment["words"])


def test_subtitles(reader: Reader) -> None:
    """C5: of a film."""
    reader.run("subtitles")
    assert (reader.desk / "subtitles.srt").read_text(encoding="utf-8").startswith("1\n00:00:")


def test_summarize(reader: Reader) -> None:
    """C7."""
    reply = reader.ask("summarize")
    assert reply.keys() == {"summary", "style", "model"} and reply["style"] == "brief" and reply["model"]


def test_what_there_is(reader: Reader) -> None:
    """C11, C12, C19, without a key; under the prefix too."""
    models = reader.ask("models")["models"]
    assert models and {"id", "name", "languages", "speed"} <= models[0].keys() and type(models[0]["languages"]) is int
    health = reader.ask("health")
    assert health["status"] == "ok" and type(health["gpu_available"]) is bool
    assert {"gpu_name", "gpu_memory_mb"} <= health.keys()
    with reader.api.client() as nobody:
        assert nobody.get("/c/v1/models").json()["models"] == models and nobody.get("/c/health").json() == health
        languages = nobody.get("/v1/languages").json()
        assert {"code": "en", "name": "english"} in languages["languages"]
        assert nobody.get("/c/v1/languages").json() == languages


def test_every_command_of_the_document_was_run() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in DOCUMENT.commands if f'"{name}"' not in text] == []


def test_the_python_example(reader: Reader) -> None:
    """C5-C7: the text, then its summary."""
    printed = reader.program(sys.executable, "-c", reader.written((EXAMPLES / "stt_ai.py.txt").read_text(), **SPEECH))
    assert re.search(r"^Language: [a-z]{2}, Duration: [0-9.]+s$", printed, re.MULTILINE)
    assert re.search(r"^\[[0-9.]+s\] Speaker \d+: \S", printed, re.MULTILINE)


def test_the_node_example(reader: Reader) -> None:
    """C5, C6: by the Node that drives browsers in these tests."""
    node, _ = compute_driver_executable()
    (reader.desk / "example.js").write_text(reader.written((EXAMPLES / "stt_ai.node.txt").read_text(), **SPEECH))
    printed = reader.program(node, "--require", str(FORM_DATA), "example.js")
    assert re.search(r"^Duration: [0-9.]+s$", printed, re.MULTILINE)
    assert re.search(r"^\[[0-9.]+s\] Speaker \d+: \S", printed, re.MULTILINE)
