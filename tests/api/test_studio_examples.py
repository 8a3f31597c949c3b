"""Every curl line and Python program of seed A, by the real curl and Python, with only address, key, ids and file names
changed: what comes back has the documented fields, types and headers."""

import json
import re
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.api.reader import Document, Reader
from tests.api.serving import EXAMPLES, Api, Person, settled

DOCUMENT = Document.of("studio.curl.txt", "https://your-domain", "YOUR_API_KEY")
CLIP = re.compile(r"/audio/tts_\w{22}\.wav")


class StudioReader(Reader):
    """Looks at what came of it, too."""

    def written(self, text: str, **changes: str) -> str:
        assert self.document.key in text
        return super().written(text, **changes)

    def settled(self, job_id: str) -> dict[str, Any]:
        """A job, once it is over."""
        with self.api.client(self.person) as client:
            return settled(client, f"/api/v1/job/{job_id}")

    def sound(self, name: str) -> float:
        """Seconds of a WAV file."""
        with wave.open(str(self.desk / name)) as file:
            return float(file.getnframes() / file.getframerate())


@pytest.fixture
def reader(api: Api, ann: Person, desk: Path) -> StudioReader:
    return StudioReader(DOCUMENT, api, ann, desk)


# -- speech --------------------------------------------------------------------------------------------


def test_the_asynchronous_flow(reader: StudioReader) -> None:
    """Section 1.1, its three steps."""
    job = reader.ask("design-async")
    assert job.keys() == {"job_id", "status", "credits_used"}
    assert job["status"] == "queued" and job["credits_used"] == 1.2 * len("Nội dung dài cần xử lý...")
    reader.settled(job["job_id"])
    done = reader.ask("poll-design", abc123def456=job["job_id"])
    assert done["job_id"] == job["job_id"] and done["status"] == "completed" and CLIP.fullmatch(done["audio_url"])
    name = done["audio_url"].rpartition("/")[2]
    reader.run("download-design", **{"tts_xxx.wav": name})
    assert reader.sound(name) > 0.5


def test_cancel_after_the_end(reader: StudioReader) -> None:
    """A24: what is over cannot be cancelled (the success is in test_studio_jobs)."""
    job = reader.ask("design-async")
    reader.settled(job["job_id"])
    assert reader.ask("cancel", abc123=job["job_id"])["code"] == "conflict"


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("design", "voice.wav"),
        ("clone", "cloned.wav"),
        ("auto", "auto.wav"),
        ("saved", "saved_voice.wav"),
        ("dialogue", "dialogue.wav"),
    ],
)
def test_speech_is_waited_for(reader: StudioReader, name: str, output: str) -> None:
    """A19: a WAV file."""
    reader.run(name)
    assert reader.sound(output) > 0.5


def test_voices(reader: StudioReader) -> None:
    """A31: a bare array."""
    voices = json.loads(reader.run("voices"))
    assert [(one["id"], one["name"], one["type"]) for one in voices] == [(1, "MC", "design"), (2, "Guest", "design")]
    assert voices[0]["instruct"] == "a young man"


# -- recognition ---------------------------------------------------------------------------------------


def test_a_short_recording(reader: StudioReader) -> None:
    """A38."""
    reply = reader.ask("stt-short")
    assert reply["text"] and reply["language"] == "vietnamese" and reply["media_type"] == "audio"
    assert 1 < reply["duration_secs"] < 120
    assert reply["credits_used"] == pytest.approx(reply["duration_secs"] * 50)  # A41: 3000 a minute
    assert re.fullmatch(r"/audio/stt_\w{22}\.srt", reply["srt_url"])


def test_a_long_recording(reader: StudioReader) -> None:
    """A37, A39."""
    job = reader.ask("stt-long")
    assert job.keys() == {"job_id", "status", "credits_used", "media_type", "duration_secs", "async"}
    assert job["async"] is True and job["status"] == "queued" and job["duration_secs"] > 120
    done = reader.settled(job["job_id"])
    assert done["job_type"] == "stt" and done["text"] and done["srt_url"] and done["language"]


def test_a_short_recording_as_a_job(reader: StudioReader) -> None:
    job = reader.ask("stt-async")
    assert job["async"] is True and job["media_type"] == "audio"
    assert reader.settled(job["job_id"])["status"] == "completed"


@pytest.mark.parametrize(
    ("name", "output", "begins"),
    [
        ("stt-srt", "transcription.srt", "1\n00:"),
        ("stt-vtt", "subtitles.vtt", "WEBVTT"),
        ("stt-txt", "transcript.txt", ""),
    ],
)
def test_a_film_to_a_file(reader: StudioReader, name: str, output: str, begins: str) -> None:
    """A36."""
    reader.run(name)
    text = (reader.desk / output).read_text(encoding="utf-8")
    assert text.strip() and text.startswith(begins)


