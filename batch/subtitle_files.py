"""A user's file of subtitles as cues: SRT, or WebVTT, read by pysrt, with the words alone (A53).

What cannot be read is an error that names the line: a block that was left out would be words that nobody hears.
"""

import asyncio
import codecs
import html
import re
from itertools import groupby
from pathlib import Path

import pysrt

from protocol.errors import Code, VoiceError
from protocol.work import Cue

LONGEST_S = 4 * 3600.0  # a film; past it the file would be silence on a disk
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_TIME = r"(?:\d{1,3}:)?\d{1,2}:\d{1,2}[,.]\d{3}"  # WebVTT may leave the hours out
_TIMES = re.compile(rf"\s*({_TIME})\s*-->\s*({_TIME})(?:\s|$)", re.ASCII)
_WEBVTT = ("WEBVTT", "NOTE", "STYLE", "REGION")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|\{\\[^{}]{0,200}\}|\{[a-zA-Z]:[^{}]{0,200}\}")
_BREAK = re.compile(r"\\[Nnh]")
_DASH = re.compile(r"^\s*[-–—]+\s*", re.MULTILINE)
_NOTES = str.maketrans("", "", "♩♪♫♬♭♮♯")


async def read_subtitles(path: Path, most_cues: int = 0) -> tuple[Cue, ...]:
    """The cues of a file, in the order of their times, with the words alone; at most so many (0: any number).

    A cue without words stays, as part of the time that is to be kept. BAD_REQUEST naming ``srt_file`` for what is no
    such file, TOO_LARGE for more cues or a longer time than there may be.
    """
    return await asyncio.to_thread(_read, path, most_cues)


def _read(path: Path, most_cues: int) -> tuple[Cue, ...]:
    cues = parse_subtitles(path.read_bytes())
    if most_cues and len(cues) > most_cues:
        message = f"srt_file holds {len(cues)} cues; {most_cues} are allowed"
        raise VoiceError(Code.TOO_LARGE, message, field="srt_file", maximum=most_cues)
    return cues


def parse_subtitles(data: bytes) -> tuple[Cue, ...]:
    """The same for a file's bytes, with any number of cues."""
    cues = sorted(_cues(_decoded(data)), key=lambda cue: cue.start)
    if not any(cue.text for cue in cues):
        raise _wrong("srt_file holds no words")
    if max(cue.end for cue in cues) > LONGEST_S:
        message = f"srt_file must end within {LONGEST_S / 3600:g} hours"
        raise VoiceError(Code.TOO_LARGE, message, field="srt_file", maximum_seconds=LONGEST_S)
    return tuple(cues)


def _decoded(data: bytes) -> str:
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise _wrong("srt_file must be text in UTF-8") from None


def _cues(text: str) -> list[Cue]:
    cues: list[Cue] = []
    for blank, lines in groupby(enumerate(text.splitlines(), 1), key=lambda line: not line[1].strip()):
        block = list(lines)
        at, first = block[0]
        if blank or first.startswith(_WEBVTT):
            continue
        if not any("->" in line for _, line in block):  # an empty line among a cue's words
            if not cues:
                raise _unreadable(at)
            cues[-1] = _with_more(cues[-1], "\n".join(line for _, line in block))
        else:
            cues.append(_cue(block))
    return cues


def _cue(block: list[tuple[int, str]]) -> Cue:
    """A number (or nothing), the times, the words."""
    found = [_TIMES.match(line) for _, line in block[:2]]
    times = next(filter(None, found), None)
    if times is None:
        raise _unreadable(block[0][0])
    begin, end = (time if time.count(":") > 1 else f"00:{time}" for time in times.groups())
    words = "\n".join(line for _, line in block[found.index(times) + 1 :])
    item = pysrt.SubRipItem.from_string(f"0\n{begin} --> {end}\n{words}\n")
    seconds = item.start.ordinal / 1000
    return Cue(start=seconds, end=max(seconds, item.end.ordinal / 1000), text=_words(item.text))


def _with_more(cue: Cue, words: str) -> Cue:
    more = "" if words.strip().isdigit() else _words(words)  # a number alone is that of a cue without times or words
    return cue.model_copy(update={"text": f"{cue.text} {more}".strip()})


def _words(text: str) -> str:
    """What is to be said of a cue: no tags, no notes, no dashes before speakers, one line."""
    plain = html.unescape(_TAG.sub("", _BREAK.sub(" ", text))).translate(_NOTES)
    return " ".join(_DASH.sub("", plain).split())


def _unreadable(line: int) -> VoiceError:
    what = "a number, times such as 00:00:01,000 --> 00:00:02,500 and the words"
    return _wrong(f"srt_file cannot be read at line {line}: expected {what}")


def _wrong(message: str) -> VoiceError:
    return VoiceError(Code.BAD_REQUEST, message, field="srt_file")
