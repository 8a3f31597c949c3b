"""Counting word errors."""

from collections.abc import Sequence


def word_errors(reference: str, heard: str) -> int:
    """Fewest words to insert, drop or replace to turn what was heard into the reference; case and marks aside."""
    wanted, given = _plain(reference), _plain(heard)
    row = list(range(len(given) + 1))
    for index, word in enumerate(wanted, 1):
        above, row = row, [index]
        for place, other in enumerate(given, 1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (word != other)))
    return row[-1]


def word_error_rate(references: Sequence[str], heard: Sequence[str]) -> float:
    """Word errors of all sentences over the words of all references."""
    errors = sum(word_errors(reference, text) for reference, text in zip(references, heard, strict=True))
    return errors / max(sum(len(reference.split()) for reference in references), 1)


def _plain(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()
