"""A recording to text with times (A34-A52): find its speech, have it recognised stretch by stretch, write it down.

The engines are those for batch work, so nobody who speaks feels it. Only a few stretches are in memory at a time,
however long the recording. In which language it is, where that was not said, is decided by its longest stretches.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from batch.artifacts import MEDIA_TYPES
from batch.pipelines.base import JobContext, Produced, ProducedFile, Tools
from batch.pipelines.listening import Recording, speech
from batch.pipelines.patience import patiently
from batch.pipelines.stretches import Stretch, stretches
from engines.scheduler import Scheduler
from protocol import subtitles
from protocol.errors import VoiceError
from protocol.events import Word
from protocol.requests import Decode, Hypothesis
from protocol.subtitles import SubtitleFormat, Transcript
from protocol.work import Segment, Transcribing

AUTO = "auto"
_FINDING = 0.1  # the share of the work that is finding speech; the rest is recognising it
_AT_ONCE = 8  # stretches with the engine
_SAMPLES = 3  # stretches that say what the language is


async def run(work: Transcribing, context: JobContext, tools: Tools) -> Produced:
    """Recognise a recording."""
    recognizer = tools.fleet.batch_recognizer(work.language, work.engine)
    path = await tools.media.decode(tools.uploads.path(work.upload), 16_000, directory=context.directory)
    try:
        recording = Recording(path)
        found = await _find(recording, work, tools, lambda share: context.progress(_FINDING * share))
        async with recognizer.borrow() as scheduler:
            heard = await _Listener(recording, scheduler, work, context).hear(found)
            engine = scheduler.capabilities.engine
    finally:
        path.unlink(missing_ok=True)
    transcript = Transcript(tuple(heard.segments()), heard.language, recording.seconds)
    return Produced(
        tuple(_written(transcript, form, context) for form in work.formats),
        engine=engine,
        seconds=recording.seconds,
        text=transcript.text,
        language=heard.language,
        segments=tuple(Segment(start=it.start, end=it.end, text=it.text) for it in transcript.segments),
    )


async def _find(recording: Recording, work: Transcribing, tools: Tools, tell: Callable[[float], None]) -> list[Stretch]:
    if not work.vad_filter:
        return await asyncio.to_thread(lambda: list(recording.quiet_cuts()))
    async with tools.fleet.batch_detector().borrow() as detector:
        likely = await speech(recording, detector, tell)
    return stretches(likely, recording.seconds, work.vad_threshold)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was understood, by stretch."""

    language: str
    said: list[tuple[Stretch, Hypothesis]]

    def segments(self) -> Iterator[subtitles.Segment]:
        """With times in the recording, sentence by sentence where the times of words are known."""
        for stretch, hypothesis in self.said:
            if hypothesis.text:
                words = tuple(
                    Word(word.text, word.start + stretch.start, word.end + stretch.start, word.probability)
                    for word in hypothesis.words
                )
                whole = subtitles.Segment(stretch.start, stretch.end, hypothesis.text, words)
                yield from subtitles.sentences(whole)


class _Listener:
    """One recording at one recogniser."""

    def __init__(self, recording: Recording, scheduler: Scheduler, work: Transcribing, context: JobContext) -> None:
        self._recording = recording
        self._scheduler = scheduler
        self._work = work
        self._context = context
        self._done_s = 0.0
        self._all_s = 1.0
        self._share = _FINDING

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
        except* VoiceError as group:
            raise group.exceptions[0] from None
        return answers

    async def _one(self, stretch: Stretch, language: str) -> Hypothesis:
        work = self._work
        decode = Decode(
            await asyncio.to_thread(self._recording.pcm, stretch),
            language=language or AUTO,
            prompt=work.prompt,
            keyterms=work.keyterms,
            word_timestamps=work.words and self._scheduler.capabilities.word_timestamps,
            beam_size=work.beam_size,
            temperature=work.temperature,
        )
        answer = await patiently(partial(self._scheduler.recognize, decode, priority=self._context.priority))
        self._done_s += stretch.seconds
        self._share = min(1.0, max(self._share, _FINDING + (1 - _FINDING) * self._done_s / self._all_s))
        self._context.progress(self._share)
        return answer


def _written(transcript: Transcript, form: str, context: JobContext) -> ProducedFile:
    path = context.directory / f"transcript.{form}"
    path.write_text(subtitles.render(transcript, SubtitleFormat(form)), encoding="utf-8")
    return ProducedFile(form, path, MEDIA_TYPES[form])
