"""Seed D's wire: requests and what is asked by them, replies, lists, errors, without a server."""

import json
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from protocol.checking import read_form
from protocol.dialects import tts_ai
from protocol.dialects.tts_ai import lists, recordings, replies, shapes, speech
from protocol.dialects.tts_ai.errors import in_own_words
from protocol.dialects.tts_ai.fields import read_json
from protocol.dialects.tts_ai.models import MODELS, Kind, Tier, find, find_cloning, find_reshaping
from protocol.errors import Code, VoiceError
from protocol.job_view import JobView, State
from protocol.pricing import PriceTable, Route
from protocol.work import (
    Conversing,
    Delivery,
    Made,
    Outcome,
    Said,
    Segment,
    SegmentWord,
    Speaking,
    Transcribing,
    VoiceNamed,
)

DOCUMENTED = {
    "bad_request", "unauthorized", "insufficient_credits", "forbidden", "not_found", "file_too_large", "rate_limited",
    "internal_error", "model_loading",
}  # fmt: skip
BELLA = VoiceNamed(code="af_bella")
JOB = "00112233-4455-6677-8899-aabbccddeeff"
TASK = "task_00112233445566778899aabbccddeeff"


def told(error: VoiceError) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(tts_ai.error_reply(error).body)["error"]
    return body


# -- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_place_in_the_documents_table(code: Code) -> None:
    reply = tts_ai.error_reply(VoiceError(code, "what went wrong"))
    error = told(VoiceError(code, "what went wrong"))
    assert error["code"] in DOCUMENTED and error["message"] == "what went wrong"
    assert 400 <= reply.status < 600


def test_facts_are_shown_by_this_apis_names() -> None:
    """D22: its example, and nothing that clients have no use for."""
    poor = told(VoiceError(Code.INSUFFICIENT_CREDITS, "Too few.", required=40_000, available=20_000, hold=3))
    assert poor == {
        "code": "insufficient_credits", "message": "Too few.", "credits_required": 4, "credits_available": 2,
    }  # fmt: skip
    wrong = in_own_words(VoiceError(Code.BAD_REQUEST, "ref_audio is too short", field="ref_audio"))
    assert told(wrong) == {
        "code": "bad_request", "message": "reference_audio is too short", "field": "reference_audio",
    }  # fmt: skip
    assert in_own_words(VoiceError(Code.NOT_FOUND, "No voice.", field="voice"), voice="target_voice").facts == {
        "field": "target_voice"
    }


def test_who_meets_a_loading_model_is_told_when_to_come_again() -> None:
    """D22: "try again in a few seconds"."""
    loading, busy = VoiceError(Code.MODEL_LOADING, ""), VoiceError(Code.BUSY, "", retry_after=2)
    for error, seconds in ((loading, b"5"), (busy, b"2")):
        assert (b"retry-after", seconds) in tts_ai.error_reply(error).headers


# -- requests ------------------------------------------------------------------------------------------


def test_speech() -> None:
    """D5: the defaults, and what is asked for by them."""
    asked = read_json(speech.TtsRequest, {"model": "kokoro", "text": " Hello ", "voice": "af_bella", "speed": None})
    assert (asked.format, asked.speed, asked.language, asked.stream) == ("mp3", 1.0, "auto", False)
    work = asked.work(BELLA, "en")
    assert work.lines[0].text == "Hello" and work.delivery == Delivery(format="mp3") and work.style.language == "en"


@pytest.mark.parametrize("written", ["true", "True", "1", "yes", "on", True, 1])
def test_yes(written: object) -> None:
    """As curl, Python's requests and JSON write it (X13)."""
    assert read_json(speech.TtsRequest, {"model": "a", "text": "a", "voice": "a", "stream": written}).stream
    assert read_form(recordings.SttForm, {"diarize": str(written)}).diarize


def test_a_recording_to_text() -> None:
    """D7: words where times are asked for, speakers where they are."""
    form = read_form(recordings.SttForm, {})
    assert (form.model, form.language) == ("whisper", "auto")
    assert form.work("u", 1.0, "auto") == Transcribing(upload="u", seconds=1.0, formats=())
    more = read_form(recordings.SttForm, {"timestamps": "true", "diarize": "true", "language": "EN"})
    work = more.work("u", 1.0, "faster-whisper")
    assert (work.keep_words, work.diarize, work.language, work.engine) == (True, True, "en", "faster-whisper")


