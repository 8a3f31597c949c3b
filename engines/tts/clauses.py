"""A text for a neural engine: spoken clause by clause, a short one first, with pauses that the model does not make."""

from collections.abc import Mapping
from types import MappingProxyType

from protocol.chunker import Chunker, Clause, Pause

MAX_TEXT = 5000  # code points in one request
PAUSES_S: Mapping[Pause, float] = MappingProxyType(
    {Pause.CUT: 0.05, Pause.WEAK: 0.15, Pause.SENTENCE: 0.35, Pause.END: 0.0}
)  # after a clause, if another one follows


def clauses(text: str) -> list[Clause]:
    """All of it, in order."""
    chunker = Chunker()
    return [*chunker.push(text), *chunker.flush()]
