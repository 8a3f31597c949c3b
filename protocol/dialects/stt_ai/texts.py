"""Seed C's work on written text: summaries (C7), translations (C13), analyses (C14), writing (C15), embeddings (C18).

``model`` of a reply names what really did it. The document shows no reply of analyze and generate; these are ours.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from protocol.dialects.stt_ai.fields import Fields
from protocol.errors import Code, VoiceError
from protocol.texts import TEXTS, Analysis, AnalysisType, Embedded, SummaryStyle, Translated, WritingType, Written

Body = dict[str, Any]


class Summarize(Fields):
    """C7."""

    text: str = Field(description="The transcript's text.")
    style: SummaryStyle = Field(SummaryStyle.BRIEF, description="How it is to be written.")


class Translate(Fields):
    """C13: one text, or several."""

    text: str | None = Field(None, description="The text; or `texts`.")
    texts: list[str] | None = Field(None, max_length=TEXTS, description="Several texts, translated in one go.")
    target: str = Field(description="The language to translate to, by its code.")
    source: str = Field("en", description="The language they are in.")

    def all(self) -> list[str]:
        """What is to be translated. BAD_REQUEST unless it is given in one of the two ways."""
        if (self.text is None) == (self.texts is None):
            raise VoiceError(Code.BAD_REQUEST, "Either text or texts is required, and not both.", field="text")
        return [self.text] if self.text is not None else self.texts or []


class Analyze(Fields):
    """C14."""

    text: str = Field(description="The text to analyse.")
    type: AnalysisType = Field(description="What to look for.")


class Generate(Fields):
    """C15."""

    text: str = Field(description="The transcript's text.")
    type: WritingType = Field(description="What to make of it.")


class AnalyzeTranscript(Fields):
    """C22: of a transcript that is kept here."""

    type: AnalysisType = Field(description="What to look for.")


class GenerateFromTranscript(Fields):
    """C22: of a transcript that is kept here."""

    type: WritingType = Field(description="What to make of it.")


class Embed(Fields):
    """C18."""

    texts: list[str] = Field(min_length=1, max_length=TEXTS, description="The texts.")


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str


class Summary(_Reply):
    """What a text says, in short."""

    summary: str
    style: SummaryStyle


class Translation(_Reply):
    """A text in another language."""

    translated_text: str
    source_language: str
    target_language: str


class OneTranslation(BaseModel):
    """One of several."""

    translated_text: str


class Translations(_Reply):
    """Several texts in another language, in their order."""

    translations: list[OneTranslation]
    source_language: str
    target_language: str


class AnalysisReply(_Reply):
    """What was found; the keys of ``result`` depend on the type."""

    type: AnalysisType
    result: Body


class Generated(_Reply):
    """What was written."""

    type: WritingType
    content: str


class Embeddings(_Reply):
    """A vector for each text."""

    embeddings: list[list[float]]
    dimensions: int


def summary(written: Written, style: SummaryStyle) -> Body:
    """The reply of C7."""
    return Summary(summary=written.text, style=style, model=written.model).model_dump(mode="json")


def translation(asked: Translate, done: Translated) -> Body:
    """The reply of C13: of the kind that was asked for."""
    languages = {"source_language": done.source, "target_language": done.target, "model": done.model}
    if asked.text is not None:
        return Translation(translated_text=done.texts[0], **languages).model_dump()
    rows = [OneTranslation(translated_text=text) for text in done.texts]
    return Translations(translations=rows, **languages).model_dump()


def analysis(found: Analysis) -> Body:
    """The reply of C14."""
    return AnalysisReply(type=found.type, result=found.data, model=found.model).model_dump(mode="json")


def generated(written: Written, kind: WritingType) -> Body:
    """The reply of C15."""
    return Generated(type=kind, content=written.text, model=written.model).model_dump(mode="json")


def embeddings(made: Embedded) -> Body:
    """The reply of C18; not checked again, since it may be large."""
    return {"embeddings": made.vectors, "dimensions": made.dimensions, "model": made.model}
