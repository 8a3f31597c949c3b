"""What is told beside the streams: models, languages, voices, health, readiness, metrics that move, and a quiet log."""

import asyncio
import json
import re

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from loadtest.recordings import RATE, recordings
from loadtest.subject import Subject
from tests.acceptance.calling import body, caller
from tests.acceptance.listening import hear
from tests.acceptance.metering import document, value
from tests.acceptance.speaking import say


def get(live: Subject, path: str, **headers: str) -> httpx.Response:
    """A request without a key."""
    return httpx.get(live.http + path, headers=headers, timeout=10, follow_redirects=False)


def test_models(live: Subject) -> None:
    """C11 without a key, and in the same document OpenAI's list (X3)."""
    answer = get(live, "/v1/models").json()
    (model,) = answer["models"]
    assert sorted(model) == ["id", "languages", "name", "speed"]
    assert type(model["languages"]) is int and model["languages"] >= 2
    assert model["speed"] in ("fast", "standard", "very_fast")
    assert answer["object"] == "list"
    assert all({"created", "id", "object", "owned_by", "state"} <= row.keys() for row in answer["data"])
    assert {row["id"] for row in answer["data"]} >= {model["id"], "espeak-ng"}


async def test_a_model_can_be_named_by_its_id(live: Subject) -> None:
    """What C11 lists is what ``model`` takes, and ``ready`` names it."""
    (model,) = get(live, "/v1/models").json()["models"]
    (recording,) = recordings(1, utterances=1)
    heard = await hear(live.ws, live.key, [recording.pcm], config={"model": model["id"], "language": "en"})
    assert heard.check().messages[0]["model"] == model["id"]
    assert heard.text == recording.utterances[0].text


def test_languages(live: Subject) -> None:
    """C12, without a key."""
    rows = get(live, "/v1/languages").json()["languages"]
    assert {"code": "en", "name": "english"} in rows and {"code": "vi", "name": "vietnamese"} in rows
    assert all(sorted(row) == ["code", "name"] for row in rows)
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)


def test_voices(live: Subject) -> None:
    """X4: D20's list, with its filters."""
    answer = get(live, "/v1/voices").json()
    assert answer["total"] == len(answer["voices"]) >= 31
    assert {"id", "name", "model", "language", "gender", "preview_url"} <= answer["voices"][0].keys()
    women = get(live, "/v1/voices?language=vi&gender=female&model=espeak-ng").json()["voices"]
    assert women and {(row["language"], row["gender"]) for row in women} == {("vi", "female")}


