"""A recording to text with times (A34-A52): find its speech, have it recognised stretch by stretch, write it down.

The engines are those for batch work, so nobody who speaks feels it. Only a few stretches are in memory at a time,
however long the recording. In which language it is, where that was not said, is decided by its longest stretches.
Who speaks is found out before, by other ears, and laid over the words.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from batch.artifacts import MEDIA_TYPES
from batch.pipelines import diarize
from batch.pipelines.base import JobContext, Produced, ProducedFile, Tools
from batch.pipelines.listening import Recording, speech
from batch.pipelines.patience import patiently
from batch.pipelines.said import Said, segments
from batch.pipelines.stretches import Stretch, stretches
from engines.host import EngineHost
from engines.on_demand import Lender
from engines.scheduler import Scheduler
from protocol import subtitles
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis
from protocol.subtitles import SubtitleFormat, Transcript
from protocol.transcripts import speaker_name
from protocol.turns import Turns
from protocol.work import Transcribing

AUTO = "auto"
_FINDING = 0.1  # the share of the work that is finding speech; the rest is recognising it
_TELLING_APART = 0.3  # ... or telling speakers apart first, where that is asked for
_DONE_WITHOUT = (Code.NOT_INSTALLED, Code.ENGINE_FAILED, Code.ENGINE_RESTARTED)  # who speaks, if it need not be known
_AT_ONCE = 8  # stretches with the engine
_SAMPLES = 3  # stretches that say what the language is

_log = logging.getLogger(__name__)


async def run(work: Transcribing, context: JobContext, tools: Tools) -> Produced:
    """Recognise a recording."""
    recognizer = tools.fleet.batch_recognizer(work.language, work.engine)
    if work.diarize and work.must_diarize:
        tools.fleet.diarizer()  # raises where there is none, before anything is done
    path = await tools.media.decode(tools.uploads.path(work.upload), 16_000, directory=context.directory)
    try:
        recording = Recording(path)
        found = await _find(recording, work, tools, context.step(0.0, _FINDING))
        turns, note = await _turns(recording, found, work, context, tools) if work.diarize else (None, "")
        async with recognizer.borrow() as scheduler:
            heard = await _Listener(recording, scheduler, work, context).hear(found)
            engine = scheduler.capabilities.engine
    finally:
        path.unlink(missing_ok=True)
    said = await asyncio.to_thread(segments, heard.said, turns)
    return _produced(said, heard.language, recording.seconds, work, context, engine=engine, note=note)


def _produced(
    said: list[Said], language: str, seconds: float, work: Transcribing, context: JobContext, *, engine: str, note: str
) -> Produced:
    named = tuple(replace(one.segment, speaker=speaker_name(one.speaker)) for one in said)
    transcript = Transcript(named, language, seconds)
    return Produced(
        tuple(_written(transcript, form, context) for form in work.formats),
        engine=engine,
        seconds=seconds,
        text=transcript.text,
        language=language,
        segments=tuple(one.kept(work.keep_words) for one in said),
        speakers=len({one.speaker for one in said} - {None}),
        note=note,
    )


async def _turns(
    recording: Recording, found: list[Stretch], work: Transcribing, context: JobContext, tools: Tools
) -> tuple[Turns | None, str]:
    """Who speaks when; None and why, where that cannot be found out and need not be."""
    tell = context.step(_FINDING, _TELLING_APART)
    try:
        diarizer: Lender[EngineHost] = tools.fleet.diarizer()
        if not found:
            return Turns(()), ""
        async with diarizer.borrow() as host:
            return Turns(await diarize.turns(recording, found, host, work.speakers, tell)), ""
    except VoiceError as error:
        if work.must_diarize or error.code not in _DONE_WITHOUT:
            raise
        _log.warning("job %s goes without speakers: %s", context.job_id, error.code)
        remedy = f"; {error.facts['install']} adds what is missing" if error.facts.get("install") else ""
        return None, f"Speakers were not told apart: {error.message}{remedy}."


async def _find(recording: Recording, work: Transcribing, tools: Tools, tell: Callable[[float], None]) -> list[Stretch]:
    if not work.vad_filter:
        return await asyncio.to_thread(lambda: list(recording.quiet_cuts()))
    async with tools.fleet.batch_detector.borrow() as detector:
        likely = await speech(recording, detector, tell)
    return stretches(likely, recording.seconds, work.vad_threshold)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was understood, by stretch."""

    language: str
    said: list[tuple[Stretch, Hypothesis]]


