"""What somebody said, said by another voice (D10), in another mood and at another speed (D12).

The words stay the speaker's own, with their timing, so any language will do. What is moved is what can be measured:
pitch and its range, formants, the tone of the long mean. A cloned voice is measured in its reference, any other in some
speech of its synthesiser.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.booth import Booth
from batch.pipelines.cast import Cast
from batch.pipelines.delivery import rate_for
from batch.pipelines.outlet import Outlet, Step, copied
from batch.pipelines.passes import STRETCH_S, Take, decoded, listen, recording, side_thread, treat
from engines import fields
from engines.host import EngineHost
from engines.sound.levels import Levelled, Loudness
from engines.sound.timbre import BANDS, Timbre, timbre_of
from engines.tts.stretch import Stretch
from protocol.errors import Code, VoiceError
from protocol.work import Emotion, Revoicing, VoiceClone, VoiceSaved

_SAMPLE = "1234567890, 24680, 13579. 10 20 30 40 50 60 70 80 90 100."  # words in every language
_KNOWING, _LISTENING, _TREATING = 0.1, 0.3, 0.9  # the shares of the work that are done after each step
_PITCHES = round(2 * STRETCH_S * 100)  # of one stretch, at most
_HELD_LUFS = -20.0
_REFERENCE_RATE = 24_000


@dataclass(frozen=True, slots=True)
class Mood:
    """How an emotion sounds, against neutral speech of the same voice."""

    semitones: float = 0.0  # higher
    wider: float = 1.0  # the range of pitch, so many times
    tempo: float = 1.0
    louder_db: float = 0.0


# What listeners take for each (Scherer 2003, Juslin and Laukka 2003): height, liveliness, pace and strength.
MOODS: Mapping[Emotion, Mood] = {
    "neutral": Mood(),
    "happy": Mood(1.5, 1.4, 1.05, 1.0),
    "sad": Mood(-1.5, 0.6, 0.88, -3.0),
    "aggressive": Mood(1.0, 1.3, 1.08, 4.0),
    "excited": Mood(3.0, 1.6, 1.15, 3.0),
}


async def run(work: Revoicing, context: JobContext, tools: Tools) -> Produced:
    """Give a recording another voice."""
    mood = MOODS[work.emotion]
    async with recording(work.upload, context, tools, channels=1) as take:
        async with tools.fleet.sound_tool("revoice").borrow() as host:
            target, whose = await _target(work, context, tools, host)
            heard = await listen(take, host, {"listen": True}, context.step(_KNOWING, _LISTENING))
            source = await asyncio.to_thread(voice_in, heard)
            if source is None:
                raise VoiceError(Code.BAD_REQUEST, "file must hold speech: nobody is heard in it.", field="file")
            order = {
                "source": asdict(source),
                "target": asdict(target),
                "semitones": mood.semitones,
                "wider": mood.wider,
            }
            spoken = context.directory / "spoken"
            loudness = Loudness(take.rate, 1)
            with side_thread() as thread, spoken.open("wb") as file:

                def write(pcm: bytes) -> None:
                    file.write(pcm)
                    loudness.add(pcm)

                tell = context.step(_LISTENING, _TREATING)
                await treat(take, host, order, tell, write, thread, in_pauses=True)
            engine = f"{host.capabilities.engine}, {whose}" if whose else host.capabilities.engine
        made, seconds = await _written(Take(spoken, take.rate, 1), work, mood, loudness, context)
    note = (
        f"signal processing, no neural conversion: pitch moved from {source.pitch:.0f} to {target.pitch:.0f} Hz, "
        f"range, formants and tone towards the target's; words and timing are the speaker's"
    )
    return Produced((made.file,), engine=engine, seconds=seconds, note=note)


async def _target(work: Revoicing, context: JobContext, tools: Tools, host: EngineHost) -> tuple[Timbre, str]:
    """The voice to be had, and the engine it is of."""
    reference = await _reference(work, context, tools)
    if reference is not None:
        try:
            async with decoded(reference, context, tools, rate=_REFERENCE_RATE) as take:
                heard = await listen(take, host, {"listen": True}, _nobody)
            found = await asyncio.to_thread(voice_in, heard)
        finally:
            if reference.parent == context.directory:
                reference.unlink(missing_ok=True)
        if found is None:
            raise VoiceError(Code.BAD_REQUEST, "the voice's recording holds no speech that can be heard", field="voice")
        return found, ""
    person = await Cast(tools, context, work.language, "").person(work.voice, "")
    async with Booth(tools.fleet, context.priority) as booth:
        sample = await booth.utter(person.saying(_SAMPLE, 1.0), person.engine)
    told = await host.treat(sample.pcm, sample.rate, 1, {"listen": True})
    found = voice_in([told.facts])
    if found is None:
        raise VoiceError(Code.ENGINE_FAILED, "the voice cannot be measured: it said nothing")
    return found, person.engine


async def _reference(work: Revoicing, context: JobContext, tools: Tools) -> Path | None:
    """The recording of a cloned voice; None for any other voice."""
    if isinstance(work.voice, VoiceClone):
        return tools.uploads.path(work.voice.upload)
    if not isinstance(work.voice, VoiceSaved):
        return None
    data = await tools.voices.reference(context.user_id, work.voice.voice_id)
    if data is None:
        return None
    kept = context.directory / f"reference-{work.voice.voice_id}"
    await asyncio.to_thread(kept.write_bytes, data)
    return kept


def voice_in(heard: Sequence[Mapping[str, object]]) -> Timbre | None:
    """The voice of a whole recording, by what was heard in its stretches; None when nobody speaks."""
    pitches: list[float] = []
    power = np.zeros(BANDS)
    for facts in heard:
        pitches += [fields.number(pitch, 0.0, 1_000.0) for pitch in fields.items(dict(facts), "pitches", _PITCHES)]
        bands = [fields.number(level, 0.0, 1e12) for level in fields.items(dict(facts), "bands", BANDS)]
        power += np.array(bands) if len(bands) == BANDS else 0.0
    return timbre_of(pitches, power)


async def _written(
    take: Take, work: Revoicing, mood: Mood, loudness: Loudness, context: JobContext
) -> tuple[Outlet, float]:
    """At its speed and its level, as the file that was asked for; and how long it is."""
    tempo = work.speed * mood.tempo
    steps: list[Step] = [] if tempo == 1.0 else [Stretch(take.rate, tempo)]
    steps.append(Levelled(take.rate, 1, loudness.gain_db(_HELD_LUFS) + mood.louder_db))
    delivery = work.delivery
    with ExitStack() as stack:
        thread = stack.enter_context(side_thread())
        outlet = stack.enter_context(
            Outlet(
                context.directory,
                delivery.format,
                take.rate,
                1,
                wanted=rate_for(delivery, take.rate),
                bitrate=delivery.bitrate,
                steps=steps,
            )
        )
        await copied(take, outlet, thread, context.step(_TREATING, 1.0))
    seconds = take.seconds / tempo
    take.path.unlink()
    return outlet, seconds


def _nobody(_share: float) -> None:
    """Progress of what is over in a moment."""
