"""Recordings and texts handled without a server: the live core's own recognition and synthesis, as fast as they go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from engines.base import Task
from engines.fleet import Fleet
from engines.registry import EngineSpec
from protocol.chunker import Chunker
from protocol.errors import VoiceError
from protocol.events import Failed, Final, ListenConfig, ListenOutcome
from protocol.requests import Priority, Speak, SpeechChunk
from stream.recognition import Owner, Recognition

_NO_PARTIALS_S = 1e9


class _Session:
    """What a recognition needs of the session it belongs to."""

    def __init__(self, heard: Callable[[Final], None]) -> None:
        self.over = asyncio.Event()
        self.error: VoiceError | None = None
        self._heard = heard

    def tell(self, event: ListenOutcome) -> None:
        if isinstance(event, Final) and event.text:
            self._heard(event)
        elif isinstance(event, Failed):
            self.fail(event.error)

    def fail(self, error: VoiceError) -> None:
        self.error = error
        self.over.set()


async def transcribe(
    fleet: Fleet, sound: AsyncIterator[bytes], config: ListenConfig, heard: Callable[[Final], None]
) -> None:
    """Recognise 16 kHz s16le sound; ``heard`` gets each utterance. Raises VoiceError where the live core would."""
    session = _Session(heard)
    try:
        await _recognise(fleet, sound, config, session)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    if session.error is not None:
        raise session.error


async def _recognise(fleet: Fleet, sound: AsyncIterator[bytes], config: ListenConfig, session: _Session) -> None:
    async with asyncio.TaskGroup() as tasks:
        owner = Owner(tasks.create_task, session.tell, session.over.set, session.fail)
        scheduler = fleet.recognizer(config.language, config.model)
        recognition = Recognition(
            fleet, scheduler, config, owner, partial_interval_s=_NO_PARTIALS_S, name="offline"
        )
        try:
            async for piece in sound:
                recognition.hear(piece)
                await recognition.caught_up()
                if session.over.is_set():
                    break
            if not session.over.is_set():
                recognition.stop()
                await session.over.wait()
        finally:
            recognition.close()


async def speak(
    fleet: Fleet, text: str, *, engine: str, voice: str, speed: float, spoken: Callable[[int], None]
) -> AsyncIterator[SpeechChunk]:
    """Synthesise a text of any length, clause by clause; ``spoken`` is told how many characters are done."""
    chunker = Chunker()
    done = 0
    for clause in [*chunker.push(text), *chunker.flush()]:
        if clause.text.strip():
            request = Speak(clause.text, voice, speed)
            async with aclosing(fleet.speak(request, engine=engine, priority=Priority.BATCH)) as chunks:
                async for chunk in chunks:
                    yield chunk
        done += len(clause.text)
        spoken(done)


def only(specs: list[EngineSpec], *tasks: Task) -> list[EngineSpec]:
    """The engines of these kinds."""
    return [spec for spec in specs if spec.task in tasks]