def test_tools() -> None:
    """D13-D17."""
    enhance = read_form(recordings.EnhanceForm, {}).work("u", 1.0, "mp3")
    assert (enhance.denoise, enhance.clarity, enhance.super_resolution, enhance.strength) == (True, True, False, 2)
    assert enhance.delivery.format == "mp3"
    film = read_form(recordings.EnhanceForm, {}).work("u", 1.0, "mov,mp4,m4a,3gp,3g2,mj2")
    assert film.delivery.format == "wav", "what is sent in a film's container comes back as sound"
    separate = read_form(recordings.SeparateForm, {"stems": "4"}).work("u", 1.0)
    assert separate.stems == ("vocals", "drums", "bass", "other") and separate.delivery.format == "wav"
    for kind, parts in {"": (True, True), "echo": (True, False), "reverb": (False, True)}.items():
        deecho = read_form(recordings.DeechoForm, {"type": kind}).work("u", 1.0)
        assert (deecho.echo, deecho.reverb, deecho.intensity) == (*parts, 3)
    convert = read_form(recordings.ConvertForm, {"format": "m4a", "channels": "mono", "bitrate": "64"}).work("u", 1.0)
    assert (convert.format, convert.channels, convert.bitrate, convert.sample_rate) == ("m4a", 1, 64, None)


def test_a_turn_has_text_or_audio() -> None:
    """D18: one of the two."""
    spoken, written = read_form(speech.ChatForm, {}), read_form(speech.ChatForm, {"text": "Hello"})
    assert (spoken.voice, spoken.tts_model) == ("af_bella", "kokoro")
    spoken.checked(audio=True)
    written.checked(audio=False)
    for form, audio in ((spoken, False), (written, True)):
        with pytest.raises(VoiceError):
            form.checked(audio=audio)
    before = (Said(role="user", text="a"), Said(role="assistant", text="b"))
    assert written.work(BELLA, before) == Conversing(text="Hello", before=before, voice=BELLA)


@pytest.mark.parametrize(
    "model", [speech.TtsRequest, speech.CloneForm, speech.ChatForm, recordings.TranslateForm, recordings.ConvertForm]
)
def test_what_was_not_given_is_no_null_in_the_document(model: type[BaseModel]) -> None:
    assert "null" not in json.dumps(model.model_json_schema())


# -- models and voices ---------------------------------------------------------------------------------


def test_tiers_are_prices() -> None:
    """D4, for every model the document names."""
    prices = PriceTable()
    tiers = {1: {"piper", "vits", "melotts"}, 2: {"kokoro", "cosyvoice2"}}
    tiers[4] = {"tortoise", "chatterbox", "gpt-sovits"}
    for credits, names in tiers.items():
        for name in names:
            assert prices[find(name, Kind.SPEECH).tier.route].of(1000) == credits * 10_000
    assert {one.id for one in MODELS if one.kind is Kind.SPEECH} == set().union(*tiers.values())


def test_models_by_what_they_are_for() -> None:
    assert find("Kokoro", Kind.SPEECH).tier is Tier.STANDARD
    assert find("espeak-ng", Kind.SPEECH, ["espeak-ng"]).tier.route is Route.TTS_AI_FREE
    assert find_cloning("gpt-sovits").clones and find_reshaping("chatterbox")
    unknown = partial(find, "whisper", Kind.SPEECH), partial(find_cloning, "kokoro"), partial(find_reshaping, "knn-vc")
    for look in unknown:
        with pytest.raises(VoiceError) as caught:
            look()
        assert caught.value.code is Code.NOT_FOUND and caught.value.facts["allowed"]


def test_the_list_of_models_has_what_can_be_done_here() -> None:
    """D19."""
    deaf = lists.models_body(lists.Here(spoken=["en"], speakers=["espeak-ng"]), PriceTable())["models"]
    assert {row["type"] for row in deaf} == {"tts"}
    assert not any(row["supports_cloning"] for row in deaf)
    assert deaf[0] == {
        "id": "kokoro", "name": "Kokoro", "type": "tts", "tier": "standard", "languages": ["en"],
        "supports_cloning": False, "supports_streaming": True, "credits_per_1k_chars": 2, "engine": "espeak-ng",
    }  # fmt: skip
    assert lists.models_body(lists.Here(), PriceTable()) == {"models": []}


