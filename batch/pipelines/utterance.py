"""One phrase from an engine, whole: batch work is patient, and nothing of it is heard before all of it is made."""

import asyncio
from dataclasses import dataclass

from engines.fleet import Fleet
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak

_PASSING = (Code.BUSY, Code.ENGINE_RESTARTED, Code.MODEL_LOADING)
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between tries; each has the engine's own long wait for a turn before it


@dataclass(frozen=True, slots=True)
class Utterance:
    """Mono s16le at ``rate`` Hz."""

    pcm: bytes
    rate: int


async def utter(fleet: Fleet, request: Speak, engine: str, priority: Priority) -> Utterance:
    """The sound of a phrase; begun again when the engine is busy or falls. Raises VoiceError."""
    for back_off_s in BACK_OFF_S:
        try:
            return await _once(fleet, request, engine, priority)
        except VoiceError as error:
            if error.code not in _PASSING:
                raise
        await asyncio.sleep(back_off_s)
    return await _once(fleet, request, engine, priority)


async def _once(fleet: Fleet, request: Speak, engine: str, priority: Priority) -> Utterance:
    stream = fleet.speak(request, engine=engine, priority=priority)
    sound, rate = bytearray(), 0
    try:
        async for chunk in stream:
            sound += chunk.pcm
            rate = chunk.rate
    finally:
        await stream.aclose()
    return Utterance(bytes(sound), rate or 16_000)
