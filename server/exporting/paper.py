"""A transcript as it is laid out on paper, whatever the file is."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A stretch of speech, in seconds; ``speaker`` is "" where nobody knows."""

    start: float
    end: float
    text: str
    speaker: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Paper:
    """A transcript. ``facts`` are what is said of it below its title."""

    title: str
    facts: Sequence[str]
    lines: Sequence[Line]


def clock(seconds: float) -> str:
    """A time in a recording, as people read it: 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def lead(line: Line) -> str:
    """What stands before a line's text: its time, and who speaks."""
    return f"[{clock(line.start)}] {line.speaker}".rstrip() + (": " if line.speaker else " ")