# -- replies -------------------------------------------------------------------------------------------


def job(task: shapes.Task, outcome: Outcome | None = None, state: State = State.COMPLETED, **more: Any) -> JobView:
    details = {"task": task.value, "conversation_id": "conv_abc123", "voice": "af_bella"}
    work = Speaking(lines=())
    return JobView(JOB, state, work, 1736937000.0, credits=5.0, details=details, outcome=outcome, **more)


def link(path: str) -> str:
    return f"https://api.tts.ai{path}"


def test_ids() -> None:
    assert replies.task_id(JOB) == TASK and replies.job_id(TASK) == JOB
    assert replies.job_id("task_abc123") is None and replies.job_id(JOB) is None


def test_a_transcript() -> None:
    """D8."""
    words = (SegmentWord(word="Hello,", start=0.0, end=0.4, confidence=0.9),)
    segments = (
        Segment(start=0.0, end=1.8, text="Hello,", speaker=0, words=words),
        Segment(start=1.8, end=3.5, text="a test.", speaker=11),
    )
    outcome = Outcome(text="Hello, a test.", language="en", seconds=3.5, segments=segments)
    assert replies.result(job(shapes.Task.STT, outcome), link) == {
        "text": "Hello, a test.",
        "language": "en",
        "duration": 3.5,
        "segments": [
            {
                "start": 0.0, "end": 1.8, "text": "Hello,", "speaker": "SPEAKER_00",
                "words": [{"word": "Hello,", "start": 0.0, "end": 0.4}],
            },
            {"start": 1.8, "end": 3.5, "text": "a test.", "speaker": "SPEAKER_11"},
        ],
    }  # fmt: skip


def test_a_translation_and_a_turn() -> None:
    """D11, D18: the documents' own bodies."""
    made = Made(role="audio", name="translate_abc123.mp3", media_type="audio/mpeg", size=1)
    outcome = Outcome(
        text="Hola, como estas?", language="es", source_text="Hello, how are you?", source_language="en", made=(made,)
    )
    assert replies.result(job(shapes.Task.TRANSLATE, outcome), link) == {
        "original_text": "Hello, how are you?",
        "translated_text": "Hola, como estas?",
        "source_language": "en",
        "target_language": "es",
        "audio_url": "https://api.tts.ai/v1/results/translate_abc123.mp3",
        "credits_used": 5,
    }
    spoken = Made(role="audio", name="resp_xyz.mp3", media_type="audio/mpeg", size=1)
    turn = Outcome(text="Paris.", source_text="Which?", made=(spoken,))
    assert replies.result(job(shapes.Task.CHAT, turn), link) == {
        "conversation_id": "conv_abc123",
        "user_text": "Which?",
        "ai_text": "Paris.",
        "audio_url": "https://api.tts.ai/v1/audio/tmp/resp_xyz.mp3",
        "credits_used": 5,
    }


def test_events() -> None:
    """D23: the document's own, and the like of it for a failure."""
    done = job(shapes.Task.SEPARATE, Outcome(), finished_at=1736937045.0)
    assert replies.event(done, link) == {
        "event": "task.completed",
        "task_id": TASK,
        "status": "success",
        "result_url": f"https://api.tts.ai/v1/results/{TASK}",
        "credits_used": 5,
        "created_at": "2025-01-15T10:30:00Z",
        "completed_at": "2025-01-15T10:30:45Z",
    }
    failed = job(
        shapes.Task.SEPARATE, state=State.FAILED, finished_at=1.0, error="It broke.", error_code="engine_failed"
    )
    assert replies.event(failed, link)["error"] == {"code": "internal_error", "message": "It broke."}


def test_headers() -> None:
    """D6: credits to the last unit, without zeros; what a person is told, in what a header can carry."""
    view = job(shapes.Task.TTS, Outcome(engine="espeak-ng", note="Nhiễu\nremoved"), remaining=498.25)
    assert replies.headers(view) == {
        "X-Credits-Used": "5", "X-Credits-Remaining": "498.25", "X-Task-Id": TASK, "X-Engine": "espeak-ng",
        "X-Voice": "af_bella", "X-Note": "Nhi?u removed",
    }  # fmt: skip
