"""Work on texts without a language model: vectors, extracts, words that say something, and patterns.

Everything here is found in the text, nothing is written. ``model`` of an answer says by what it was found. Where the
lists of words end (sentiment knows English, topics and action items English and Vietnamese) the engine says so.
"""

from collections.abc import Callable, Mapping
from typing import cast

from engines.base import Capabilities, Options, Task
from engines.frames import Head
from engines.text import actions, entities, minilm, pii, sentences, tongues
from engines.text.extracts import Extracts
from engines.text.minilm import MiniLM
from engines.text.notes import Notes
from engines.text.sentiment import MODEL as VADER
from engines.text.sentiment import Sentiment
from engines.text.topics import find_topics
from engines.text_calls import Order, Outcome
from protocol.errors import Code, VoiceError
from protocol.texts import AnalysisType, SummaryStyle, WritingType

EXTRACTIVE = f"extractive ({minilm.MODEL})"
KEYWORDS = f"keywords ({minilm.MODEL})"
PATTERNS = "patterns"
INSTALL = f"{minilm.INSTALL} vaderSentiment"
CAN_WRITE = (WritingType.KEY_QUOTES, WritingType.CHAPTER_MARKERS, WritingType.MEETING_NOTES, WritingType.SHOW_NOTES)

_BRIEF, _POINTS, _DETAILED, _DETAILED_MOST = 3, 6, 6, 14  # sentences
_DETAILED_SHARE = 5  # one sentence in five
NO_ACTIONS = "No action items found."


class PlainTexts:
    """The engine; orders are named after what is made."""

    def __init__(self, threads: int = 1) -> None:
        self._model = MiniLM(threads)
        self._extracts = Extracts(self._model)
        self._notes = Notes(self._extracts, self._model)
        self._sentiment = Sentiment()
        self._orders: Mapping[str, Callable[[Order], Outcome]] = {
            "embed": self._embed,
            "summarize": self._summarize,
            "analyze": self._analyze,
            "generate": self._generate,
        }
        self._model.embed(["warm"])

    def describe(self) -> Capabilities:
        """``engines.base.Engine``."""
        note = f"{minilm.DIMENSIONS}-dimensional vectors, summaries of a text's own sentences, patterns; writes nothing"
        return Capabilities("plain-texts", Task.TEXT, minilm.MODEL, (tongues.ENGLISH, tongues.VIETNAMESE), note=note)

    def close(self) -> None:
        """``engines.base.Engine``: the process, and all memory with it, ends after this."""

    def work(self, order: Order) -> Outcome:
        """``engines.base.TextEngine``."""
        return self._orders[order.task](order)

    def _embed(self, order: Order) -> Outcome:
        return Outcome({}, self._model.embed(order.texts).tobytes())

    def _summarize(self, order: Order) -> Outcome:
        text, style = order.texts[0], SummaryStyle(str(order.facts["style"]))
        parts = sentences.split(text)
        if style is SummaryStyle.ACTION_ITEMS:
            found = actions.action_items(parts, self._listed(text))
            return _written("\n".join(f"- {item['text']}" for item in found) or NO_ACTIONS, PATTERNS)
        if style is SummaryStyle.BULLET_POINTS:
            return _written("\n".join(f"- {parts[at]}" for at in self._extracts.best(parts, _POINTS)), EXTRACTIVE)
        count = min(max(_DETAILED, len(parts) // _DETAILED_SHARE), _DETAILED_MOST)
        chosen = self._extracts.best(parts, count if style is SummaryStyle.DETAILED else _BRIEF)
        return _written(" ".join(parts[at] for at in chosen), EXTRACTIVE)

    def _analyze(self, order: Order) -> Outcome:
        text, kind = order.texts[0], AnalysisType(str(order.facts["type"]))
        if kind is AnalysisType.PII_REDACT:
            redacted, finds = pii.redact(text)
            found = [{"type": one.kind, "start": one.start, "end": one.end} for one in finds]
            return _found({"redacted_text": redacted, "found": found}, PATTERNS)
        parts = [sentences.without_time(part) for part in sentences.split(text)]
        if kind is AnalysisType.ENTITIES:
            return _found({"entities": entities.find_entities(parts)}, PATTERNS)
        if kind is AnalysisType.QUESTIONS:
            return _found({"questions": actions.questions(parts, tongues.guess(text))}, PATTERNS)
        if kind is AnalysisType.ACTION_ITEMS:
            return _found({"action_items": actions.action_items(parts, self._listed(text))}, PATTERNS)
        if kind is AnalysisType.TOPICS:
            topics = find_topics(parts, self._listed(text), self._model)
            listed = [{"topic": one.text, "score": one.score, "mentions": one.count} for one in topics]
            return _found({"topics": listed}, KEYWORDS)
        if tongues.guess(text) != tongues.ENGLISH:
            raise _unlisted("Sentiment is known for English only")
        return _found(self._sentiment.judge(parts), VADER)

    def _generate(self, order: Order) -> Outcome:
        text, kind = order.texts[0], WritingType(str(order.facts["type"]))
        return _written(self._notes.write(kind, sentences.split(text), tongues.guess(text)), EXTRACTIVE)

    def _listed(self, text: str) -> str:
        """The language of a text, for which there are lists of words."""
        language = tongues.guess(text)
        if not language:
            raise _unlisted("This is known for English and Vietnamese only")
        return language


def factory(options: Options) -> PlainTexts:
    """The engine, loaded and warm."""
    wanted = (options.get("model", minilm.MODEL), options.get("dimensions", minilm.DIMENSIONS))
    if wanted != (minilm.MODEL, minilm.DIMENSIONS):
        raise VoiceError(Code.NOT_INSTALLED, f"there is no model {wanted[0]} here", install=INSTALL)
    return PlainTexts(cast(int, options.get("threads", 1)))


def _written(text: str, model: str) -> Outcome:
    return Outcome({"text": text, "model": model})


def _found(data: Head, model: str) -> Outcome:
    return Outcome({"data": data, "model": model})


def _unlisted(what: str) -> VoiceError:
    return VoiceError(Code.NOT_INSTALLED, f"{what} without a language model, and this text is in another.")
