"""Who can translate: a model made for it in a process of this machine, or a language model that is told to."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from batch.text_parts import pieces
from batch.text_writers import Turnstile, Writer
from engines import fields
from engines.frames import WireError
from engines.host import EngineHost
from engines.on_demand import Lender
from engines.text_calls import Order, Outcome
from protocol import text_prompts
from protocol.texts import Translated

AUTO = "auto"
_SENTENCE = 400  # characters in a piece for a translation model: more than a sentence makes it leave things out
_AT_ONCE = 4  # such pieces in a call
_CALL_S = 40.0  # what such a call may take, three times over and more
_PASSAGE = 2_000  # characters in a piece for a language model
_ANSWER = 20_000
_WIDE = re.compile("(zh|ja|yue|lzh)([-_].*)?")  # written without spaces between sentences


class Translator(Protocol):
    """Translates texts."""

    model: str

    async def translate(self, texts: Sequence[str], source: str, target: str) -> Translated: ...


class LocalTranslator:
    """A translation model in a process of its own."""

    def __init__(self, model: str, lender: Lender[EngineHost], turnstile: Turnstile | None = None) -> None:
        self.model = model
        self._lender = lender
        self._turnstile = turnstile or Turnstile()

    async def translate(self, texts: Sequence[str], source: str, target: str) -> Translated:
        """Raises BAD_REQUEST for a language the model does not know, BUSY, and what engines raise."""
        cut = [_sentences(text) for text in texts]
        flat = [piece for pieces_of in cut for _, piece in pieces_of]
        done: list[str] = []
        async with self._turnstile.turn(), self._lender.borrow() as host:
            for at in range(0, len(flat), _AT_ONCE):
                some = flat[at : at + _AT_ONCE]
                order = Order("translate", tuple(some), {"source": source, "target": target})
                done += await host.work(order, partial(_texts, len(some)), _CALL_S)
        return Translated(tuple(_joined(cut, done, target)), source, target, self.model)


class WritingTranslator:
    """A language model that is told to translate; it finds out by itself what language a text is in."""

    def __init__(self, writer: Writer) -> None:
        self.model = writer.model
        self._writer = writer

    async def translate(self, texts: Sequence[str], source: str, target: str) -> Translated:
        """Raises what the writer does."""
        done, model = list[str](), self.model
        for text in texts:
            translated = ""
            for before, piece in pieces(text, _PASSAGE):
                written = await self._writer.write(text_prompts.translation(piece, source, target))
                translated += before + written.text
                model = written.model
            done.append(translated.strip())
        return Translated(tuple(done), source, target, model)


def _sentences(text: str) -> list[tuple[str, str]]:
    """Pieces of a sentence or a few short ones."""
    return pieces(text, _SENTENCE)


def _joined(cut: Sequence[Sequence[tuple[str, str]]], done: Sequence[str], target: str) -> list[str]:
    """The translated pieces of each text, with what stood between them."""
    wide, at, whole = _WIDE.fullmatch(target.lower()) is not None, 0, list[str]()
    for pieces_of in cut:
        text = ""
        for before, _ in pieces_of:
            text += ("" if wide and before == " " else before) + done[at]
            at += 1
        whole.append(text.strip())
    return whole


def _texts(count: int, outcome: Outcome) -> list[str]:
    texts = [fields.clean(text, _ANSWER) for text in fields.items(outcome.data, "texts", count)]
    if len(texts) != count:
        raise WireError("not a translation for each text")
    return texts
