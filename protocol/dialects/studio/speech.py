"""Seed A's requests for speech: design, clone, auto, saved, dialogue (A14-A18), and subtitles to speech (A53)."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from protocol.checking import Plain, Wrong
from protocol.dialects.studio.form_fields import Language, SpeechForm, StudioForm, VoiceId
from protocol.errors import Code, VoiceError
from protocol.traits import Manner
from protocol.work import (
    AnyVoice,
    Cue,
    Delivery,
    Dubbing,
    Line,
    Speaking,
    Style,
    VoiceClone,
    VoiceDesign,
    VoiceNamed,
    VoiceSaved,
)

STYLES = [manner.value for manner in Manner]
MAX_CAST = 100  # voices of a dialogue
_MAX_ID = 2**31 - 1
_CAST_MUST_BE = 'JSON of names and voice ids, such as {"MC": 1, "Guest": 2}'


def _style(value: str) -> str:
    if value.lower() not in STYLES:
        raise Wrong("one of " + ", ".join(STYLES), STYLES)
    return value.lower()


StyleWord = Annotated[str, AfterValidator(_style), WithJsonSchema({"type": "string", "enum": STYLES})]


class DesignForm(SpeechForm):
    """A voice in words (A14)."""

    gender: Literal["", "male", "female"] = ""
    age: Literal["", "child", "young adult", "middle-aged", "elderly"] = ""
    pitch: Literal["", "low pitch", "moderate pitch", "high pitch"] = ""
    style: StyleWord = Field("", description="How it speaks.")
    instruct: Plain = Field("", max_length=500, description="The voice in words, in place of the four above.")
    guidance_scale: float = Field(2.0, ge=0.0, le=20.0, allow_inf_nan=False, description="For engines with diffusion.")

    def work(self) -> Speaking:
        """What is asked for; ``instruct`` stands in place of the other words (A14)."""
        words = VoiceDesign(gender=self.gender, age=self.age, pitch=self.pitch, style=self.style)
        voice = VoiceDesign(instruct=self.instruct) if self.instruct else words
        style = self.manner().model_copy(update={"guidance_scale": self.guidance_scale})
        return _one_line(self.text, voice, style)


class CloneForm(SpeechForm):
    """A voice like that of the file ``ref_audio`` (A15)."""

    def work(self, upload: str) -> Speaking:
        """What is asked for, in the voice of a received file."""
        return _one_line(self.text, VoiceClone(upload=upload), self.manner())


class AutoForm(SpeechForm):
    """The language's own voice (A16)."""

    def work(self) -> Speaking:
        """What is asked for."""
        return _one_line(self.text, VoiceNamed(), self.manner())


class SavedForm(SpeechForm):
    """A saved voice (A17)."""

    voice_id: VoiceId

    def work(self) -> Speaking:
        """What is asked for."""
        return _one_line(self.text, VoiceSaved(voice_id=self.voice_id), self.manner())


def _cast(value: str) -> str:
    try:
        given = json.loads(value)
    except (ValueError, RecursionError):
        raise Wrong(_CAST_MUST_BE) from None
    if not isinstance(given, dict) or not 0 < len(given) <= MAX_CAST:
        raise Wrong(_CAST_MUST_BE)
    if not all(_is_id(voice) for voice in given.values()):
        raise Wrong(_CAST_MUST_BE)
    return value


def _is_id(value: object) -> bool:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11 else value
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number <= _MAX_ID


Cast = Annotated[
    str,
    AfterValidator(_cast),
    WithJsonSchema({"type": "string", "contentMediaType": "application/json", "examples": ['{"MC": 1, "Guest": 2}']}),
]


class DialogueForm(SpeechForm):
    """Several saved voices (A18): ``#Name`` on a line of its own, and below it what that one says."""

    char_voice_map: Cast = Field(description="JSON: the id of the saved voice of each name.")

    def work(self, turns: Sequence[tuple[str, str]]) -> Speaking:
        """What is asked for, of the script's turns: (name, words). BAD_REQUEST for a name without a voice."""
        voices = {_plain_name(name): int(voice) for name, voice in json.loads(self.char_voice_map).items()}
        missing = list(dict.fromkeys(name for name, _ in turns if name not in voices))
        if missing:
            what = (
                f"char_voice_map must give a voice to every name of the text; there is none for {missing[0][:100]!r}."
            )
            raise VoiceError(
                Code.BAD_REQUEST, what, field="char_voice_map", allowed=[name[:100] for name in missing[:20]]
            )
        lines = tuple(Line(text=words, voice=VoiceSaved(voice_id=voices[name])) for name, words in turns)
        return Speaking(lines=lines, style=self.manner())


def _plain_name(name: str) -> str:
    """A name as the script has it (``protocol.dialogue``)."""
    return " ".join(name.lstrip("#＃").rstrip(":：").split())


class DubForm(StudioForm):
    """Subtitles of the file ``srt_file`` spoken at their times (A53)."""

    voice_id: VoiceId
    language: Language = Field("auto", description="The language to speak, by name or code.")

    def work(self, cues: Sequence[Cue]) -> Dubbing:
        """What is asked for, of the file's cues."""
        voice, style = VoiceSaved(voice_id=self.voice_id), Style(language=self.language)
        return Dubbing(cues=tuple(cues), voice=voice, style=style, delivery=Delivery(format="mp3"))


def characters(work: Speaking | Dubbing) -> int:
    """What is paid for: the code points of the words, not of the names (A18)."""
    return sum(len(part.text) for part in (work.lines if isinstance(work, Speaking) else work.cues))


def _one_line(text: str, voice: AnyVoice, style: Style) -> Speaking:
    return Speaking(lines=(Line(text=text, voice=voice),), style=style, delivery=Delivery(format="wav"))
