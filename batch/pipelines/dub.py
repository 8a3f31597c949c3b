"""Subtitles to one file of speech that keeps their times (A53-A57): spoken, measured, placed, hurried where needed.

All cues are spoken in their own pace and kept on disk; then their lengths are known, ``protocol.dubbing`` gives each
its place and tempo, and they are put on the tape with the silence between them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.booth import Booth
from batch.pipelines.cast import Cast, Person
from batch.pipelines.delivery import deliver, rate_for
from batch.pipelines.phrases import Phrase, phrases
from batch.pipelines.tape import Tape, trimmed
from engines.resample import resample_file
from engines.tts.stretch import Stretch
from protocol.audio import pcm_seconds, pcm_size
from protocol.dubbing import Placed, Slot, place
from protocol.work import Cue, Dubbing, Style

SPEAKING, PLACING = 0.8, 0.1  # shares of the work; the rest is encoding
_PAUSE_S = 0.2  # the longest within a cue


@dataclass(frozen=True, slots=True)
class _Part:
    """A cue with words, and who says them."""

    cue: Cue
    person: Person
    said: list[Phrase]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where a cue's speech lies in the file of all."""

    part: _Part
    offset: int
    size: int


async def run(work: Dubbing, context: JobContext, tools: Tools) -> Produced:
    """Speak all cues at their times. The sound lasts as long as the subtitles, within 5 % where that can be."""
    parts = await _plan(work, context, tools)
    rate = rate_for(work.delivery, max((part.person.rate for part in parts), default=22_050))
    total = max((cue.end for cue in work.cues), default=0.0)
    with _scratch(context.directory / "cues.pcm") as file, closing(Tape(context.directory / "dub.pcm", rate)) as tape:
        kept = await _speak(parts, work.style, rate, file, context, tools)
        slots = [Slot(one.part.cue.start, one.part.cue.end, pcm_seconds(one.size, rate)) for one in kept]
        for number, (one, placed) in enumerate(zip(kept, place(slots, total), strict=True), 1):
            await asyncio.to_thread(_put, tape, file, one, placed)
            context.progress(SPEAKING + PLACING * number / len(kept))
        await asyncio.to_thread(tape.pause, total - tape.seconds)
        file_made = await deliver(tape, work.delivery, context.directory, context.step(SPEAKING + PLACING, 1.0))
        return Produced(
            (file_made,),
            engine=", ".join(dict.fromkeys(part.person.engine for part in parts)),
            seconds=tape.seconds,
            language=parts[0].person.language if parts else "",
        )


async def _plan(work: Dubbing, context: JobContext, tools: Tools) -> list[_Part]:
    cues = sorted(work.cues, key=lambda cue: cue.start)
    cast = Cast(tools, context, work.style.language, "\n".join(cue.text for cue in cues))
    said = ((cue, phrases(cue.text)) for cue in cues)
    return [_Part(cue, await cast.person(work.voice, cue.text), words) for cue, words in said if words]


async def _speak(
    parts: list[_Part], style: Style, rate: int, file: BinaryIO, context: JobContext, tools: Tools
) -> list[_Kept]:
    """Every cue's speech, one after the other in ``file``."""
    kept: list[_Kept] = []
    total, done = sum(len(part.cue.text) for part in parts), 0
    async with Booth(tools.fleet, context.priority) as booth:
        for part in parts:
            begin = file.tell()
            for phrase in part.said:
                sound = await booth.utter(part.person.saying(phrase.text, style.speed, style), part.person.engine)
                pcm = await asyncio.to_thread(_whole, sound.pcm, sound.rate, rate)
                pause_s = min(_PAUSE_S, phrase.pause_s) / max(1.0, style.speed) if phrase is not part.said[-1] else 0.0
                file.write(pcm + bytes(pcm_size(pause_s, rate)))
            kept.append(_Kept(part, begin, file.tell() - begin))
            done += len(part.cue.text)
            context.progress(SPEAKING * done / total)
    return kept


def _whole(pcm: bytes, source: int, rate: int) -> bytes:
    return trimmed(resample_file(pcm, source, rate), rate)


def _put(tape: Tape, file: BinaryIO, kept: _Kept, placed: Placed) -> None:
    """A cue's speech on the tape, in its place."""
    file.seek(kept.offset)
    pcm = file.read(kept.size)
    if placed.tempo != 1.0:
        stretch = Stretch(tape.rate, placed.tempo)
        pcm = trimmed(stretch.push(pcm) + stretch.flush(), tape.rate)
    tape.pause(placed.start - tape.seconds)
    tape.add(pcm)


@contextmanager
def _scratch(path: Path) -> Iterator[BinaryIO]:
    """A file for as long as it is needed."""
    with path.open("w+b") as file:
        try:
            yield file
        finally:
            path.unlink()
