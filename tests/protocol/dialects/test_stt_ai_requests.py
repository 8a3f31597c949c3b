"""What seed C's requests say, and what is said of those that are wrong."""

from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel

from protocol.checking import check, read_form
from protocol.dialects import stt_ai
from protocol.dialects.stt_ai.account import AccountChange, NewKey, Question
from protocol.dialects.stt_ai.fields import boolean
from protocol.dialects.stt_ai.forms import CloneForm, EnhanceForm, TranscribeForm
from protocol.dialects.stt_ai.texts import Analyze, Embed, Generate, Summarize, Translate
from protocol.dialects.stt_ai.transcripts import TranscriptQuery
from protocol.errors import Code, VoiceError
from protocol.job_view import State
from protocol.texts import SummaryStyle
from protocol.work import Delivery, Enhancing, Line, Speaking, Style, Transcribing, VoiceClone


def refusal(model: type[BaseModel], values: Any) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        check(model, values)
    assert caught.value.code is Code.BAD_REQUEST
    return caught.value


# -- recordings ----------------------------------------------------------------------------------------


def test_the_defaults_of_transcribe() -> None:
    """C5: the best model, any language, speakers told apart however many they are, JSON."""
    form = read_form(TranscribeForm, {"surprise": "x", "model": " "})
    assert (form.model, form.language, form.diarize, form.speakers) == ("large-v3-turbo", "auto", True, 0)
    assert form.response_format == "json"
    assert form.work("u", 2.5, "auto") == Transcribing(
        upload="u", seconds=2.5, formats=(), keep_words=True, diarize=True, must_diarize=False
    )


def test_what_can_be_chosen() -> None:
    fields = {"model": "small", "language": "vi-VN", "diarize": "no", "response_format": "vtt"}
    form = read_form(TranscribeForm, fields)
    work = form.work("u", 1.0, "small")
    assert (work.engine, work.language, work.diarize) == ("small", "vi", False) and form.response_format == "vtt"
    told_apart = read_form(TranscribeForm, {"speakers": "3"}).work("u", 1.0, "auto")
    assert told_apart.speakers == 3 and told_apart.must_diarize  # so many were counted on


@pytest.mark.parametrize(
    ("word", "truth"),
    [
        *((word, True) for word in ("true", "1", "yes", "True", " YES ")),
        *((word, False) for word in ("false", "0", "no", "False")),
        *((word, None) for word in ("on", "2", "")),
    ],
)
def test_booleans(word: str, truth: bool | None) -> None:
    """A47's words in any case; another is none, and the default holds."""
    assert boolean(word) is truth
    work = check(TranscribeForm, {"diarize": word}).work("u", 1.0, "auto")
    assert work.diarize is (truth is not False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("language", "klingon"), ("speakers", "21"), ("speakers", "-1"), ("response_format", "doc"), ("model", "m" * 65)],
)
def test_wrong_fields_of_transcribe(name: str, value: str) -> None:
    assert refusal(TranscribeForm, {name: value}).facts["field"] == name


def test_enhance_and_clone() -> None:
    """C16, C17: WAV."""
    assert EnhanceForm().work("u", 2.0) == Enhancing(upload="u", seconds=2.0, delivery=Delivery(format="wav"))
    work = read_form(CloneForm, {"text": " Hello "}).work("u")
    assert work == Speaking(lines=(Line(text="Hello", voice=VoiceClone(upload="u")),), style=Style())
    assert refusal(CloneForm, {}).facts["field"] == refusal(CloneForm, {"text": " "}).facts["field"] == "text"


# -- texts ---------------------------------------------------------------------------------------------


def test_texts() -> None:
    """C7, C13-C15, C18."""
    assert check(Summarize, {"text": "a"}).style is SummaryStyle.BRIEF
    assert check(Translate, {"text": "a", "target": "es"}).all() == ["a"]
    several = check(Translate, {"texts": ["a", "b"], "target": "zh-Hant", "source": "de"})
    assert (several.all(), several.source, several.target) == (["a", "b"], "de", "zh-Hant")
    for model, body, name in (
        (Summarize, {"text": "a", "style": "long"}, "style"),
        (Analyze, {"text": "a", "type": "mood"}, "type"),
        (Generate, {"text": "a", "type": "poem"}, "type"),
    ):
        error = refusal(model, body)
        assert error.facts["field"] == name and "one of" in error.message and error.facts["allowed"]
    assert refusal(Embed, {"texts": []}).facts["field"] == "texts"
    assert refusal(Embed, {"texts": ["a", 1]}).facts["field"] == "texts[1]"
    neither: dict[str, Any] = {"target": "es"}
    for asked in (neither, neither | {"text": "a", "texts": ["a"]}):
        with pytest.raises(VoiceError) as caught:
            check(Translate, asked).all()
        assert caught.value.facts["field"] == "text"


# -- the account ---------------------------------------------------------------------------------------


def test_account_requests() -> None:
    """C22."""
    assert check(AccountChange, {"name": " Ngọc ", "credits": 5}).name == "Ngọc"
    assert check(AccountChange, {}).name is None
    assert refusal(AccountChange, {"name": "  "}).facts["field"] == "name"
    assert check(NewKey, {}).name == ""
    assert check(Question, {"question": "Why?"}).session_id is None
    assert check(Question, {"question": "Why?", "session_id": "a:1"}).session_id == "a:1"
    assert refusal(Question, {"question": "Why?", "session_id": "a b"}).facts["field"] == "session_id"
    assert refusal(Question, {"question": "x" * 2001}).facts["field"] == "question"


def test_which_transcripts() -> None:
    query = read_form(TranscriptQuery, {"status": "processing", "date": "2026-11-28", "language": "english"})
    assert query.states() == [State.PICKED, State.PROCESSING] and query.language == "en"
    assert query.date == date(2026, 11, 28) and (query.page, query.page_size) == (1, 20)
    assert read_form(TranscriptQuery, {}).states() == []
    for name, value in (("date", "1"), ("date_to", "2026-13-01"), ("date_from", "1700000000"), ("page", "0")):
        assert refusal(TranscriptQuery, {name: value}).facts["field"] == name


# -- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (VoiceError(Code.INSUFFICIENT_CREDITS, "x", available=0), "No credits remaining. Upgrade your plan."),
        (VoiceError(Code.INSUFFICIENT_CREDITS, "3 are needed.", available=2), "3 are needed."),
        (VoiceError(Code.NOT_INSTALLED, "no x here", install="get x"), "No x here. To add it: get x"),
        (VoiceError(Code.NOT_INSTALLED, "Run get x.", install="get x"), "Run get x."),
        (VoiceError(Code.NOT_INSTALLED, "no x here"), "no x here"),
        (VoiceError(Code.TIMEOUT, "Slow.", job_id="7"), "Slow. It goes on as /api/v1/transcripts/7/"),
    ],
)
def test_the_string_says_all(error: VoiceError, told: str) -> None:
    """C21, C23."""
    assert stt_ai.error_reply(error).body.decode() == f'{{"error":"{told}"}}'
