"""Which segments of a transcript a question is about, and what they say to it."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocol.texts import Role, Source, Turn

MOST_SOURCES = 6
_LEAST = 0.25  # a segment that is less like the question than this says nothing to it
_NEAR = 0.8  # of the best one's score: what belongs to the answer
_IN_ANSWER = 3
_SAME_WORDS = 0.25  # what sharing all the question's words is worth beside meaning the same
_SHORT_QUESTION = 6  # words: such a one may mean what was asked before ("And when?")
_WORD = re.compile(r"\w+")
_VIETNAMESE = re.compile("[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)


def sought(question: str, history: Sequence[Turn]) -> str:
    """What to look for: the question, with the one before where it is too short to stand alone."""
    before = [turn.text for turn in history if turn.role is Role.USER]
    if before and len(question.split()) < _SHORT_QUESTION:
        return f"{before[-1]} {question}"
    return question


def best_sources(
    question: str, segments: Sequence[str], likeness: npt.NDArray[np.float32]
) -> tuple[Source, ...]:
    """The segments nearest to a question, best first; ``likeness`` is that of each, -1 to 1."""
    words = _content(question)
    shared = [len(words & _content(segment)) / len(words) if words else 0.0 for segment in segments]
    scores = np.clip(likeness + _SAME_WORDS * np.asarray(shared, np.float32), 0.0, 1.0)
    order = [at for at in np.argsort(-scores, kind="stable").tolist() if scores[at] >= _LEAST and segments[at].strip()]
    return tuple(Source(at, segments[at], round(float(scores[at]), 3)) for at in order[:MOST_SOURCES])


def extracted(question: str, sources: Sequence[Source]) -> str:
    """What the best segments say, in their own words and order."""
    if not sources:
        vietnamese = _VIETNAMESE.search(question) is not None
        return "Bản ghi không nói về điều này." if vietnamese else "The transcript does not say."
    chosen = [source for source in sources[:_IN_ANSWER] if source.score >= _NEAR * sources[0].score]
    return " ".join(source.text for source in sorted(chosen, key=lambda source: source.index))


def _content(text: str) -> set[str]:
    """Its words of some length, which leaves out most of those that say nothing."""
    return {word for word in _WORD.findall(text.lower()) if len(word) > 3}
