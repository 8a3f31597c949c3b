"""Work on written text: what can be asked, within which bounds, and what comes of it, in any dialect's stead.

``model`` of an answer names what really did it, a plain method included; nothing claims to be a language model that is
none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from protocol.errors import Code, VoiceError

TEXT_CHARACTERS = 200_000  # of one text: three hours of speech
TEXTS = 256  # in one request
TEXTS_CHARACTERS = 400_000  # of all texts in one request
QUESTION_CHARACTERS = 2_000
PROMPT_CHARACTERS = 8_000  # of a system prompt
TURN_CHARACTERS = 16_000
TURNS = 64  # of a conversation that are looked at
SEGMENTS = 20_000  # of a transcript that is asked about

# A code as clients send it: "en", "pt-BR", "zh_Hant", "eng_Latn" (NLLB), "arz"; whether an engine knows it is its word.
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")


class SummaryStyle(StrEnum):
    """How a summary is written (C7)."""

    BRIEF = "brief"
    DETAILED = "detailed"
    ACTION_ITEMS = "action_items"
    BULLET_POINTS = "bullet_points"


class AnalysisType(StrEnum):
    """What is looked for in a text (C14)."""

    SENTIMENT = "sentiment"
    TOPICS = "topics"
    ENTITIES = "entities"
    ACTION_ITEMS = "action_items"
    QUESTIONS = "questions"
    PII_REDACT = "pii_redact"


class WritingType(StrEnum):
    """What is made of a text (C15)."""

    BLOG_POST = "blog_post"
    SOCIAL_MEDIA = "social_media"
    NEWSLETTER = "newsletter"
    KEY_QUOTES = "key_quotes"
    SHOW_NOTES = "show_notes"
    MEETING_NOTES = "meeting_notes"
    STUDY_GUIDE = "study_guide"
    FLASHCARDS = "flashcards"
    QUIZ = "quiz"
    CHAPTER_MARKERS = "chapter_markers"


class Role(StrEnum):
    """Whose turn it is in a conversation."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side of a conversation said."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """A text that was made."""

    text: str
    model: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found; ``data`` is plain JSON, its keys by type as docs/texts.md lists them."""

    type: AnalysisType
    data: dict[str, object]
    model: str


@dataclass(frozen=True, slots=True)
class Translated:
    """Texts in another language, in the order they came."""

    texts: tuple[str, ...]
    source: str
    target: str
    model: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector of unit length for each text."""

    vectors: list[list[float]]
    model: str

    @property
    def dimensions(self) -> int:
        """Of each vector."""
        return len(self.vectors[0]) if self.vectors else 0


@dataclass(frozen=True, slots=True)
class Source:
    """A segment that an answer rests on; ``index`` is its place among those that were given."""

    index: int
    text: str
    score: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a question about a transcript, and what it rests on, best first."""

    text: str
    sources: tuple[Source, ...]
    model: str


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that can be done with texts: by what model, or the command that would add one."""

    name: str  # "embed", "summarize", "analyze", "answer", "generate", "chat", "translate"
    model: str  # "" when nothing here can do it
    note: str = ""
    install: str = ""
    languages: tuple[str, ...] = field(default=())


def language_of(written: str, name: str = "target") -> str:
    """A language code as it was sent. Raises BAD_REQUEST naming the field for what cannot be one."""
    code = written.strip()
    if not _LANGUAGE.fullmatch(code):
        what = f'{name} must be a language code such as "es", "pt-BR" or "zh-Hant".'
        raise VoiceError(Code.BAD_REQUEST, what, field=name)
    return code


def text_of(written: str, name: str = "text", most: int = TEXT_CHARACTERS) -> str:
    """A text that can be worked on, trimmed. Raises BAD_REQUEST or TEXT_TOO_LONG naming the field."""
    text = written.strip()
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise VoiceError(Code.BAD_REQUEST, f"{name} must be valid Unicode text.", field=name)
    text = text.replace("\0", "")
    if not text:
        raise VoiceError(Code.BAD_REQUEST, f"{name} must be text that is not empty.", field=name)
    if len(text) > most:
        what = f"{name} must be text of at most {most} characters."
        raise VoiceError(Code.TEXT_TOO_LONG, what, field=name, allowed=most)
    return text


def texts_of(written: Sequence[str], name: str = "texts") -> tuple[str, ...]:
    """Several texts, each as ``text_of``. Raises as it does, naming the one ("texts[3]")."""
    if not 1 <= len(written) <= TEXTS:
        what = f"{name} must be a list of 1 to {TEXTS} texts."
        raise VoiceError(Code.BAD_REQUEST, what, field=name, allowed=[1, TEXTS])
    texts = tuple(text_of(text, f"{name}[{number}]") for number, text in enumerate(written))
    if sum(map(len, texts)) > TEXTS_CHARACTERS:
        what = f"{name} must have at most {TEXTS_CHARACTERS} characters together."
        raise VoiceError(Code.TEXT_TOO_LONG, what, field=name, allowed=TEXTS_CHARACTERS)
    return texts
