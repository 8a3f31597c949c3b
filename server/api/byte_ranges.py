"""The Range header of a request (RFC 9110, section 14), as much of it as players ask for: one range of bytes."""

import re
from dataclasses import dataclass

MANY = 16  # ranges in one header; more is no player

_HEADER_CHARACTERS = 1024
_ONE = re.compile(r"(\d{1,18})-(\d{1,18})?|-(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last`` of a file, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many bytes that is."""
        return self.last - self.first + 1


class Unsatisfiable(Exception):
    """There is nothing of the file in what was asked for, or far too much was (416)."""


def parse_range(header: str, size: int) -> ByteRange | None:
    """The part of a file of ``size`` bytes that a Range header asks for; None when all of it is to be sent.

    That is so when the header is none (section 14.2: ignore it), or asks for a few ranges at once, which a server need
    not do. Raises Unsatisfiable.
    """
    unit, equals, given = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    if len(header) > _HEADER_CHARACTERS or given.count(",") >= MANY:
        raise Unsatisfiable
    one = _ONE.fullmatch(given.strip())
    if one is None:
        return None
    first, last, suffix = one[1], one[2], one[3]
    if suffix is not None:
        found = ByteRange(max(0, size - int(suffix)), size - 1)
    elif last is not None and int(last) < int(first):
        return None
    else:
        found = ByteRange(int(first), size - 1 if last is None else min(int(last), size - 1))
    if found.size <= 0 or not size:
        raise Unsatisfiable
    return found
