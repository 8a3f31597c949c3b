"""Music to its key, tempo and time signature (D16): heard stretch by stretch, told from all of it. No file is made."""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.passes import STRETCH_S, listen, recording
from engines import fields
from engines.sound.key import key_of
from engines.sound.tempo import FRAMES, meter_of, tempo_of
from protocol.errors import Code, VoiceError
from protocol.work import Analyzing, Music

_FAINT = 1e-6
_UNSURE = 0.4  # of a key's likeness


async def run(work: Analyzing, context: JobContext, tools: Tools) -> Produced:
    """Tell what music is in."""
    async with recording(work.upload, context, tools) as take:
        async with tools.fleet.sound_tool("analyze").borrow() as host:
            heard = await listen(take, host, {}, context.progress)
            engine = host.capabilities.engine
        music, note = await asyncio.to_thread(judged, heard)
        return Produced((), engine=engine, seconds=take.seconds, music=music, note=note)


def judged(heard: Sequence[Mapping[str, object]]) -> tuple[Music, str]:
    """The music of a whole recording, by what was heard in its stretches, and what is to be known of it."""
    chroma = np.sum([_numbers(facts, "chroma", 12) for facts in heard], axis=0)
    if chroma.shape != (12,) or chroma.sum() < _FAINT:
        raise VoiceError(Code.BAD_REQUEST, "file must hold music: there is nothing to hear in it.", field="file")
    onsets, low = (np.concatenate([_numbers(facts, name) for facts in heard]) for name in ("onsets", "low"))
    key, scale, alike = key_of(chroma)
    bpm = tempo_of(onsets, low)
    beats = meter_of(onsets, low, bpm)
    doubts = []
    if alike < _UNSURE:
        doubts.append("the key is a guess: its notes do not favour one")
    if not bpm:
        doubts.append("no beat was found; bpm is 0 and the time signature the usual one")
    return Music(key=key, scale=scale, bpm=round(bpm, 1), time_signature=f"{beats}/4"), "; ".join(doubts)


def _numbers(facts: Mapping[str, object], name: str, exactly: int = 0) -> NDArray[np.float64]:
    most = exactly or round(2 * STRETCH_S * FRAMES)
    return np.array([fields.number(value, 0.0, 1e9) for value in fields.items(dict(facts), name, most)], np.float64)
