"""Rows F1 to F3 for the APIs C and D: requests changed at random, bodies cut anywhere, what is written read back."""

import json
import random
import time
import uuid
from typing import Any

import pysrt
import pytest
from pydantic import BaseModel
from starlette.requests import Request

from protocol.checking import check, read_form
from protocol.dialects.stt_ai import account as stt_account
from protocol.dialects.stt_ai import forms as stt_forms
from protocol.dialects.stt_ai import texts as stt_texts
from protocol.dialects.stt_ai import transcripts as stt_transcripts
from protocol.dialects.tts_ai import fields, lists, recordings, replies, speech
from protocol.errors import Code, VoiceError
from protocol.subtitles import SubtitleFormat
from protocol.work import Outcome, Segment
from server.api.json_bodies import read_json
from server.dialects import claims
from server.dispatch import Dispatcher
from server.envelopes import error_response
from stream.socket import Message, Receive, Scope, Send
from tests.chaos.mutator import mutated

COUNT, NIGHTLY = 10_000, 1_000_000
SLOWEST_S = 0.05
Models = dict[type[BaseModel], dict[str, Any]]

# Every request, as the documents write it: those that come as forms, and those that come as JSON.
FORMS: dict[str, Models] = {
    "c": {
        stt_forms.TranscribeForm: {"model": "large-v3-turbo", "language": "auto", "diarize": "true", "speakers": "0",
                                   "response_format": "json"},
        stt_forms.EnhanceForm: {},
        stt_forms.CloneForm: {"text": "Hello!"},
        stt_transcripts.TranscriptQuery: {"page": "1", "status": "completed", "language": "en", "date": "2026-11-28"},
    },
    "d": {
        speech.CloneForm: {"text": "Hello!", "model": "chatterbox", "format": "mp3", "language": "en"},
        speech.ChatForm: {"text": "Hi", "voice": "af_bella", "tts_model": "kokoro", "conversation_id": "conv_1"},
        recordings.SttForm: {"model": "whisper", "language": "en", "timestamps": "true", "diarize": "True"},
        recordings.ConvertVoiceForm: {"target_voice": "af_bella", "model": "openvoice", "format": "wav"},
        recordings.ReshapeForm: {"voice": "af_bella", "emotion": "happy", "speed": "1.0"},
        recordings.TranslateForm: {"target_language": "es", "voice": "af_bella", "preserve_voice": "true"},
        recordings.EnhanceForm: {"denoise": "true", "super_resolution": "false", "strength": "2"},
        recordings.SeparateForm: {"model": "demucs", "stems": "4", "format": "wav"},
        recordings.DeechoForm: {"type": "both", "intensity": "3"},
        recordings.ConvertForm: {"format": "mp3", "bitrate": "320", "sample_rate": "44100", "channels": "stereo"},
        lists.VoiceQuery: {"model": "kokoro", "language": "en", "gender": "female"},
    },
}  # fmt: skip
BODIES: dict[str, Models] = {
    "c": {
        stt_texts.Summarize: {"text": "A long talk.", "style": "brief"},
        stt_texts.Translate: {"text": "Hello", "target": "fr", "source": "en"},
        stt_texts.Analyze: {"text": "A long talk.", "type": "sentiment"},
        stt_texts.Generate: {"text": "A long talk.", "type": "quiz"},
        stt_texts.Embed: {"texts": ["one", "two"]},
        stt_account.Question: {"question": "What was decided?", "session_id": "s1"},
        stt_account.AccountChange: {"name": "Ann"},
        stt_account.NewKey: {"name": "server"},
    },
    "d": {
        speech.TtsRequest: {"model": "kokoro", "text": "Hello!", "voice": "af_bella", "format": "mp3", "speed": 1.0,
                            "language": "en", "stream": False, "webhook_url": "https://example.com/hook"},
        speech.ChatForm: {"text": "Hi", "voice": "af_bella", "system_prompt": "Be brief."},
    },
}  # fmt: skip


