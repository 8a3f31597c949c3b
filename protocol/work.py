"""Work that outlives its request: what a job is asked to do, and what came of it, in any dialect's stead.

These are kept as JSON in the store and read by workers on other machines, perhaps of a later version: a field is added
with a default, never renamed. ``upload`` is the name of a file that ``batch.uploads`` received; seconds are of sound.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# -- voices ------------------------------------------------------------------------------------------


class VoiceDesign(_Model):
    """A voice in words (A14). ``instruct``, when given, stands in place of the others."""

    kind: Literal["design"] = "design"
    gender: Literal["", "male", "female"] = ""
    age: Literal["", "child", "young adult", "middle-aged", "elderly"] = ""
    pitch: Literal["", "low pitch", "moderate pitch", "high pitch"] = ""
    style: str = ""  # normal, cheerful, sad, angry, whisper ...
    instruct: str = ""


class VoiceClone(_Model):
    """A voice like that of a recording: an ``upload`` (A15)."""

    kind: Literal["clone"] = "clone"
    upload: str


class VoiceSaved(_Model):
    """A voice the user has saved (A17), by its id."""

    kind: Literal["saved"] = "saved"
    voice_id: int


class VoiceNamed(_Model):
    """A voice of the catalogue (``GET /v1/voices``, B15, B16); "auto" is the default of the language."""

    kind: Literal["named"] = "named"
    code: str = "auto"


AnyVoice = Annotated[VoiceDesign | VoiceClone | VoiceSaved | VoiceNamed, Field(discriminator="kind")]


class Delivery(_Model):
    """How sound is to be written; None: the best the voice and the format have. ``bitrate`` in kbit/s, mp3 only."""

    format: Literal["wav", "mp3", "flac", "ogg"] = "wav"
    bitrate: int | None = None
    sample_rate: int | None = None


class Style(_Model):
    """How speech is made, for every kind of speaking work. Engines without diffusion have no use for the last three."""

    language: str = "auto"  # ISO 639-1 or a longer tag
    speed: float = 1.0
    num_step: int = 32
    guidance_scale: float = 2.0
    denoise: bool = True


# -- work --------------------------------------------------------------------------------------------


class Line(_Model):
    """Some text and who says it."""

    text: str
    voice: AnyVoice
    speed: float | None = None  # None: the work's own


class Speaking(_Model):
    """Text to one file: one line (A11-A17, B4), or several with their own voices (A18, B5)."""

    kind: Literal["speak"] = "speak"
    lines: tuple[Line, ...]
    style: Style = Style()
    delivery: Delivery = Delivery()


class Cue(_Model):
    """A subtitle: seconds from the start, and the words."""

    start: float
    end: float
    text: str


class Dubbing(_Model):
    """Subtitles to one file of speech that keeps their times (A53-A57)."""

    kind: Literal["dub"] = "dub"
    cues: tuple[Cue, ...]
    voice: AnyVoice
    style: Style = Style()
    delivery: Delivery = Delivery(format="mp3")


MOST_SPEAKERS = 20  # that are told apart in a recording


class Transcribing(_Model):
    """A recording to text with times (A34-A52)."""

    kind: Literal["transcribe"] = "transcribe"
    upload: str
    seconds: float  # as it was priced
    engine: str = "auto"  # an engine's or model's name; "auto": the best that is installed for the language
    language: str = "auto"
    prompt: str = ""
    keyterms: tuple[str, ...] = ()
    beam_size: int = 5
    temperature: float = 0.0
    vad_filter: bool = True
    vad_threshold: float = 0.5
    words: bool = True  # have the times of words found out, to cut segments and cues by
    keep_words: bool = False  # and keep them in the outcome, each with its times and how sure the engine is of it
    formats: tuple[Literal["srt", "vtt", "txt", "json"], ...] = ("srt",)
    diarize: bool = False  # say who speaks when
    speakers: Annotated[int, Field(ge=0, le=MOST_SPEAKERS)] = 0  # how many there are; 0: find out
    must_diarize: bool = True  # False: where nothing here tells speakers apart, the text alone will do


Stem = Literal["vocals", "instrumental", "drums", "bass", "guitar", "piano", "other"]

# Into how many parts music may be taken, and which those are (D14). "other" is what the rest of the set leaves over.
STEMS: Mapping[int, tuple[Stem, ...]] = {
    2: ("vocals", "instrumental"),
    4: ("vocals", "drums", "bass", "other"),
    5: ("vocals", "drums", "bass", "piano", "other"),
    6: ("vocals", "drums", "bass", "guitar", "piano", "other"),
}


class Separating(_Model):
    """A recording to its voices and the rest (A58-A60), or to more of its parts (D14)."""

    kind: Literal["separate"] = "separate"
    upload: str
    seconds: float
    stems: tuple[Stem, ...] = ("vocals", "instrumental")
    delivery: Delivery = Delivery(format="mp3", bitrate=192)


class Enhancing(_Model):
    """A recording made better to listen to (C16, D13). The outcome's ``note`` says what was done."""

    kind: Literal["enhance"] = "enhance"
    upload: str
    seconds: float
    denoise: bool = True
    clarity: bool = False  # speech brought forward
    super_resolution: bool = False  # 48 kHz, the upper band made up from the lower
    strength: Annotated[int, Field(ge=1, le=3)] = 2
    normalize: bool = True
    delivery: Delivery = Delivery()


