"""Strategies of Hypothesis that draw much at once."""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
_FIRST = 0x4E00  # of so many characters that are all alike


def some_of(choices: Sequence[T], *, min_size: int = 0, max_size: int) -> st.SearchStrategy[list[T]]:
    """A list of these, each as often as it comes; the first are the simplest.

    It is drawn as one text, of a letter for each choice: a draw for each would take longer than most tests do.
    """
    letters = st.characters(min_codepoint=_FIRST, max_codepoint=_FIRST + len(choices) - 1)
    drawn = st.text(letters, min_size=min_size, max_size=max_size)
    return drawn.map(lambda text: [choices[ord(letter) - _FIRST] for letter in text])
