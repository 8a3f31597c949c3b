"""From a session's clauses to its sound: has them synthesised one after the other, encoded, and given back.

The next clause is asked for when the one before it is made and not yet too much waits to be sent; the engine is free
for others in between. ``clear`` lets it go in the middle of a clause.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from engines.catalogue import Catalogue, VoiceEntry
from engines.fleet import Fleet
from engines.voices import find_voice
from protocol.errors import Code, VoiceError
from protocol.events import SpeakConfig
from protocol.requests import Priority, Speak
from protocol.script import guess_language
from protocol.speaker import Job, Speaker
from stream.rendering import Rendering

AHEAD_BYTES = 1 << 20  # encoded sound that may wait to be sent, in the middle of a clause, too

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """What a narrator works with, and whom it tells: of new sound, and of an error that ends the session."""

    fleet: Fleet
    catalogue: Catalogue
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    on_sound: Callable[[], None]
    on_error: Callable[[VoiceError], None]
    now: Callable[[], float]


class Narrator:
    """One session's way to the engine; ``speaker`` says what is next and takes the sound."""

    def __init__(self, stage: Stage, speaker: Speaker, config: SpeakConfig, voice: VoiceEntry) -> None:
        self._stage = stage
        self._speaker = speaker
        self._config = config
        self._rendering = Rendering(config.audio, config.bitrate)
        self._default = self._voice = voice
        self._guesses = config.voice == config.language == "auto"
        self._utterance = -1  # whose voice is ``_voice``
        self._task: asyncio.Task[None] | None = None
        rate = config.audio.sample_bytes * config.audio.rate  # 0 where it is compressed, and small
        self._ahead_s = AHEAD_BYTES / rate if rate else math.inf
        self._room: asyncio.Event | None = None  # somebody waits until some sound has been sent

    def advance(self) -> None:
        """Go on, if there is room for more sound; have the next clause synthesised if nothing is at one."""
        if self._room is not None and self._speaker.waiting < self._ahead_s:
            self._room.set()
        if self._task is None:
            job = self._speaker.next_job(self._stage.now())
            if job is not None:
                self._task = self._stage.spawn(self._narrate(job))

    def silence(self) -> None:
        """Let the engine go."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def clear(self) -> None:
        """Let the engine go, and forget what was not given out."""
        self.silence()
        self._rendering.reset()

    async def _narrate(self, job: Job) -> None:
        """Synthesise clauses until there are none, or enough is made."""
        following: Job | None = job
        try:
            while following is not None:
                await self._say(following)
                following = self._speaker.next_job(self._stage.now())
                if following is not None:
                    self._stage.on_sound()
        except VoiceError as error:
            self._stage.on_error(error)
        except Exception:  # noqa: BLE001 (a bug must end one session, with an error, not the server)
            _log.exception("a narration broke")
            self._stage.on_error(VoiceError(Code.INTERNAL, "Something went wrong in the server."))
        if self._task is asyncio.current_task():
            self._task = None
            self._stage.on_sound()

    async def _say(self, job: Job) -> None:
        speaker, rendering = self._speaker, self._rendering
        if job.form.text:
            voice = self._fitting(job)
            request = Speak(job.form.text, voice.engine_voice, self._config.speed, words=True)
            priority = Priority.FINAL if speaker.starving else Priority.SYNCHRONOUS
            speaker.parted(job, *rendering.part(job.gap_s))
            stream = self._stage.fleet.speak(request, engine=voice.engine, priority=priority)
            async with aclosing(stream):
                async for chunk in stream:
                    words = chunk.words
                    async for data, seconds in rendering.pieces(chunk):
                        speaker.made(job, data, seconds, words)
                        words = ()
                    self._stage.on_sound()
                    await self._until_room()
        if job.last:
            rest = rendering.finish()
            speaker.finished_job(job, rest, rendering.tail_s if rest else 0.0)
        elif speaker.out_of_text:
            speaker.finished_job(job, *rendering.drain())
        else:
            speaker.finished_job(job)

    async def _until_room(self) -> None:
        """A client that does not read must not cost the whole of a long clause; the engine's sound is half as large."""
        while self._speaker.waiting >= self._ahead_s:
            self._room = asyncio.Event()
            try:
                await self._room.wait()
            finally:
                self._room = None

    def _fitting(self, job: Job) -> VoiceEntry:
        """The voice for a clause: where the client chose neither voice nor language, one for the text's letters."""
        if self._guesses and job.utterance != self._utterance:
            language = guess_language(job.form.text)
            self._voice = self._default
            if language is not None:
                self._utterance = job.utterance
                self._voice = find_voice(self._stage.catalogue, self._stage.fleet, "auto", language)
        return self._voice