class Deechoing(_Model):
    """A recording with less of its room in it (D15)."""

    kind: Literal["deecho"] = "deecho"
    upload: str
    seconds: float
    echo: bool = True  # distinct repeats
    reverb: bool = True  # the room's decay
    intensity: Annotated[int, Field(ge=1, le=5)] = 3
    delivery: Delivery = Delivery()


class Converting(_Model):
    """A recording in another format (D17). None: as the recording has it, or what the format does best."""

    kind: Literal["convert"] = "convert"
    upload: str
    seconds: float
    format: Literal["mp3", "wav", "flac", "ogg", "m4a", "aac"] = "mp3"
    bitrate: int | None = None  # kbit/s, of mp3, m4a and aac, and ogg as near as Vorbis comes to it
    sample_rate: int | None = None
    channels: Literal[1, 2] | None = None


class Analyzing(_Model):
    """Music to its key, tempo and time signature (D16): ``Outcome.music``. No file is made."""

    kind: Literal["analyze"] = "analyze"
    upload: str
    seconds: float


Emotion = Literal["neutral", "happy", "sad", "aggressive", "excited"]


class Revoicing(_Model):
    """What somebody said, said by another voice (D10), in another mood and at another speed (D12)."""

    kind: Literal["revoice"] = "revoice"
    upload: str
    seconds: float
    voice: AnyVoice
    language: str = "auto"  # of the voice, where it is not a named one
    emotion: Emotion = "neutral"
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    delivery: Delivery = Delivery()


class Interpreting(_Model):
    """What somebody said, said in another language (D11)."""

    kind: Literal["interpret"] = "interpret"
    upload: str
    seconds: float
    target: str  # a language code, as the client wrote it
    language: str = "auto"  # spoken in the recording
    engine: str = "auto"  # who recognises it
    voice: AnyVoice = VoiceNamed()
    keep_voice: bool = False  # speak like the recording, in place of ``voice``
    delivery: Delivery = Delivery(format="mp3")


class Said(_Model):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    text: str


class Conversing(_Model):
    """The next turn of a spoken conversation (D18): what the user said, as ``text`` or as sound, is answered aloud."""

    kind: Literal["converse"] = "converse"
    text: str = ""
    upload: str = ""
    seconds: float = 0.0
    system_prompt: str = ""
    before: tuple[Said, ...] = ()  # the turns so far, as many as are remembered
    voice: AnyVoice = VoiceNamed()
    style: Style = Style()
    delivery: Delivery = Delivery(format="mp3")


Work = Annotated[
    Speaking
    | Dubbing
    | Transcribing
    | Separating
    | Enhancing
    | Deechoing
    | Converting
    | Analyzing
    | Revoicing
    | Interpreting
    | Conversing,
    Field(discriminator="kind"),
]
WORK: TypeAdapter[Work] = TypeAdapter(Work)


def uploads_of(work: Work) -> tuple[str, ...]:
    """The names of the uploads a piece of work needs."""
    own = () if isinstance(work, Speaking | Dubbing) or not work.upload else (work.upload,)
    lent = (voice.upload for voice in voices_of(work) if isinstance(voice, VoiceClone))
    return tuple(dict.fromkeys((*own, *lent)))


def voices_of(work: Work) -> tuple[AnyVoice, ...]:
    """The voices a piece of work is to be spoken with."""
    if isinstance(work, Speaking):
        return tuple(line.voice for line in work.lines)
    if isinstance(work, Interpreting) and work.keep_voice:
        return (VoiceClone(upload=work.upload),)
    return (work.voice,) if isinstance(work, Dubbing | Revoicing | Interpreting | Conversing) else ()


# -- what came of it ---------------------------------------------------------------------------------


class Made(_Model):
    """A file that was made: ``name`` is its artifact's, ``role`` what it is to the work (audio, srt, vocals ...)."""

    role: str
    name: str
    media_type: str
    size: int  # bytes


class SegmentWord(_Model):
    """A word of a transcript; ``confidence`` is how sure the engine is of it, 0 to 1."""

    word: str
    start: float
    end: float
    confidence: float


class Segment(_Model):
    """A stretch of a transcript."""

    start: float
    end: float
    text: str
    speaker: int | None = None  # who, counted from 0 in the order they first speak; None: nobody tried to find out
    confidence: float | None = None  # how sure the engine is of the text, 0 to 1; None: it does not say
    words: tuple[SegmentWord, ...] = ()  # if they were to be kept, and the engine knows them


class Music(_Model):
    """What a piece of music is in (D16). ``protocol.music`` tells what goes with it."""

    key: str  # "C", "F#" ...
    scale: Literal["Major", "Minor"]
    bpm: float
    time_signature: str  # "4/4"


class Outcome(_Model):
    """What a finished job has to show: its files, and for a transcript its words."""

    engine: str = ""  # who did it, as ``Capabilities.engine``
    seconds: float = 0.0  # of sound, made or heard
    made: tuple[Made, ...] = ()
    text: str = ""
    language: str = ""  # ISO 639-1
    segments: tuple[Segment, ...] = ()
    speakers: int = 0  # how many were told apart; 0: nobody tried
    music: Music | None = None
    note: str = ""  # what was done, or could not be, in words a person may be told
    source_text: str = ""  # what was heard or asked, where ``text`` is a translation of it or the answer to it
    source_language: str = ""

    def file(self, role: str) -> Made | None:
        """The file of that role, if one was made."""
        return next((made for made in self.made if made.role == role), None)
