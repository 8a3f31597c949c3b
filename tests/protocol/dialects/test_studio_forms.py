"""Seed A's forms: the document's own examples, its defaults, and every field's limits (A14-A18, A34-A37, A44-A47)."""

import random
import time
from typing import Any

import pytest

from protocol.checking import read_form
from protocol.dialects.studio.form_fields import StudioForm, boolean
from protocol.dialects.studio.recordings import SeparateForm, TranscribeForm, TranscribeV2Form, V2Defaults
from protocol.dialects.studio.speech import (
    AutoForm,
    CloneForm,
    DesignForm,
    DialogueForm,
    DubForm,
    SavedForm,
    characters,
)
from protocol.errors import Code, VoiceError
from protocol.work import (
    Cue,
    Delivery,
    Line,
    Separating,
    Speaking,
    Style,
    Transcribing,
    VoiceClone,
    VoiceDesign,
    VoiceNamed,
    VoiceSaved,
)

TURNS = [("MC", "Xin chào các bạn!"), ("Guest", "Cảm ơn MC, tôi rất vui.")]
DIALOGUE = {"text": "#MC\n...", "char_voice_map": '{"MC": 1, "Guest": 2}', "language": "vietnamese"}


def complaint(model: type[StudioForm], **fields: str) -> VoiceError:
    least = {"text": "Xin chào", "voice_id": "1", "char_voice_map": '{"MC": 1}'}
    with pytest.raises(VoiceError) as caught:
        read_form(model, least | fields)
    assert caught.value.code is Code.BAD_REQUEST
    return caught.value


def test_design_as_in_the_document() -> None:
    given = {"text": "Xin chào, đây là giọng nói AI", "language": "vietnamese", "gender": "female"}
    form = read_form(DesignForm, given | {"age": "young adult", "pitch": "moderate pitch"})
    voice = VoiceDesign(gender="female", age="young adult", pitch="moderate pitch")
    line = Line(text="Xin chào, đây là giọng nói AI", voice=voice)
    assert form.work() == Speaking(lines=(line,), style=Style(language="vi"), delivery=Delivery(format="wav"))
    assert not form.async_mode
    assert characters(form.work()) == 29


def test_instruct_stands_in_place_of_the_other_words() -> None:
    """A14."""
    form = read_form(DesignForm, {"text": "a", "gender": "male", "style": "sad", "instruct": "an old woman"})
    assert form.work().lines[0].voice == VoiceDesign(instruct="an old woman")


def test_the_defaults_of_the_document() -> None:
    """A14: speed 1.0, num_step 32, guidance_scale 2.0, denoise true, async_mode false; empty fields are not given."""
    form = read_form(DesignForm, {"text": "a", "speed": "", "gender": "", "async_mode": " "})
    assert form.work().style == Style(language="auto", speed=1.0, num_step=32, guidance_scale=2.0, denoise=True)
    assert form.async_mode is False


def test_every_field_arrives() -> None:
    words = {"text": "a", "style": "Whisper", "speed": "1.5", "num_step": "16", "guidance_scale": "3", "denoise": "0"}
    work = read_form(DesignForm, words | {"language": "en-US", "async_mode": "yes"}).work()
    assert work.style == Style(language="en", speed=1.5, num_step=16, guidance_scale=3.0, denoise=False)
    assert work.lines[0].voice == VoiceDesign(style="whisper")


def test_clone_auto_saved() -> None:
    assert read_form(CloneForm, {"text": "a"}).work("u1").lines[0].voice == VoiceClone(upload="u1")
    assert read_form(AutoForm, {"text": "Hello world", "language": "english"}).work().lines[0].voice == VoiceNamed()
    assert read_form(SavedForm, {"text": "a", "voice_id": "7"}).work().lines[0].voice == VoiceSaved(voice_id=7)


def test_dialogue_as_in_the_document() -> None:
    """A18: paid for are the words, not the names."""
    work = read_form(DialogueForm, DIALOGUE).work(TURNS)
    assert [(line.voice, line.text) for line in work.lines] == [
        (VoiceSaved(voice_id=1), "Xin chào các bạn!"),
        (VoiceSaved(voice_id=2), "Cảm ơn MC, tôi rất vui."),
    ]
    assert characters(work) == sum(len(words) for _, words in TURNS)
    assert work.style.language == "vi"


