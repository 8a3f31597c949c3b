"""Text to one file (A11-A18, B4-B8): lines with their own voices and speeds, joined with natural pauses.

Phrase by phrase, so that a text of any length takes little memory, live speech never waits for more than a phrase,
and the progress that is told is that of the characters spoken.
"""

import asyncio
from contextlib import closing
from dataclasses import dataclass

from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.booth import Booth
from batch.pipelines.cast import Cast, Person
from batch.pipelines.delivery import deliver, rate_for
from batch.pipelines.phrases import TURN_S, Phrase, phrases
from batch.pipelines.tape import Tape
from protocol.work import Speaking, Style

SPEAKING = 0.9  # the share of the work that is speaking; the rest is encoding
_SILENCE_S = 0.2  # what a text with nothing to say sounds like
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class _Part:
    """A phrase, and how it is to be said."""

    person: Person
    phrase: Phrase
    speed: float
    pause_s: float


async def run(work: Speaking, context: JobContext, tools: Tools) -> Produced:
    """Speak all lines, in order."""
    parts = await _plan(work, context, tools)
    people = list(dict.fromkeys(part.person for part in parts))
    native = max((person.rate for person in people), default=22_050)
    with closing(Tape(context.directory / "speech.pcm", rate_for(work.delivery, native))) as tape:
        await _speak(parts, people, tape, work.style, context, tools)
        file = await deliver(tape, work.delivery, context.directory, context.step(SPEAKING, 1.0))
        return Produced(
            (file,),
            engine=", ".join(dict.fromkeys(person.engine for person in people)),
            seconds=tape.seconds,
            language=people[0].language if people else "",
        )


async def _plan(work: Speaking, context: JobContext, tools: Tools) -> list[_Part]:
    """Every phrase with who says it. What cannot be done is an error here, before anything is spoken."""
    cast = Cast(tools, context, work.style.language, "\n".join(line.text for line in work.lines))
    parts: list[_Part] = []
    for line in work.lines:
        person = await cast.person(line.voice, line.text)
        speed = work.style.speed if line.speed is None else line.speed
        said = phrases(line.text)
        for phrase in said:
            pause_s = TURN_S if phrase is said[-1] else phrase.pause_s
            parts.append(_Part(person, phrase, speed, min(_LONGEST_PAUSE_S, pause_s / speed)))
    return parts


async def _speak(
    parts: list[_Part], people: list[Person], tape: Tape, style: Style, context: JobContext, tools: Tools
) -> None:
    total, done = sum(part.phrase.characters for part in parts), 0
    async with Booth(tools.fleet, context.priority) as booth:
        for part in parts:
            request = part.person.saying(part.phrase.text, part.speed, style)
            sound = await booth.utter(request, part.person.engine)
            await asyncio.to_thread(tape.speak, sound.pcm, sound.rate, people.index(part.person))
            if part is not parts[-1]:
                tape.pause(part.pause_s)
            done += part.phrase.characters
            context.progress(SPEAKING * done / total)
    if not tape.samples:
        tape.pause(_SILENCE_S)