def survives(count: int, seed: int, *, dialect: str, form: bool) -> None:
    """Every mutation is a request or BAD_REQUEST with the field's name, soon, and the same twice."""
    kinds: set[bool] = set()
    requests = (FORMS if form else BODIES)[dialect]
    for model, example in requests.items():
        seeds = (json.dumps(example).encode(), json.dumps(example, ensure_ascii=False).encode())
        for data in mutated(seeds, count // len(requests), seed):
            began = time.thread_time()
            first = outcome(model, data, dialect=dialect, form=form)
            took = time.thread_time() - began
            again = time.thread_time()
            assert outcome(model, data, dialect=dialect, form=form) == first, f"not the same twice: {data[:2000]!r}"
            assert min(took, time.thread_time() - again) <= SLOWEST_S, f"{took * 1000:.0f} ms for {data[:2000]!r}"
            kinds.add(first.startswith("VoiceError"))
    assert len(kinds) == 2, "the mutations do not reach both sides"


def outcome(model: type[BaseModel], data: bytes, *, dialect: str, form: bool) -> str:
    """The request as it was understood, or the typed error; anything else is not caught."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        given = {"text": data.decode("utf-8", "replace")}
    try:
        if form:
            told = given.items() if isinstance(given, dict) else ()
            return repr(read_form(model, {name: str(value) for name, value in told}))
        return repr(fields.read_json(model, given) if dialect == "d" else check(model, given))
    except VoiceError as error:
        assert error.code in (Code.BAD_REQUEST, Code.TEXT_TOO_LONG), data
        return repr(error)


@pytest.mark.parametrize("form", [True, False], ids=["forms", "json"])
@pytest.mark.parametrize("dialect", ["c", "d"])
def test_no_request_does_worse_than_a_typed_error(dialect: str, form: bool) -> None:
    """F1."""
    survives(COUNT, 20_266, dialect=dialect, form=form)


@pytest.mark.nightly
@pytest.mark.parametrize("form", [True, False], ids=["forms", "json"])
@pytest.mark.parametrize("dialect", ["c", "d"])
def test_no_request_does_worse_than_a_typed_error_at_length(dialect: str, form: bool) -> None:
    """F1."""
    survives(NIGHTLY, 1, dialect=dialect, form=form)


def pieces(data: bytes, chance: random.Random) -> list[Message]:
    """A body as a network may cut it, empty pieces among them."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(6)))
    parts = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": at < last} for at, part in enumerate(parts)]


async def test_a_body_cut_anywhere_is_the_same_request() -> None:
    """F2: whose it is, and what is in it."""
    chance, found = random.Random(20_266), dict[bytes, set[tuple[str, str]]]()
    calls = [
        {"model": "kokoro", "text": "Xin chào 👋", "voice": "af_bella", "webhook_url": None},
        {"text": "Xin chào", "voiceCode": "v", "mode": "sync"},
        {"text": "no sign at all"},
    ]

    def routes(found: set[tuple[str, str]]) -> Any:
        async def answer(scope: Scope, receive: Receive, _send: Send) -> None:
            found.add((scope["path"], repr(await read_json(Request(scope, receive), most=1 << 20))))

        return answer

    async def send(_message: Message) -> None:
        raise AssertionError("nobody answers")

    for _ in range(300):
        data = json.dumps(chance.choice(calls), ensure_ascii=chance.random() < 0.5).encode()
        messages = iter(pieces(data, chance))

        async def receive(messages: Any = messages) -> Message:
            message: Message = next(messages)
            return message

        told = routes(found.setdefault(data, set()))
        scope: Scope = {"type": "http", "method": "POST", "path": "/v1/tts", "headers": [], "query_string": b""}
        await Dispatcher(told, told, claims(), error_response)(scope, receive, send)
    assert len(found) >= len(calls) and all(len(one) == 1 for one in found.values())


def test_what_is_written_can_be_read() -> None:
    """F3: subtitles of C's transcripts, and the ids D gives its tasks."""
    chance = random.Random(20_266)
    words = ["one", "hai", "ba,", "bốn.", "5", "{x}", "&amp;", "“quoted”"]
    for _ in range(300):
        at, heard = 0.0, []
        for _ in range(chance.randrange(1, 8)):
            length = chance.randrange(1, 5000) / 1000
            text = " ".join(chance.choices(words, k=chance.randrange(1, 6)))
            heard.append(Segment(start=round(at, 3), end=round(at + length, 3), text=text))
            at += length + chance.randrange(2000) / 1000
        srt = stt_transcripts.render(Outcome(text="x", segments=tuple(heard), seconds=at), SubtitleFormat.SRT)
        cues = pysrt.from_string(srt)
        said = "".join("".join(one.text.split()) for one in heard)
        assert "".join("".join(cue.text.split()) for cue in cues) == said
        assert {one.start for one in heard} <= {cue.start.ordinal / 1000 for cue in cues}
        job = str(uuid.UUID(int=chance.getrandbits(128)))
        assert replies.job_id(replies.task_id(job)) == job
