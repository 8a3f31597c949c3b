"""Every curl line, Python and JavaScript program of seed D, by the real curl, Python and Node, with only address, key
and file names changed: what comes back has the documented fields, types and headers."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.api.ears import hear
from tests.api.reader import Document, Reader
from tests.api.serving import EXAMPLES, Api, Person, examples

FILES = {"recording.mp3": "podcast.mp3", "reference.wav": "recording.wav", "source_audio.mp3": "podcast.mp3"}
FILES |= {"noisy_audio.mp3": "song.mp3"}
DOCUMENT = Document.of("tts_ai.curl.txt", "https://api.tts.ai", "sk-tts-your-key", **FILES)
BROWSER = Path(__file__).parents[1] / "clients" / "node_audio.mjs"



@pytest.fixture
def reader(api: Api, ann: Person, desk: Path) -> Reader:
    return Reader(DOCUMENT, api, ann, desk)


def test_tts(reader: Reader) -> None:
    """D5, D6."""
    reader.run("tts")
    sound = hear(reader.desk / "output.mp3")
    assert sound.codec.startswith("mp3") and 1.5 < sound.seconds < 6 and sound.loudness > 0.02
    reader.run("tts-again")
    assert hear(reader.desk / "output.mp3").seconds < sound.seconds


def test_stt(reader: Reader) -> None:
    """D7, D8: the document's fields and no other; times of words, since they are asked for."""
    reply = json.loads(reader.run("stt"))
    assert reply.keys() == {"text", "language", "duration", "segments"}
    assert reply["text"] and reply["language"] == "en" and 5 < reply["duration"] < 8
    for segment in reply["segments"]:
        assert segment.keys() == {"start", "end", "text", "words"}
        assert 0 <= segment["start"] < segment["end"] <= reply["duration"]
        assert [word["word"] for word in segment["words"]] == segment["text"].split()
        assert all(word.keys() == {"word", "start", "end"} for word in segment["words"])


def test_clone(reader: Reader) -> None:
    """D9."""
    reader.run("clone")
    sound = hear(reader.desk / "cloned.mp3")
    assert sound.codec.startswith("mp3") and sound.seconds > 1 and sound.loudness > 0.02


def test_voice_convert(reader: Reader) -> None:
    """D10: WAV, of the length that was sent."""
    reader.run("voice-convert")
    sound, sent = hear(reader.desk / "converted.wav"), hear(reader.desk / "podcast.mp3")
    assert sound.codec == "pcm_s16le" and abs(sound.seconds - sent.seconds) < 0.5 and sound.loudness > 0.01


def test_enhance(reader: Reader) -> None:
    """D13: in the format that was sent, as the example names its file."""
    reader.run("enhance")
    sound, sent = hear(reader.desk / "enhanced.mp3"), hear(reader.desk / "song.mp3")
    assert sound.codec.startswith("mp3") and abs(sound.seconds - sent.seconds) < 0.2


def test_every_command_of_the_document_was_run() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in DOCUMENT.commands if f'"{name}"' not in text] == []


def test_the_python_example(reader: Reader) -> None:
    """D5-D9."""
    printed = reader.program(sys.executable, "-c", reader.written((EXAMPLES / "tts_ai.py.txt").read_text()))
    credits, text = printed.splitlines()
    assert float(credits.removeprefix("Credits used: ")) == 2 * len("Hello from TTS.ai!") / 1000 and text
    assert hear(reader.desk / "output.mp3").seconds > 0.5
    assert hear(reader.desk / "cloned_output.mp3").seconds > 1


def test_the_javascript_examples(reader: Reader) -> None:
    """D5-D8: by the Node that drives browsers in these tests, with a player and a chosen file of its own."""
    node, _ = compute_driver_executable()
    programs: dict[str, Any] = {name: reader.written(text) for name, text in examples("tts_ai.js.txt").items()}
    programs["stt"] = programs["tts"].splitlines()[0] + "\n" + programs["stt"]  # API_KEY is the first one's
    printed = {}
    for name, program in programs.items():
        (reader.desk / f"{name}.mjs").write_text(program, encoding="utf-8")
        printed[name] = reader.program(node, "--import", BROWSER.as_uri(), f"{name}.mjs")
    assert printed["tts"].startswith("played audio/mpeg, ") and printed["stt"].strip()
