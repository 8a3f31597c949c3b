"""Seed C's requests with a file: transcribe (C5), enhance-audio (C16) and the clone of C17. Values come as text."""

from typing import Literal

from pydantic import Field

from protocol.checking import Plain, Speakable
from protocol.dialects.stt_ai.fields import Boolean, Fields, Language
from protocol.dialects.stt_ai.live import DEFAULT_MODEL
from protocol.work import MOST_SPEAKERS, Delivery, Enhancing, Line, Speaking, Style, Transcribing, VoiceClone

# C5's models. Each stands for the best recogniser that is installed, where it is not itself; other names for nothing
# but themselves.
DOCUMENTED_MODELS = (DEFAULT_MODEL, "large-v3", "medium", "small")
REFERENCE_S = (3.0, 10.0)  # C17: how long a reference may last
ResponseFormat = Literal["json", "txt", "srt", "vtt"]


class TranscribeForm(Fields):
    """A recording to text (C5)."""

    model: Plain = Field(
        DEFAULT_MODEL, max_length=64, description="Of GET /v1/models; one of the document's = the best there is."
    )
    language: Language = Field("auto", description="The language spoken; auto = find out.")
    diarize: Boolean = Field(True, description="Tell who speaks. Another word than these counts as not given.")
    speakers: int = Field(0, ge=0, le=MOST_SPEAKERS, description="How many people speak; 0 = find out.")
    response_format: ResponseFormat = Field("json", description="json, or text or subtitles alone.")

    def work(self, upload: str, seconds: float, engine: str) -> Transcribing:
        """What is asked for, of a received file. Nothing is written: the replies are made of the outcome."""
        return Transcribing(
            upload=upload,
            seconds=seconds,
            engine=engine,
            language=self.language,
            keep_words=True,
            formats=(),
            diarize=self.diarize is not False,
            speakers=self.speakers,
            must_diarize=self.speakers > 1,
        )


class EnhanceForm(Fields):
    """A recording made better (C16): the file, and nothing to choose."""

    def work(self, upload: str, seconds: float) -> Enhancing:
        """What is asked for, of a received file."""
        return Enhancing(upload=upload, seconds=seconds, strength=2, delivery=Delivery(format="wav"))


class CloneForm(Fields):
    """Speech in the voice of a recording (C17)."""

    text: Speakable = Field(description="The text to speak.")
    language: Language = Field("auto", description="Its language; auto = as its letters tell.")

    def work(self, upload: str) -> Speaking:
        """What is asked for, with the received reference."""
        line = Line(text=self.text, voice=VoiceClone(upload=upload))
        return Speaking(lines=(line,), style=Style(language=self.language), delivery=Delivery(format="wav"))
