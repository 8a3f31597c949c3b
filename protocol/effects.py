"""What a listener wants done: by the speech detector, by the recogniser, and to the client."""

from dataclasses import dataclass
from enum import StrEnum

from protocol.events import ListenOutcome
from protocol.requests import Decode


class Kind(StrEnum):
    """What a recognition is for, which is how urgent it is."""

    PARTIAL = "partial"  # a look at an utterance that goes on; a newer one may supersede it
    SPECULATIVE = "speculative"  # the final, unless speech goes on
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Detect:
    """Have the next window (512 samples, s16le, 16 kHz) judged."""

    window: bytes


@dataclass(frozen=True, slots=True)
class Recognize:
    """Have this recognised, and report it under ``ticket``."""

    ticket: int
    decode: Decode
    kind: Kind


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody wants to know about ``ticket`` any more; an answer does no harm."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the client."""

    event: ListenOutcome


@dataclass(frozen=True, slots=True)
class Finished:
    """All is said: no effect follows, and no call has one."""


Effect = Detect | Recognize | Forget | Emit | Finished