class _Listener:
    """One recording at one recogniser."""

    def __init__(self, recording: Recording, scheduler: Scheduler, work: Transcribing, context: JobContext) -> None:
        self._recording = recording
        self._scheduler = scheduler
        self._work = work
        self._context = context
        self._done_s = 0.0
        self._all_s = 1.0
        self._begun = self._share = _TELLING_APART if work.diarize else _FINDING
        self._words = work.words or work.keep_words or work.diarize

    async def hear(self, found: list[Stretch]) -> _Heard:
        """Have every stretch recognised, all in one language."""
        self._all_s = sum(stretch.seconds for stretch in found) or 1.0  # of what is to be heard
        language, known = self._work.language, dict[Stretch, Hypothesis]()
        if language == AUTO:
            language, known = await self._language(found)
        known |= await self._all([stretch for stretch in found if stretch not in known], language)
        self._context.progress(1.0)
        return _Heard(language, [(stretch, known[stretch]) for stretch in found])

    async def _language(self, found: list[Stretch]) -> tuple[str, dict[Stretch, Hypothesis]]:
        """The language most of the longest stretches are in, and what was understood of those that are."""
        able = self._scheduler.capabilities
        if not able.detects_language:
            return next(iter(able.languages), ""), {}
        longest = sorted(found, key=lambda stretch: -stretch.seconds)[:_SAMPLES]
        answers = await self._all(longest, AUTO)
        votes: dict[str, float] = {}
        for stretch, answer in answers.items():
            if answer.text:
                votes[answer.language] = votes.get(answer.language, 0.0) + answer.language_probability * stretch.seconds
        if not votes:
            return "", answers
        language = max(votes, key=lambda code: votes[code])
        kept = {stretch: answer for stretch, answer in answers.items() if answer.language == language}
        self._done_s = sum(stretch.seconds for stretch in kept)  # the others are heard again
        return language, kept

    async def _all(self, found: list[Stretch], language: str) -> dict[Stretch, Hypothesis]:
        answers: dict[Stretch, Hypothesis] = {}
        todo = iter(found)

        async def work() -> None:
            for stretch in todo:
                answers[stretch] = await self._one(stretch, language)

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(_AT_ONCE, len(found))):
                    tasks.create_task(work())
        except ExceptionGroup as group:  # not except*: before Python 3.11.4 what is raised in it comes out in a group
            refused, others = group.split(VoiceError)
            if refused is None or others is not None:
                raise
            raise refused.exceptions[0] from None
        return answers

    async def _one(self, stretch: Stretch, language: str) -> Hypothesis:
        work = self._work
        decode = Decode(
            await asyncio.to_thread(self._recording.pcm, stretch),
            language=language or AUTO,
            prompt=work.prompt,
            keyterms=work.keyterms,
            word_timestamps=self._words and self._scheduler.capabilities.word_timestamps,
            beam_size=work.beam_size,
            temperature=work.temperature,
        )
        answer = await patiently(partial(self._scheduler.recognize, decode, priority=self._context.priority))
        self._done_s += stretch.seconds
        self._share = min(1.0, max(self._share, self._begun + (1 - self._begun) * self._done_s / self._all_s))
        self._context.progress(self._share)
        return answer


def _written(transcript: Transcript, form: str, context: JobContext) -> ProducedFile:
    path = context.directory / f"transcript.{form}"
    path.write_text(subtitles.render(transcript, SubtitleFormat(form)), encoding="utf-8")
    return ProducedFile(form, path, MEDIA_TYPES[form])
