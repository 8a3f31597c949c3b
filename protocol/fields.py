"""Reading JSON objects from strangers: parsed under limits, each field checked, every complaint naming its key.

A ``Read`` takes the object and a key that is in it, and returns the checked value or raises BAD_REQUEST with the facts
``field`` and ``allowed``. ``read_fields`` applies a table of them and ignores keys the table does not have.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

from protocol.errors import Code, VoiceError

MAX_TEXT = 65_536  # characters of a JSON message
MAX_DEPTH = 32  # of its nesting

Object = Mapping[str, object]
Read = Callable[[Object, str], Any]


def parse_object(text: str) -> dict[str, Any]:
    """A JSON object; BAD_REQUEST for anything else, TOO_LARGE for more than MAX_TEXT characters."""
    if len(text) > MAX_TEXT:
        raise VoiceError(Code.TOO_LARGE, f"A text message has at most {MAX_TEXT} characters.", allowed=MAX_TEXT)
    try:
        message = from_json(text)
    except ValueError:
        raise VoiceError(Code.BAD_REQUEST, "A text message must be JSON.") from None
    if not isinstance(message, dict):
        raise VoiceError(Code.BAD_REQUEST, "A text message must be a JSON object.")
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return message
    raise VoiceError(Code.BAD_REQUEST, f"JSON may nest {MAX_DEPTH} levels deep.", allowed=MAX_DEPTH)


def read_fields(message: Object, table: Mapping[str, Read]) -> dict[str, Any]:
    """The checked values of those keys of ``table`` that are given; null counts as not given."""
    return {name: read(message, name) for name, read in table.items() if message.get(name) is not None}


def wrong(field: str, must_be: str, allowed: object = None) -> VoiceError:
    """The complaint about a field: "<field> must be <must_be>."."""
    given = must_be if allowed is None else allowed
    return VoiceError(Code.BAD_REQUEST, f"{field} must be {must_be}.", field=field, allowed=given)


def boolean(message: Object, name: str) -> bool:
    """true or false; not 0, not "true"."""
    value = message[name]
    if not isinstance(value, bool):
        raise wrong(name, "true or false", [True, False])
    return value


def number(low: float, high: float, *, whole: bool = False, prefix: str = "") -> Read:
    """A number in a closed range; ``whole`` takes 8000.0 too, and gives an int."""

    def read(message: Object, name: str) -> int | float:
        value = message[name]
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            if not whole:
                return float(value)
            if value == int(value):
                return int(value)
        kind = "a whole number" if whole else "a number"
        raise wrong(prefix + name, f"{kind} from {low:g} to {high:g}", [low, high])

    return read


def text(limit: int) -> Read:
    """A string of at most ``limit`` code points that UTF-8 can carry."""

    def read(message: Object, name: str) -> str:
        return checked_text(message[name], name, limit)

    return read


def texts(count: int, limit: int) -> Read:
    """A list of at most ``count`` such strings, as a tuple."""

    def read(message: Object, name: str) -> tuple[str, ...]:
        value = message[name]
        if not isinstance(value, list) or len(value) > count:
            raise wrong(name, f"a list of at most {count} strings", count)
        return tuple(checked_text(item, f"{name}[{index}]", limit) for index, item in enumerate(value))

    return read


def choice(*allowed: StrEnum) -> Read:
    """One of some values of an enum."""
    by_value = {member.value: member for member in allowed}

    def read(message: Object, name: str) -> StrEnum:
        value = message[name]
        if not isinstance(value, str) or value not in by_value:
            raise wrong(name, "one of " + ", ".join(by_value), list(by_value))
        return by_value[value]

    return read


def matching(pattern: str, must_be: str) -> Read:
    """A string that matches a regular expression as a whole."""
    compiled = re.compile(pattern)

    def read(message: Object, name: str) -> str:
        value = message[name]
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise wrong(name, must_be)
        return value

    return read


def checked_text(value: object, name: str, limit: int) -> str:
    """``value`` if it is a string of at most ``limit`` code points; lone surrogates, which JSON can write, are not."""
    fits = isinstance(value, str) and len(value) <= limit
    if not fits or any("\ud800" <= character <= "\udfff" for character in str(value)):
        raise wrong(name, f"a string of at most {limit} characters", limit)
    return str(value)


def from_json(text: str | bytes | bytearray) -> object:
    """What JSON says (RFC 8259). ValueError for anything else: NaN and infinities too, and nesting without end."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def to_json(message: Object) -> str:
    """Compact JSON in UTF-8 letters; ValueError for NaN, and "?" for what UTF-8 cannot carry."""
    line = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return line if line.isascii() else line.encode("utf-8", "replace").decode()


def _children(value: object) -> Iterable[object]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in inside if isinstance(child, dict | list)]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