def test_v2(reader: StudioReader) -> None:
    """A44, A48, A49."""
    job = reader.ask("stt-v2")
    assert job.keys() == {"job_id", "status", "media_type", "engine"}
    assert (job["status"], job["media_type"], job["engine"]) == ("queued", "audio", "faster-whisper")
    reader.settled(job["job_id"])
    done = reader.ask("poll-stt-v2", **{"job/abc": f"job/{job['job_id']}"})
    assert (done["status"], done["job_type"], done["language"]) == ("completed", "stt_v2", "vi")
    assert done["engine"] == "faster-whisper" and done["srt_url"] == f"/audio/{done['srt_file']}"
    assert done["text"] and "chunks" not in done


def test_v2_with_everything_chosen(reader: StudioReader) -> None:
    assert reader.settled(reader.ask("stt-v2-overrides")["job_id"])["status"] == "completed"


def test_v2_of_a_film(reader: StudioReader) -> None:
    job = reader.ask("stt-v2-video")
    assert job["media_type"] == "video"
    done = reader.settled(job["job_id"])
    assert done["status"] == "completed" and done["credits_used"] == pytest.approx(done["duration_secs"] * 2500 / 60)


def test_the_workflow_in_bash(reader: StudioReader) -> None:
    printed = reader.run("stt-v2-workflow")
    assert printed.startswith("Job: ")
    assert json.loads(printed[printed.index("{") :])["status"] == "completed"


# -- subtitles, separation -----------------------------------------------------------------------------


def test_subtitles_to_speech(reader: StudioReader) -> None:
    """A53, A54."""
    job = reader.ask("dub")
    assert job.keys() == {"job_id", "status", "credits_used", "cue_count", "total_duration"}
    assert job["cue_count"] == 2 and job["total_duration"] == 4.5
    assert job["credits_used"] == pytest.approx(1.44 * len("Xin chào các bạn." + "Hôm nay trời đẹp."))  # A57
    reader.settled(job["job_id"])
    done = reader.ask("poll-dub", abc123def456=job["job_id"])
    assert done["status"] == "completed" and done["progress_pct"] == 100
    name = done["audio_url"].rpartition("/")[2]
    assert re.fullmatch(r"srt2voice_\w{22}\.mp3", name)
    reader.run("download-dub", **{"srt2voice_xxx.mp3": name})
    assert (reader.desk / name).stat().st_size > 1000


def test_separation(reader: StudioReader) -> None:
    """A58-A60."""
    job = reader.ask("separate")
    assert job.keys() == {"job_id", "status", "mode", "duration_secs", "credits_used"}
    assert job["mode"] == "all" and job["credits_used"] == 4500  # a minute at least
    reader.settled(job["job_id"])
    done = reader.ask("poll-separate", abc123def456=job["job_id"])
    for stem in ("vocals", "instrumental"):
        name = done[f"{stem}_url"].rpartition("/")[2]
        assert re.fullmatch(rf"sep_\w{{22}}_{stem}\.mp3", name)
        reader.run(f"download-{stem}", **{f"sep_xxx_{stem}.mp3": name})
        assert (reader.desk / name).stat().st_size > 1000


def test_separation_of_vocals_alone(reader: StudioReader) -> None:
    done = reader.settled(reader.ask("separate-vocals")["job_id"])
    assert done["vocals_url"] and "instrumental_url" not in done


def test_every_command_of_the_document_was_run() -> None:
    """Those above, by their names in this file."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in DOCUMENT.commands if f'"{name}"' not in text and not name.startswith("download-")] == []


# -- the programs --------------------------------------------------------------------------------------


def run_program(reader: StudioReader, name: str) -> str:
    return reader.program(sys.executable, "-c", reader.written((EXAMPLES / name).read_text(encoding="utf-8")))


def test_the_client_for_v2(reader: StudioReader) -> None:
    """Section 2b's "production-ready" client, unchanged."""
    printed = run_program(reader, "stt_v2.py.txt")
    assert re.search(r"^Text: \S", printed, re.MULTILINE) and "SRT saved to output.srt" in printed
    assert re.search(r"^Credits used: [0-9.]+$", printed, re.MULTILINE)
    assert (reader.desk / "output.srt").read_text(encoding="utf-8").startswith("1\n00:00:")


def test_the_python_examples(reader: StudioReader) -> None:
    """The last section, unchanged."""
    printed = run_program(reader, "studio.py.txt")
    for name in ("voice.wav", "cloned.wav", "dialogue.wav"):
        assert reader.sound(name) > 0.5
    for line in ("Media type: video", "Saved output.mp3", "Saved vocals.mp3", "Saved instrumental.mp3"):
        assert line in printed
    assert re.search(r"^Duration: [0-9.]+ s$", printed, re.MULTILINE)
    assert re.search(r"^Job created: \S+, \d+ cues, [0-9.]+ credits$", printed, re.MULTILINE)
