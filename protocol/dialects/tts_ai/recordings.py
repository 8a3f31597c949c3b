"""Seed D's requests with a recording, the file ``file``: recognition, voices, translation, tools (D7, D10-D17)."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from protocol.checking import Plain
from protocol.dialects.tts_ai.fields import Asked, Boolean, Language, Name, Speed, WebhookUrl, one_of
from protocol.texts import language_of
from protocol.work import (
    STEMS,
    Analyzing,
    AnyVoice,
    Converting,
    Deechoing,
    Delivery,
    Emotion,
    Enhancing,
    Interpreting,
    Revoicing,
    Separating,
    Transcribing,
)

# The most a file may have, MiB. What the document leaves open (D13-D18) is as for recognition.
STT_MB = TRANSLATE_MB = TOOL_MB = 100
CONVERT_VOICE_MB = RESHAPE_MB = 50
REFERENCE_MB = 20

LosslessFormat = Literal["wav", "mp3", "flac"]
ToolFormat = Literal["wav", "mp3", "flac", "ogg"]
BITRATES, RATES = (64, 128, 192, 256, 320), (22050, 44100, 48000)  # D17
_Stems = Annotated[int, one_of(*STEMS), WithJsonSchema({"type": "integer", "enum": list(STEMS)})]
_Bitrate = Annotated[int, one_of(*BITRATES), WithJsonSchema({"type": "integer", "enum": list(BITRATES)})]
_Rate = Annotated[int, one_of(*RATES), WithJsonSchema({"type": "integer", "enum": list(RATES)})]


class OfFile(Asked):
    """A request with a file: the sound of its task comes at once, or is told of."""

    webhook_url: WebhookUrl | None = None


class SttForm(OfFile):
    """``POST /v1/stt/`` (D7)."""

    model: Name = "whisper"
    language: Language = "auto"
    timestamps: Boolean = Field(False, description="Times of words, in each segment.")
    diarize: Boolean = Field(False, description="Who speaks, in each segment.")

    def work(self, upload: str, seconds: float, engine: str) -> Transcribing:
        """What is asked for, of a received file."""
        return Transcribing(
            upload=upload,
            seconds=seconds,
            engine=engine,
            language=self.language,
            keep_words=self.timestamps,
            diarize=self.diarize,
            formats=(),
        )


class ConvertVoiceForm(OfFile):
    """``POST /v1/voice-convert/`` (D10)."""

    target_voice: Name
    model: Name = "openvoice"
    format: LosslessFormat = "wav"

    def work(self, upload: str, seconds: float, voice: AnyVoice) -> Revoicing:
        """What is asked for, of a received file."""
        return Revoicing(upload=upload, seconds=seconds, voice=voice, delivery=Delivery(format=self.format))


class ReshapeForm(OfFile):
    """``POST /v1/speech-to-speech/`` (D12)."""

    voice: Name
    model: Name = "openvoice"
    emotion: Emotion = "neutral"
    speed: Speed = 1.0
    format: LosslessFormat = "wav"

    def work(self, upload: str, seconds: float, voice: AnyVoice) -> Revoicing:
        """What is asked for, of a received file."""
        return Revoicing(
            upload=upload,
            seconds=seconds,
            voice=voice,
            emotion=self.emotion,
            speed=self.speed,
            delivery=Delivery(format=self.format),
        )


class TranslateForm(OfFile):
    """``POST /v1/speech-translate/`` (D11)."""

    target_language: Plain = Field(min_length=2, max_length=40, description='A code: "es", "fr", "de", "ja".')
    voice: Name | None = Field(None, description="Who speaks the translation; the language's own voice if none.")
    preserve_voice: Boolean = Field(False, description="Speak it like the recording, in place of `voice`.")

    @property
    def target(self) -> str:
        """The language, checked. Raises BAD_REQUEST."""
        return language_of(self.target_language, "target_language")

    def work(self, upload: str, seconds: float, voice: AnyVoice) -> Interpreting:
        """What is asked for, of a received file."""
        return Interpreting(
            upload=upload, seconds=seconds, target=self.target, voice=voice, keep_voice=self.preserve_voice
        )


class EnhanceForm(OfFile):
    """``POST /v1/audio/enhance/`` (D13)."""

    denoise: Boolean = True
    enhance_clarity: Boolean = True
    super_resolution: Boolean = False
    strength: int = Field(2, ge=1, le=3, description="1 light, 2 medium, 3 strong.")
    format: ToolFormat | None = Field(None, description="As the file that was sent where it is not given.")

    def work(self, upload: str, seconds: float, container: str = "") -> Enhancing:
        """What is asked for, of a received file."""
        return Enhancing(
            upload=upload,
            seconds=seconds,
            denoise=self.denoise,
            clarity=self.enhance_clarity,
            super_resolution=self.super_resolution,
            strength=self.strength,
            delivery=_as_sent(self.format, container),
        )


class SeparateForm(OfFile):
    """``POST /v1/audio/separate/`` (D14)."""

    model: Name = "demucs"
    stems: _Stems = 2
    format: LosslessFormat = "wav"

    def work(self, upload: str, seconds: float) -> Separating:
        """What is asked for, of a received file."""
        delivery = Delivery(format=self.format)
        return Separating(upload=upload, seconds=seconds, stems=STEMS[self.stems], delivery=delivery)


class DeechoForm(OfFile):
    """``POST /v1/audio/de-echo/`` (D15)."""

    type: Literal["both", "echo", "reverb"] = "both"
    intensity: int = Field(3, ge=1, le=5)
    format: ToolFormat | None = Field(None, description="As the file that was sent where it is not given.")

    def work(self, upload: str, seconds: float, container: str = "") -> Deechoing:
        """What is asked for, of a received file."""
        return Deechoing(
            upload=upload,
            seconds=seconds,
            echo=self.type != "reverb",
            reverb=self.type != "echo",
            intensity=self.intensity,
            delivery=_as_sent(self.format, container),
        )


class AnalyzeForm(OfFile):
    """``POST /v1/audio/analyze/`` (D16)."""

    def work(self, upload: str, seconds: float) -> Analyzing:
        """What is asked for, of a received file."""
        return Analyzing(upload=upload, seconds=seconds)


class ConvertForm(OfFile):
    """``POST /v1/audio/convert/`` (D17)."""

    format: Literal["mp3", "wav", "flac", "ogg", "m4a", "aac"]
    bitrate: _Bitrate | None = Field(None, description="kbit/s, where the format has one.")
    sample_rate: _Rate | None = Field(None, description="Hz; the file's own where it is not given.")
    channels: Literal["mono", "stereo"] | None = Field(None, description="The file's own where it is not given.")

    def work(self, upload: str, seconds: float) -> Converting:
        """What is asked for, of a received file."""
        return Converting(
            upload=upload,
            seconds=seconds,
            format=self.format,
            bitrate=self.bitrate,
            sample_rate=self.sample_rate,
            channels=None if self.channels is None else 1 if self.channels == "mono" else 2,
        )


def _as_sent(wanted: ToolFormat | None, container: str) -> Delivery:
    """The format that was asked for, else that of the file, where it is one of ours."""
    first = container.split(",")[0]
    if wanted:
        return Delivery(format=wanted)
    return Delivery(format=first if first in ("mp3", "flac", "ogg") else "wav")  # type: ignore[arg-type]
