"""Segments of a transcript as SRT, WebVTT, plain text or JSON.

Long segments are cut into cues a person can read: two lines of at most ``LINE`` characters and ``MAX_SECONDS`` each,
cut where a sentence ends, a breath is taken or a clause ends, with the times of the words where they are known and a
share by length where they are not. Who speaks, where that is known, stands before the words (in WebVTT as its voice).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape
from itertools import pairwise

from protocol.events import Word

LINE = 42  # characters
MAX_CHARACTERS = 2 * LINE
MAX_SECONDS = 7.0
_MIN_SECONDS = 1.0  # a cue is shown for so long, unless the next one comes sooner
_BREAK_FROM = 0.4  # of the most a cue could hold: from here on a good place ends it
_BREATH_S = 0.3  # a pause that is a good place for a cue to end
_SENTENCE_ENDS = ".!?…。！？"
_CLAUSE_ENDS = ",;:，、；："
_QUOTES = "\"'”’»)]"
_SENTENCE_PAUSE_S = 1.0  # a pause that ends a sentence whatever its words
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
    speaker: str = ""  # a name; "" where it is not known


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that was said in a recording of ``duration`` seconds."""

    segments: tuple[Segment, ...]
    language: str = ""
    duration: float = 0.0

    @property
    def text(self) -> str:
        """The segments as running text."""
        return _join([segment.text for segment in self.segments])


def render(transcript: Transcript, form: SubtitleFormat) -> str:
    """The transcript in one of the formats; all end with a line break unless they are empty."""
    if form is SubtitleFormat.JSON:
        return to_json(transcript)
    if form is SubtitleFormat.TXT:
        return "".join(f"{_lead(segment)}{_one_line(segment.text)}\n" for segment in transcript.segments)
    cues = to_cues(transcript.segments)
    return to_srt(cues) if form is SubtitleFormat.SRT else to_vtt(cues)


def to_srt(cues: Iterable[Segment]) -> str:
    """SubRip: numbered from 1, ``HH:MM:SS,mmm``."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_two_lines(_lead(cue) + cue.text)}\n"
        for number, cue in enumerate(cues, 1)
    ]
    return "\n".join(blocks)


def to_vtt(cues: Iterable[Segment]) -> str:
    """WebVTT: ``&``, ``<`` and ``>`` are markup there, so they are escaped (and ``-->`` cannot occur)."""
    blocks = [
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_voice(cue)}{_markup(_two_lines(cue.text))}\n"
        for cue in cues
    ]
    return "WEBVTT\n" + "".join(blocks)


def to_json(transcript: Transcript) -> str:
    """C6's shape: text, language, duration, and segments with their words when these are known."""
    segments = []
    for segment in transcript.segments:
        row: dict[str, object] = {"start": _seconds(segment.start), "end": _seconds(segment.end), "text": segment.text}
        if segment.speaker:
            row["speaker"] = segment.speaker
        if segment.words:
            row["words"] = [
                {"word": word.text, "start": _seconds(word.start), "end": _seconds(word.end)} for word in segment.words
            ]
        segments.append(row)
    body = {"text": transcript.text, "language": transcript.language, "duration": _seconds(transcript.duration)}
    return json.dumps({**body, "segments": segments}, ensure_ascii=False, indent=2) + "\n"


def to_cues(segments: Iterable[Segment]) -> list[Segment]:
    """Segments cut to readable length, empty ones left out, none ending before it starts, none gone at once."""
    cues = [cue for segment in segments for cue in _cut(segment)]
    for index, (cue, after) in enumerate(pairwise(cues)):
        end = min(cue.start + _MIN_SECONDS, after.start)
        if end > cue.end:
            cues[index] = replace(cue, end=end)
    return cues


def sentences(segment: Segment) -> Iterator[Segment]:
    """A segment's sentences, where the times of its words are known; else the segment as it is."""
    if not words_known(segment):
        yield segment
        return
    begin = 0
    for index, word in enumerate(segment.words, 1):
        last = index == len(segment.words)
        if last or _ends(word, _SENTENCE_ENDS) or segment.words[index].start - word.end >= _SENTENCE_PAUSE_S:
            words = segment.words[begin:index]
            yield part(segment, words)
            begin = index


