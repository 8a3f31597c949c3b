"""Reading fields of a JSON object that is not trusted; anything but what was asked for is a WireError."""

from enum import StrEnum
from typing import TypeVar

from engines.frames import Head, WireError

TEXT_CHARACTERS = 10_000  # longest text of one utterance; 20 s of fast speech is 500

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def exactly(kind: type[T], value: object) -> T:
    """A value of that kind."""
    if not isinstance(value, kind):
        raise WireError(f"expected {kind.__name__}")
    return value


def flag(head: Head, key: str) -> bool:
    """True or false."""
    return exactly(bool, head.get(key))


def text(head: Head, key: str, longest: int = TEXT_CHARACTERS) -> str:
    """Whole characters, at most so many."""
    return clean(head.get(key), longest)


def clean(value: object, longest: int = TEXT_CHARACTERS) -> str:
    """Whole characters, at most so many."""
    string = exactly(str, value)
    if len(string) > longest:
        raise WireError("a text is too long")
    if not string.isascii() and any("\ud800" <= character <= "\udfff" for character in string):
        raise WireError("half a character")  # could never be sent on as UTF-8
    return string


def number(value: object, low: float, high: float) -> float:
    """A number from ``low`` to ``high``."""
    # NaN fails every comparison, so it ends here too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise WireError("a number is out of range")
    return value


def member(kind: type[E], head: Head, key: str) -> E | None:
    """A member of an enumeration by its value, or None."""
    value = head.get(key)
    try:
        return None if value is None else kind(exactly(str, value))
    except ValueError:
        raise WireError(f"no such {kind.__name__}") from None


def items(head: Head, key: str, longest: int) -> list[object]:
    """A list of at most so many."""
    values: list[object] = exactly(list, head.get(key))
    if len(values) > longest:
        raise WireError("a list is too long")
    return values


def row(value: object, length: int) -> list[object]:
    """A list of exactly so many."""
    values: list[object] = exactly(list, value)
    if len(values) != length:
        raise WireError("a row has the wrong length")
    return values


def objects(head: Head, key: str, longest: int) -> list[Head]:
    """A list of objects."""
    return [exactly(dict, item) for item in items(head, key, longest)]
