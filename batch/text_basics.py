"""What is done with texts without a language model, by an engine that finds and picks out (``engines.text.plain``)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engines import fields
from engines.frames import WireError
from engines.host import EngineHost
from engines.on_demand import Lender
from engines.text_calls import Order, Outcome
from protocol.errors import Code, VoiceError
from protocol.texts import Analysis, AnalysisType, SummaryStyle, WritingType, Written

T = TypeVar("T")
Vectors = npt.NDArray[np.float32]

#: What can be made of a text's own sentences; all else needs a language model.
CAN_WRITE = (WritingType.KEY_QUOTES, WritingType.CHAPTER_MARKERS, WritingType.MEETING_NOTES, WritingType.SHOW_NOTES)

_AT_ONCE = 64  # texts in a call: a second, after which others may have their turn
_CALL_S = 60.0  # what a call about 200,000 characters may take, three times over and more
_TEXT = 400_000
_UNIT = 0.02  # how far from length 1 a vector may be
_KEYS = {
    AnalysisType.SENTIMENT: "sentiment",
    AnalysisType.TOPICS: "topics",
    AnalysisType.ENTITIES: "entities",
    AnalysisType.ACTION_ITEMS: "action_items",
    AnalysisType.QUESTIONS: "questions",
    AnalysisType.PII_REDACT: "redacted_text",
}


class Basics:
    """Asks the engine."""

    def __init__(self, model: str, dimensions: int, lender: Lender[EngineHost]) -> None:
        self.model = model
        self._dimensions = dimensions
        self._lender = lender

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A row of unit length for each text."""
        rows: list[Vectors] = []
        async with self._lender.borrow() as host:
            for at in range(0, len(texts), _AT_ONCE):
                some = tuple(texts[at : at + _AT_ONCE])
                rows.append(await _ask(host, Order("embed", some), self._reader(len(some))))
        return np.concatenate(rows) if rows else np.zeros((0, self._dimensions), np.float32)

    async def summarize(self, text: str, style: SummaryStyle) -> Written:
        """The sentences that say most. Raises NOT_INSTALLED for a language that its lists of words are not for."""
        return await self._written(Order("summarize", (text,), {"style": style.value}))

    async def generate(self, text: str, kind: WritingType) -> Written:
        """One of ``CAN_WRITE``."""
        return await self._written(Order("generate", (text,), {"type": kind.value}))

    async def analyze(self, text: str, kind: AnalysisType) -> Analysis:
        """What is found. Raises NOT_INSTALLED for a language that its lists of words are not for."""

        def read(outcome: Outcome) -> Analysis:
            data = fields.exactly(dict, outcome.data.get("data"))
            if _KEYS[kind] not in data:
                raise WireError("not what was asked for")
            return Analysis(kind, data, fields.text(outcome.data, "model", 200))

        async with self._lender.borrow() as host:
            return await _ask(host, Order("analyze", (text,), {"type": kind.value}), read)

    async def _written(self, order: Order) -> Written:
        async with self._lender.borrow() as host:
            return await _ask(host, order, _read_written)

    def _reader(self, count: int) -> Callable[[Outcome], Vectors]:
        def read(outcome: Outcome) -> Vectors:
            if len(outcome.vectors) != 4 * count * self._dimensions:
                raise WireError("not a vector for each text")
            vectors = np.frombuffer(outcome.vectors, np.float32).reshape(count, self._dimensions)
            if not bool(np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1.0) < _UNIT)):
                raise WireError("vectors that are not of unit length")
            return vectors

        return read


def _read_written(outcome: Outcome) -> Written:
    return Written(fields.text(outcome.data, "text", _TEXT), fields.text(outcome.data, "model", 200))


async def _ask(host: EngineHost, order: Order, read: Callable[[Outcome], T]) -> T:
    """A call, and another when the process fell in the middle of it, which may have been another's doing."""
    try:
        return await host.work(order, read, _CALL_S)
    except VoiceError as error:
        if error.code is not Code.ENGINE_RESTARTED:
            raise
    return await host.work(order, read, _CALL_S)
