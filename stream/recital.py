"""A whole text spoken while it is listened to: clause by clause, each begun while the one before it is on its way.

So many callers share the engine fairly, and the first sound leaves before the rest is made.
"""

from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from dataclasses import dataclass

from engines.catalogue import VoiceEntry
from engines.fleet import Fleet
from engines.speech import SpeechStream
from protocol.audio import pcm_size
from protocol.chunker import Chunker, Pause
from protocol.requests import Priority, Speak
from protocol.speaker import GAPS
from protocol.spoken_form import spoken_form
from stream.rendering import Rendering

SILENCE_S = 0.2  # what a text without anything to say sounds like


@dataclass(frozen=True, slots=True)
class Recital:
    """What is spoken, by whom and how fast."""

    clauses: tuple[tuple[str, Pause], ...]
    voice: VoiceEntry
    speed: float = 1.0


def clauses_of(text: str) -> tuple[tuple[str, Pause], ...]:
    """A text as it is spoken, clause by clause."""
    chunker = Chunker()
    spoken = ((spoken_form(one.text).text, one.pause) for one in [*chunker.push(text), *chunker.flush()])
    return tuple((said, pause) for said, pause in spoken if said)


async def recite(
    recital: Recital, rendering: Rendering, fleet: Fleet, pool: Executor
) -> AsyncGenerator[tuple[bytes, float], None]:
    """The encoded sound of all clauses, piece by piece, with the seconds that went into each. Close it to be silent."""
    anything = False
    async with AsyncExitStack() as stack:
        following = _begin(recital, 0, fleet, stack)
        for index, (_, pause) in enumerate(recital.clauses, 1):
            stream, following = following, _begin(recital, index, fleet, stack)
            assert stream is not None
            async for chunk in stream:
                async for piece in rendering.pieces(chunk, pool):
                    anything = True
                    yield piece
            if following is not None:
                yield rendering.part(GAPS[pause] / recital.speed)[0], 0.0
    if not anything:
        rate = rendering.audio.rate
        yield rendering.render(bytes(pcm_size(SILENCE_S, rate)), rate), 0.0


def _begin(recital: Recital, index: int, fleet: Fleet, stack: AsyncExitStack) -> SpeechStream | None:
    """Ask for a clause, if there is one; it is silenced when the stack closes."""
    if index >= len(recital.clauses):
        return None
    request = Speak(recital.clauses[index][0], recital.voice.engine_voice, recital.speed)
    priority = Priority.SYNCHRONOUS if index else Priority.FINAL  # first sounds go before the rest of others
    stream = fleet.speak(request, engine=recital.voice.engine, priority=priority)
    stack.push_async_callback(stream.aclose)
    return stream
