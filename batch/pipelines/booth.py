"""Where a job's phrases are spoken: whole, by an engine that live sessions do not feel, however often it takes.

Batch work is patient, and nothing of a phrase is heard before all of it is made. A job somebody waits for on an open
connection is spoken by the live engines, after live speech.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from engines.fleet import Fleet
from engines.speech import SpeechStream
from engines.synthesis_queue import SynthesisQueue
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak

_PASSING = (Code.BUSY, Code.ENGINE_RESTARTED, Code.MODEL_LOADING)
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between tries; each has the engine's own long wait for a turn before it


@dataclass(frozen=True, slots=True)
class Utterance:
    """Mono s16le at ``rate`` Hz."""

    pcm: bytes
    rate: int


class Booth:
    """To be used in an ``async with``, for the length of a job."""

    def __init__(self, fleet: Fleet, priority: Priority) -> None:
        self._fleet = fleet
        self._priority = priority
        self._borrowed: dict[str, SynthesisQueue] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def utter(self, request: Speak, engine: str) -> Utterance:
        """The sound of a phrase; begun again when the engine is busy or falls. Raises VoiceError."""
        for back_off_s in BACK_OFF_S:
            try:
                return await self._once(request, engine)
            except VoiceError as error:
                if error.code not in _PASSING:
                    raise
            await asyncio.sleep(back_off_s)
        return await self._once(request, engine)

    async def _once(self, request: Speak, engine: str) -> Utterance:
        stream = await self._begin(request, engine)
        sound, rate = bytearray(), 0
        try:
            async for chunk in stream:
                sound += chunk.pcm
                rate = chunk.rate
        finally:
            await stream.aclose()
        return Utterance(bytes(sound), rate or 16_000)

    async def _begin(self, request: Speak, engine: str) -> SpeechStream:
        if self._priority is not Priority.BATCH:
            return self._fleet.speak(request, engine=engine, priority=self._priority)
        if engine not in self._borrowed:
            lender = self._fleet.batch_speaker(engine)
            self._borrowed[engine] = await self._stack.enter_async_context(lender.borrow())
        return self._borrowed[engine].speak(request, priority=self._priority)
