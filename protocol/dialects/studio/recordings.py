"""Seed A's requests with a recording: recognition v1 and v2 (A34-A52), separation (A58). The file is ``audio_file``."""

from typing import Literal, TypeVar

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from protocol.checking import Plain
from protocol.dialects.studio.form_fields import Language, LenientBool, StrictBool, StudioForm
from protocol.work import Separating, Transcribing

SYNC_SECONDS = 120.0  # A37: longer recordings are never waited for
NotGiven = SkipJsonSchema[None]  # a form has no null
T = TypeVar("T")
OutputFormat = Literal["json", "srt", "vtt", "txt"]


#: The engine of v1, by its document; where it is not installed the best one stands in, and the reply names it.
V1_ENGINE = "transformers"


class TranscribeForm(StudioForm):
    """Recognition, v1 (A34-A43)."""

    language: Language = Field("auto", description="The language spoken, by name or code; auto = find out.")
    output_format: OutputFormat = Field("json", description="json, or a file of subtitles or text.")
    async_mode: StrictBool = Field(False, description="Answer with a job at once; over 120 s of sound always.")

    def work(self, upload: str, seconds: float, engine: str = "auto") -> Transcribing:
        """What is asked for, of a received file."""
        formats = files_of(self.output_format)
        return Transcribing(upload=upload, seconds=seconds, engine=engine, language=self.language, formats=formats)


class V2Defaults(StudioForm):
    """What an admin sets for v2 (A52), each overridden by the request's own field (A46)."""

    model: str = "auto"
    beam_size: int = 5
    vad_filter: bool = True
    vad_threshold: float = 0.5
    temperature: float = 0.0
    initial_prompt: str = ""
    word_timestamps: bool = True


class TranscribeV2Form(StudioForm):
    """Recognition, v2 (A44-A51): always a job."""

    language: Language = Field("auto", description="The language spoken, by name or code; auto = find out.")
    output_format: OutputFormat = Field("json", description="Subtitles (srt) are made in any case.")
    beam_size: int | NotGiven = Field(None, ge=1, le=20, description="1 = fastest, 5 = balanced, 10 = best.")
    temperature: float | NotGiven = Field(None, ge=0.0, le=1.0, allow_inf_nan=False, description="0 = likeliest words.")
    initial_prompt: Plain | NotGiven = Field(None, max_length=2000, description="Names and terms to expect.")
    vad_filter: LenientBool = Field(None, description="Leave out silence. true, false, 1, 0, yes or no; else ignored.")
    word_timestamps: LenientBool = Field(
        None, description="Times of words. true, false, 1, 0, yes or no; else ignored."
    )

    def work(self, upload: str, seconds: float, defaults: V2Defaults) -> Transcribing:
        """What is asked for, of a received file, with the admin's defaults for what the request leaves open."""
        return Transcribing(
            upload=upload,
            seconds=seconds,
            engine=defaults.model,
            language=self.language,
            prompt=_given(self.initial_prompt, defaults.initial_prompt),
            beam_size=_given(self.beam_size, defaults.beam_size),
            temperature=_given(self.temperature, defaults.temperature),
            vad_filter=_given(self.vad_filter, defaults.vad_filter),
            vad_threshold=defaults.vad_threshold,
            words=_given(self.word_timestamps, defaults.word_timestamps),
            formats=files_of(self.output_format),
        )


class SeparateForm(StudioForm):
    """Voices and the rest of a recording (A58-A60)."""

    mode: Literal["all", "vocals", "instrumental"] = Field("all", description="Which of the two files to make.")

    def work(self, upload: str, seconds: float) -> Separating:
        """What is asked for, of a received file."""
        if self.mode == "all":
            return Separating(upload=upload, seconds=seconds)
        return Separating(upload=upload, seconds=seconds, stems=(self.mode,))


def files_of(output_format: OutputFormat) -> tuple[Literal["srt", "vtt", "txt", "json"], ...]:
    """What is written: subtitles always (``srt_url``, A38, A49), and the format asked for."""
    return ("srt",) if output_format in ("json", "srt") else ("srt", output_format)


def _given(value: T | None, default: T) -> T:
    return default if value is None else value
