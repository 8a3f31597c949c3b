"""Text to what is spoken in one go, and how long to pause after it.

A live voice begins with a few words, so that sound starts early; here nobody waits, so what the chunker cut at commas
is joined again, up to a whole sentence, and the voice keeps its melody.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.chunker import MAX_WEIGHT, Chunker, Clause, Pause
from protocol.spoken_form import spoken_form

TURN_S = 0.6  # between two lines
_PAUSES_S = {Pause.CUT: 0.05, Pause.WEAK: 0.15, Pause.SENTENCE: 0.35, Pause.END: TURN_S}
_PARAGRAPH_S = 0.7


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something to say; ``characters`` of the text are done when it is said."""

    text: str  # as engines want it
    pause_s: float  # after it, at speed 1
    characters: int


def phrases(text: str) -> list[Phrase]:
    """All that there is to say in a text, in order; nothing for a text of nothing but signs."""
    found: list[Phrase] = []
    for clause, paragraph in _joined(text):
        said = spoken_form(clause.text).text
        pause_s = _PARAGRAPH_S if paragraph else _PAUSES_S[clause.pause]
        if said:
            found.append(Phrase(said, pause_s, len(clause.text)))
        elif found:  # signs alone: counted with what was said before them
            last = found.pop()
            found.append(Phrase(last.text, max(last.pause_s, pause_s), last.characters + len(clause.text)))
    return found


def _joined(text: str) -> Iterator[tuple[Clause, bool]]:
    """Clauses of whole sentences where they are short enough, and whether a paragraph ends with them."""
    chunker = Chunker()
    clauses = [*chunker.push(text), *chunker.flush()]
    held: Clause | None = None
    for number, clause in enumerate(clauses):
        whole = clause if held is None else Clause(held.text + clause.text, held.offset, clause.pause)
        following = clauses[number + 1].text if number + 1 < len(clauses) else ""
        if whole.pause < Pause.SENTENCE and following and _fit(whole.text, following):
            held = whole
            continue
        held = None
        yield whole, "\n" in following[: len(following) - len(following.lstrip())]


def _fit(text: str, following: str) -> bool:
    """Whether both are still one phrase; a character of most scripts east of India counts for three."""
    return sum(3 if character > "\u2e7f" else 1 for character in text + following) <= MAX_WEIGHT