def test_dialogue_needs_a_voice_for_every_name() -> None:
    form = read_form(DialogueForm, DIALOGUE)
    with pytest.raises(VoiceError) as caught:
        form.work([*TURNS, ("Nobody", "?")])
    assert caught.value.facts == {"field": "char_voice_map", "allowed": ["Nobody"]}


@pytest.mark.parametrize(
    "cast",
    [
        "MC=1",
        "[1]",
        "{}",
        '{"MC": true}',
        '{"MC": 0}',
        '{"MC": 1.5}',
        '{"MC": null}',
        '{"MC": "one"}',
        '{"MC": 99999999999}',
        "[" * 100_000,
        "{" + ",".join(f'"{n}": 1' for n in range(101)) + "}",
    ],
)
def test_a_cast_that_is_none(cast: str) -> None:
    assert complaint(DialogueForm, char_voice_map=cast).facts["field"] == "char_voice_map"


def test_ids_in_a_cast_may_be_text() -> None:
    work = read_form(DialogueForm, DIALOGUE | {"char_voice_map": '{"MC": "3"}'}).work(TURNS[:1])
    assert work.lines[0].voice == VoiceSaved(voice_id=3)


def test_dub() -> None:
    cues = [Cue(start=0.0, end=1.0, text="Xin chào")]
    work = read_form(DubForm, {"voice_id": "1", "language": "vietnamese"}).work(cues)
    assert (work.cues, work.voice, work.delivery.format) == (tuple(cues), VoiceSaved(voice_id=1), "mp3")
    assert work.style.language == "vi" and characters(work) == 8


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (DesignForm, {"text": ""}, "text"),
        (DesignForm, {"gender": "robot"}, "gender"),
        (DesignForm, {"age": "teen"}, "age"),
        (DesignForm, {"pitch": "high"}, "pitch"),
        (DesignForm, {"style": "sleepy"}, "style"),
        (DesignForm, {"instruct": "x" * 501}, "instruct"),
        (DesignForm, {"guidance_scale": "-1"}, "guidance_scale"),
        (DesignForm, {"speed": "nan"}, "speed"),
        (AutoForm, {"speed": "0"}, "speed"),
        (AutoForm, {"speed": "4.1"}, "speed"),
        (AutoForm, {"num_step": "0"}, "num_step"),
        (AutoForm, {"num_step": "2.5"}, "num_step"),
        (AutoForm, {"language": "klingon"}, "language"),
        (AutoForm, {"denoise": "True"}, "denoise"),
        (AutoForm, {"async_mode": "on"}, "async_mode"),
        (SavedForm, {"voice_id": "boss"}, "voice_id"),
        (SavedForm, {"voice_id": "0"}, "voice_id"),
        (SavedForm, {"voice_id": "99999999999999999999"}, "voice_id"),
        (DubForm, {"voice_id": ""}, "voice_id"),
        (TranscribeForm, {"output_format": "pdf"}, "output_format"),
        (TranscribeForm, {"async_mode": "TRUE"}, "async_mode"),
        (TranscribeV2Form, {"beam_size": "0"}, "beam_size"),
        (TranscribeV2Form, {"temperature": "1.1"}, "temperature"),
        (TranscribeV2Form, {"initial_prompt": "x" * 2001}, "initial_prompt"),
        (SeparateForm, {"mode": "drums"}, "mode"),
    ],
)
def test_what_is_refused_names_its_field(model: type[StudioForm], fields: dict[str, str], field: str) -> None:
    error = complaint(model, **fields)
    assert error.facts["field"] == field and error.message.startswith(field)


@pytest.mark.parametrize("word", ["true", "1", "yes"])
def test_words_for_yes(word: str) -> None:
    assert boolean(word) is True


@pytest.mark.parametrize("word", ["false", "0", "no"])
def test_words_for_no(word: str) -> None:
    assert boolean(word) is False


