"""Segments of a transcript as SRT, WebVTT, plain text or JSON.

Long segments are cut into cues a person can read: at most ``MAX_CHARACTERS`` in two lines and ``MAX_SECONDS`` each,
with the times of the words where they are known and a share by length where they are not.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape

from protocol.events import Word

MAX_CHARACTERS = 84
MAX_SECONDS = 7.0
_LINE = 42
_WIDE = 0x2E80  # from here on (CJK) text has no spaces to break at


class SubtitleFormat(StrEnum):
    """How a transcript can be written."""

    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and its text; times are seconds."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that was said in a recording of ``duration`` seconds."""

    segments: tuple[Segment, ...]
    language: str = ""
    duration: float = 0.0

    @property
    def text(self) -> str:
        """The segments as running text."""
        return " ".join(segment.text for segment in self.segments)


def render(transcript: Transcript, form: SubtitleFormat) -> str:
    """The transcript in one of the formats; all end with a line break unless they are empty."""
    if form is SubtitleFormat.JSON:
        return to_json(transcript)
    if form is SubtitleFormat.TXT:
        return "".join(f"{_one_line(segment.text)}\n" for segment in transcript.segments)
    cues = to_cues(transcript.segments)
    return to_srt(cues) if form is SubtitleFormat.SRT else to_vtt(cues)


def to_srt(cues: Iterable[Segment]) -> str:
    """SubRip: numbered from 1, ``HH:MM:SS,mmm``."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_two_lines(cue.text)}\n"
        for number, cue in enumerate(cues, 1)
    ]
    return "\n".join(blocks)


def to_vtt(cues: Iterable[Segment]) -> str:
    """WebVTT: ``&``, ``<`` and ``>`` are markup there, so they are escaped (and ``-->`` cannot occur)."""
    blocks = [
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{escape(_two_lines(cue.text), quote=False)}\n"
        for cue in cues
    ]
    return "WEBVTT\n" + "".join(blocks)


def to_json(transcript: Transcript) -> str:
    """C6's shape: text, language, duration, and segments with their words when these are known."""
    segments = []
    for segment in transcript.segments:
        row: dict[str, object] = {"start": _seconds(segment.start), "end": _seconds(segment.end), "text": segment.text}
        if segment.words:
            row["words"] = [
                {"word": word.text, "start": _seconds(word.start), "end": _seconds(word.end)} for word in segment.words
            ]
        segments.append(row)
    body = {"text": transcript.text, "language": transcript.language, "duration": _seconds(transcript.duration)}
    return json.dumps({**body, "segments": segments}, ensure_ascii=False, indent=2) + "\n"


def to_cues(segments: Iterable[Segment]) -> list[Segment]:
    """Segments cut to readable length, empty ones left out, none ending before it starts."""
    return [cue for segment in segments for cue in _cut(segment)]


def _cut(segment: Segment) -> Iterator[Segment]:
    pieces = _timed_words(segment)
    begin = 0
    while begin < len(pieces):
        end = begin + 1
        while end < len(pieces) and _readable(pieces[begin : end + 1]):
            end += 1
        part = pieces[begin:end]
        yield Segment(part[0].start, max(part[-1].end, part[0].start), _join(part), tuple(part))
        begin = end


def _readable(words: Sequence[Word]) -> bool:
    return len(_join(words)) <= MAX_CHARACTERS and words[-1].end - words[0].start <= MAX_SECONDS


def _timed_words(segment: Segment) -> list[Word]:
    """The words of a segment with times: the engine's own, or a share of the segment by their length."""
    text = _one_line(segment.text)
    if segment.words and _join(segment.words) == text:
        return list(segment.words)
    parts = _split(text)
    total, position, words = sum(map(len, parts)), 0, []
    span = max(segment.end - segment.start, 0.0)
    for part in parts:
        start = segment.start + span * position / total
        position += len(part)
        words.append(Word(part, start, segment.start + span * position / total))
    return words


def _split(text: str) -> list[str]:
    """Words; in scripts without spaces, characters. A word longer than a cue is cut."""
    parts = []
    for word in text.split():
        step = 1 if any(ord(character) >= _WIDE for character in word) else MAX_CHARACTERS
        parts += [word[at : at + step] for at in range(0, len(word), step)]
    return parts


def _join(words: Sequence[Word]) -> str:
    """Words as text: a space between two unless both sides of it are of a script without spaces."""
    text = ""
    for word in words:
        piece = word.text.strip()
        spaced = not (text and piece and ord(text[-1]) >= _WIDE and ord(piece[0]) >= _WIDE)
        text += f" {piece}" if text and spaced else piece
    return text


def _two_lines(text: str) -> str:
    """Text broken near its middle when it is too long for one line."""
    if len(text) <= _LINE:
        return text
    middle = len(text) // 2
    spaces = [at for at, character in enumerate(text) if character == " "]
    if not spaces:
        return f"{text[:middle]}\n{text[middle:]}" if ord(text[middle]) >= _WIDE else text
    at = min(spaces, key=lambda position: abs(position - middle))
    return f"{text[:at]}\n{text[at + 1 :]}"


def _one_line(text: str) -> str:
    """Text without line breaks: an empty line would end a cue."""
    return " ".join(text.split())


def _clock(seconds: float, separator: str) -> str:
    milliseconds = max(0, round(seconds * 1000))
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{separator}{milliseconds % 1000:03}"


def _seconds(value: float) -> float:
    return round(value, 3)