def part(segment: Segment, words: Sequence[Word]) -> Segment:
    """Some of a segment: the words of it that are given, at least one."""
    start, end = words[0].start, max(words[-1].end, words[0].start)
    return replace(segment, start=start, end=end, text=_join_words(words), words=tuple(words))


def words_known(segment: Segment) -> bool:
    """Whether the times of all its words are."""
    return bool(segment.words) and _join_words(segment.words) == _one_line(segment.text)


def _cut(segment: Segment) -> Iterator[Segment]:
    pieces, lead = _timed_words(segment), _lead(segment)
    begin = 0
    while begin < len(pieces):
        end = begin + 1
        while end < len(pieces) and _readable(pieces[begin : end + 1], lead):
            end += 1
        if end < len(pieces):
            end = _good_end(pieces, begin, end)
        yield part(segment, pieces[begin:end])
        begin = end


def _lead(segment: Segment) -> str:
    return f"{_one_line(segment.speaker)}: " if segment.speaker else ""


def _voice(segment: Segment) -> str:
    return f"<v {_markup(_one_line(segment.speaker))}>" if segment.speaker else ""


def _markup(text: str) -> str:
    return escape(text, quote=False)


def _good_end(words: Sequence[Word], begin: int, most: int) -> int:
    """Where to end a cue that begins with a word and could hold those up to ``most``: as late as there is a reason."""
    enough = _BREAK_FROM * len(_join_words(words[begin:most]))

    def reason(end: int) -> int:
        last = words[end - 1]
        if _ends(last, _SENTENCE_ENDS):
            return 3
        if words[end].start - last.end >= _BREATH_S:
            return 2
        return 1 if _ends(last, _CLAUSE_ENDS) else 0

    possible = [end for end in range(begin + 1, most + 1) if len(_join_words(words[begin:end])) >= enough]
    return max(possible, key=lambda end: (reason(end), end))


def _ends(word: Word, marks: str) -> bool:
    return word.text.strip().rstrip(_QUOTES).endswith(tuple(marks))


def _readable(words: Sequence[Word], lead: str) -> bool:
    return _fits(lead + _join_words(words)) and words[-1].end - words[0].start <= MAX_SECONDS


def _fits(text: str) -> bool:
    """It can be shown in two lines."""
    return len(text) <= LINE or any(first <= LINE and len(text) - second <= LINE for first, second in _breaks(text))


def _breaks(text: str) -> Iterator[tuple[int, int]]:
    """Where a line may end and the next begin: at spaces, and between characters of scripts without them."""
    for at in range(1, len(text)):
        if text[at] == " ":
            yield at, at + 1
        elif ord(text[at]) >= _WIDE and ord(text[at - 1]) >= _WIDE:
            yield at, at


def _timed_words(segment: Segment) -> list[Word]:
    """The words of a segment with times: the engine's own, or a share of the segment by their length."""
    text = _one_line(segment.text)
    if words_known(segment):
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
    """Words; in scripts without spaces, characters. A word longer than a line is cut."""
    parts = []
    for word in text.split():
        step = 1 if any(ord(character) >= _WIDE for character in word) else LINE
        parts += [word[at : at + step] for at in range(0, len(word), step)]
    return parts


def _join_words(words: Sequence[Word]) -> str:
    return _join([word.text for word in words])


def _join(parts: Iterable[str]) -> str:
    """Parts as text: a space between two unless both sides of it are of a script without spaces."""
    text = ""
    for part in parts:
        piece = part.strip()
        spaced = not (text and piece and ord(text[-1]) >= _WIDE and ord(piece[0]) >= _WIDE)
        text += f" {piece}" if text and spaced else piece
    return text


def _two_lines(text: str) -> str:
    """Text broken in two, as evenly as can be, when it is too long for one line."""
    breaks = list(_breaks(text)) if len(text) > LINE else []
    if not breaks:
        return text
    first, second = min(breaks, key=lambda at: max(at[0], len(text) - at[1]))
    return f"{text[:first]}\n{text[second:]}"


def _one_line(text: str) -> str:
    """Text without line breaks: an empty line would end a cue."""
    return " ".join(text.split())


def _clock(seconds: float, separator: str) -> str:
    milliseconds = max(0, round(seconds * 1000))
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{separator}{milliseconds % 1000:03}"


def _seconds(value: float) -> float:
    return round(value, 3)