@pytest.mark.parametrize("word", ["True", "FALSE", "Yes", "on", "2", "y", "t"])
@pytest.mark.parametrize("admin", [True, False])
def test_v2_ignores_what_is_no_boolean(word: str, admin: bool) -> None:
    """A47: no error, the admin's default stands, for ``True`` as well."""
    form = read_form(TranscribeV2Form, {"vad_filter": word, "word_timestamps": word})
    work = form.work("u", 1.0, V2Defaults(vad_filter=admin, word_timestamps=admin))
    assert work.vad_filter is admin and work.words is admin


@pytest.mark.parametrize(("word", "meant"), [("true", True), ("0", False), ("no", False), ("yes", True), ("1", True)])
def test_v2_booleans_override_the_admin(word: str, meant: bool) -> None:
    """A46."""
    form = read_form(TranscribeV2Form, {"vad_filter": word, "word_timestamps": word})
    work = form.work("u", 1.0, V2Defaults(vad_filter=not meant, word_timestamps=not meant))
    assert work.vad_filter is meant and work.words is meant


def test_v2_as_in_the_document() -> None:
    prompt = "Đây là podcast về AI, công nghệ, có tên Lương, Hùng, Minh"
    fields = {"language": "vietnamese", "beam_size": "10", "vad_filter": "1", "temperature": "0.0"}
    form = read_form(TranscribeV2Form, fields | {"word_timestamps": "1", "initial_prompt": prompt})
    assert form.work("u", 45.2, V2Defaults(model="small", vad_threshold=0.4, temperature=0.4)) == Transcribing(
        upload="u", seconds=45.2, engine="small", language="vi", prompt=prompt, beam_size=10,
        vad_threshold=0.4, temperature=0.0, formats=("srt",),
    )  # fmt: skip


def test_v2_leaves_the_rest_to_the_admin() -> None:
    """A52."""
    admin = V2Defaults(beam_size=2, temperature=0.4, initial_prompt="Voxline", vad_threshold=0.3)
    work = read_form(TranscribeV2Form, {}).work("u", 1.0, admin)
    assert (work.beam_size, work.temperature, work.prompt, work.vad_threshold) == (2, 0.4, "Voxline", 0.3)


@pytest.mark.parametrize(("asked", "made"), [("json", ("srt",)), ("srt", ("srt",)), ("vtt", ("srt", "vtt"))])
def test_subtitles_are_always_made(asked: str, made: tuple[str, ...]) -> None:
    """A38, A49: ``srt_url`` is in every reply."""
    assert read_form(TranscribeForm, {"output_format": asked}).work("u", 1.0).formats == made


def test_separate() -> None:
    """A58."""
    assert read_form(SeparateForm, {}).work("u", 2.0) == Separating(upload="u", seconds=2.0)
    assert read_form(SeparateForm, {"mode": "vocals"}).work("u", 2.0).stems == ("vocals",)


MODELS: list[type[StudioForm]] = [
    DesignForm, CloneForm, AutoForm, SavedForm, DialogueForm, DubForm, TranscribeForm, TranscribeV2Form, SeparateForm,
]  # fmt: skip
WORDS = [
    "",
    " ",
    "1",
    "-1",
    "1e999",
    "nan",
    "true",
    "True",
    "vietnamese",
    "\0",
    "é",
    "💥" * 50,
    "{",
    '{"a": 1}',
    "[" * 9000,
]


def mutated(count: int, seed: int) -> None:
    """Random forms: a form or a VoiceError, nothing else, and quickly (RELIABILITY F1)."""
    chance = random.Random(seed)
    for _ in range(count):
        model = chance.choice(MODELS)
        names = [*model.model_fields, "unknown"]
        fields: dict[str, Any] = {name: chance.choice(WORDS) for name in names if chance.random() < 0.5}
        began = time.thread_time()
        try:
            read_form(model, fields)
        except VoiceError as error:
            assert error.code is Code.BAD_REQUEST and error.facts["field"], fields
        assert time.thread_time() - began < 0.5, fields  # a collection of garbage may fall into it


def test_no_form_does_worse_than_a_typed_error() -> None:
    mutated(2_000, seed=1)


@pytest.mark.nightly
def test_no_form_does_worse_than_a_typed_error_at_length() -> None:
    mutated(1_000_000, seed=2)