def test_health(live: Subject) -> None:
    """C19 for clients; two probes for machines."""
    health = get(live, "/health").json()
    assert list(health) == ["status", "gpu_available", "gpu_name", "gpu_memory_mb"] and health["status"] == "ok"
    assert type(health["gpu_available"]) is bool and type(health["gpu_memory_mb"]) is int
    assert [get(live, path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


@pytest.mark.parametrize("path", ["/v1/model/", "/v1/languages/", "/v1/stream/", "/v1/nothing", "/nothing"])
def test_what_is_not_there_is_never_a_redirect(live: Subject, path: str) -> None:
    """X2, X3, X11: 404 with D22's body where D's paths are (those that end with a slash), else with C21's."""
    answer = get(live, path)
    assert answer.status_code == 404 and list(answer.json()) == ["error"]
    problem = answer.json()["error"]
    if path.startswith("/v1/") and path.endswith("/"):
        assert problem["code"] == "not_found" and path in problem["message"]
    else:
        assert isinstance(problem, str) and path in problem


async def test_a_stream_that_is_not_there(live: Subject) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(f"{live.ws}/v1/nothing")
    assert refusal.value.response.status_code == 404
    assert isinstance(json.loads(bytes(refusal.value.response.body or b""))["error"], str)


def test_a_page_of_another_site_may_not_read_what_a_key_gets(live: Subject) -> None:
    """No CORS headers unless origins were named in the settings."""
    assert "access-control-allow-origin" not in get(live, "/v1/models", Origin="https://evil.example").headers


MOVED = [  # what a session of each kind, a call and a refusal move: name, labels
    ("voxline_sessions_opened_total", {"kind": "listen"}),
    ("voxline_sessions_opened_total", {"kind": "speak"}),
    ("voxline_sessions_opened_total", {"kind": "call"}),
    ("voxline_sessions_ended_total", {"kind": "listen", "reason": "done"}),
    ("voxline_sessions_ended_total", {"kind": "speak", "reason": "done"}),
    ("voxline_sessions_ended_total", {"kind": "call", "reason": "done"}),
    ("voxline_sessions_ended_total", {"kind": "listen", "reason": "bad_request"}),
    ("voxline_rejected_total", {"kind": "listen", "reason": "unauthorized"}),
    ("voxline_rejected_total", {"kind": "call", "reason": "bad_request"}),
    ("voxline_audio_in_seconds_total", {}),
    ("voxline_audio_out_seconds_total", {}),
    ("voxline_partial_latency_seconds_count", {}),
    ("voxline_final_latency_seconds_count", {}),
    ("voxline_first_audio_seconds_count", {}),
    ("voxline_queue_delay_seconds_count", {"engine": "faster-whisper"}),
    ("voxline_queue_delay_seconds_count", {"engine": "espeak-ng"}),
    ("voxline_decode_seconds_count", {"engine": "faster-whisper"}),
    ("voxline_decode_seconds_count", {"engine": "espeak-ng"}),
    ("voxline_batch_size_count", {"engine": "faster-whisper"}),
    ("voxline_loop_lag_seconds_count", {}),
]


async def test_the_instruments_move(live: Subject) -> None:
    """Each of the issue's instruments after one of everything; how far, where that is known."""
    before = document(live)
    (recording,) = recordings(1, utterances=1)
    heard = await hear(live.ws, live.key, [recording.pcm], config={"language": "en"}, pace=2 * RATE)
    said = await say(live.ws, live.key, ["Good morning."], {"pace": False})
    wrong = await hear(live.ws, live.key, [], config={"sample_rate": 1})
    async with caller(live) as client:
        assert (await client.post("/v1/tts", json=body())).status_code == 200
        assert (await client.post("/v1/tts", json=body(speed=9))).status_code == 400
    with pytest.raises(InvalidStatus):
        await connect(f"{live.ws}/v1/stream?token=nothing")
    assert heard.check().finals and said.check().sound and wrong.code == 1008

    after = await settled(live)
    for name, labels in MOVED:
        assert value(after, name, **labels) > value(before, name, **labels), (name, labels)
    heard_s = value(after, "voxline_audio_in_seconds_total") - value(before, "voxline_audio_in_seconds_total")
    assert heard_s == pytest.approx(recording.seconds, abs=0.01)
    assert 0 < value(after, "voxline_realtime_factor", engine="faster-whisper") < 1
    finals = value(after, "voxline_final_latency_seconds_sum") - value(before, "voxline_final_latency_seconds_sum")
    assert 0.3 < finals < 3, "the latency of a final counts the silence that ends the utterance"


async def settled(live: Subject) -> str:
    """The metrics once no session lives any more."""
    async with asyncio.timeout(10):
        while True:
            text = await asyncio.to_thread(document, live)
            if not value(text, "voxline_sessions"):
                return text


def test_the_log_so_far_is_lines_of_facts(live: Subject) -> None:
    """Whatever ran on this server until now: no keys, no words, and nothing that went wrong in the server itself."""
    log = live.log.read_text()
    assert live.key not in log and live.key.removeprefix("sk-ov-") not in log
    assert not re.search(r"\bvt-[0-9A-Za-z]{8}", log)
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    for line in lines:
        assert line["level"] in ("debug", "info", "warning"), line
        assert not {"text", "transcript", "partial", "spoken", "prompt", "token", "key", "query"} & line.keys(), line
