"""Recognition v1 of seed A where a model of transformers is installed: who did it, and every form it comes in."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from wave import open as open_wave

import httpx
import pysrt
import pytest

from loadtest.recordings import CHECKPOINT, Recording, record
from tests.api import serving
from tests.api.serving import settled
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.checkpoints.nano_whisper.word_errors import word_errors

_PATIENCE_S = 600.0  # the engine is loaded by a process that gives way to everything else on the machine


@pytest.fixture(scope="module")
def talk() -> Recording:
    return record(held_out_sentences("en", 3, seed=5), pause=1.2)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    model = CHECKPOINT.parent / "transformers"
    more = {"transformers_model": str(model), "whisper_languages": "en,vi"}
    with serving.serve(tmp_path_factory.mktemp("transformers"), **more) as api, api.client(api.person()) as client:
        client.timeout = httpx.Timeout(_PATIENCE_S)
        yield client


def wav(talk: Recording) -> dict[str, tuple[str, bytes]]:
    file = BytesIO()
    with open_wave(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(talk.pcm)
    return {"audio_file": ("talk.wav", file.getvalue())}


def test_v1_is_done_by_transformers_with_the_right_words_at_the_right_times(
    client: httpx.Client, talk: Recording, tmp_path: Path
) -> None:
    (before,) = (row for row in client.get("/v1/models").json()["data"] if row["owned_by"] == "transformers")
    assert before["state"] == "on_demand"
    reply = client.post("/api/v1/stt", files=wav(talk))
    assert reply.status_code == 200, reply.text
    said = " ".join(utterance.text for utterance in talk.utterances)
    body = reply.json()
    assert word_errors(said, body["text"]) <= 1
    assert (body["engine"], body["language"]) == ("transformers", "english")
    (after,) = (row for row in client.get("/v1/models").json()["data"] if row["owned_by"] == "transformers")
    assert after["state"] == "loaded"
    starts = []
    for form, name in (("srt", "transcription.srt"), ("vtt", "subtitles.vtt")):
        written = client.post("/api/v1/stt", files=wav(talk), data={"language": "english", "output_format": form})
        assert written.headers["x-engine"] == "transformers"
        assert name in written.headers["content-disposition"]
        starts.append(re.findall(r"(\d\d:\d\d:\d\d)[.,](\d{3}) -->", written.text))
    assert starts[0] == starts[1]
    (tmp_path / "talk.srt").write_text(client.get(body["srt_url"]).text)
    cues = pysrt.open(tmp_path / "talk.srt")
    for cue, utterance in zip(cues, talk.utterances, strict=True):
        assert cue.start.ordinal / 1000 == pytest.approx(utterance.start, abs=0.4)
        assert cue.end.ordinal / 1000 == pytest.approx(utterance.end, abs=0.6)


def test_v2_is_done_by_faster_whisper_and_says_the_same(client: httpx.Client, talk: Recording) -> None:
    job = client.post("/api/v2/stt", files=wav(talk)).json()
    done = settled(client, f"/api/v1/job/{job['job_id']}")
    assert done["engine"] == "faster-whisper"
    said = " ".join(utterance.text for utterance in talk.utterances)
    assert word_errors(said, done["text"]) <= 1
