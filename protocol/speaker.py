"""A speech-out session without its sockets and engines: text in, clauses to synthesise out, sound in, frames out.

    speaker.receive(Text("Hello there, my friend."), now)
    job = speaker.next_job(now)               # a clause to synthesise, None when there is none or enough is made
    speaker.made(job, data, seconds, words)   # its sound, already encoded, as it is made
    speaker.finished_job(job)
    speaker.take(now)                         # what to send now: Speech, WordSpoken, Marked, Cleared, SpeechDone
    speaker.due(now)                          # when ``take`` has something next, None until something happens

An utterance is the text between two flushes; each flush is answered by one ``SpeechDone``. What has been taken counts
as sent, and nothing that was cleared is ever handed out. Places in time are seconds of the sound handed out, places in
text are code points of all text received. The clock is the caller's, in seconds.
"""

import math
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from protocol.chunker import Chunker, Clause, Pause
from protocol.errors import Code, VoiceError
from protocol.events import (
    Clear,
    Cleared,
    Flush,
    Mark,
    Marked,
    SpeakConfig,
    SpeakEvent,
    SpeakOutcome,
    Speech,
    SpeechDone,
    Stop,
    Text,
    WordSpoken,
)
from protocol.playback import Kind, Piece, Playback
from protocol.requests import SpokenWord
from protocol.spoken_form import SpokenForm, spoken_form

# Seconds of quiet that part two clauses at natural speed, by what ends the first (measured on espeak-ng, whose own
# pauses are lost where a clause is spoken alone).
GAPS = {Pause.CUT: 0.0, Pause.WEAK: 0.1, Pause.SENTENCE: 0.2, Pause.END: 0.2}

_WORDS = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class SpeakerLimits:
    """How far a session may run ahead."""

    lead_s: float = 1.0  # sent before it is played
    frame_s: float = 0.06  # one message of PCM or G.711; to send one takes many times what it takes to fill it
    ahead_s: float = 5.0  # made before it is sent; a clause that has begun is finished all the same
    waiting: int = 100_000  # code points of text that wait to be spoken; a flush or a mark counts as one


LIMITS = SpeakerLimits()


@dataclass(frozen=True, slots=True)
class Job:
    """A clause to synthesise; ``form.text`` is empty where there is nothing to say."""

    text: str
    offset: int  # in all text received
    utterance: int
    last: bool  # of its utterance
    form: SpokenForm
    pause: Pause  # what ends it
    gap_s: float = 0.0  # quiet that should part it from the clause before


@dataclass(slots=True)
class _Saying:
    """The job at work, and how far its words have come."""

    job: Job
    start: float  # where its sound begins
    told: int = 0  # code points of it that have their place
    word: tuple[int, int, float] | None = None  # the last word that began: from, to, when


class Speaker:
    """One session; ``bytes_per_second`` of its encoded sound, 0 where it is compressed."""

    def __init__(self, config: SpeakConfig, *, bytes_per_second: int, limits: SpeakerLimits = LIMITS) -> None:
        self._config = config
        self._limits = limits
        self._chunker = Chunker()
        self._playback = Playback(
            bytes_per_second=bytes_per_second,
            frame_s=limits.frame_s,
            lead_s=limits.lead_s if config.pace else math.inf,
        )
        self._jobs: deque[Job] = deque(maxlen=limits.waiting)  # never full: ``_check`` sees to that
        self._marks: deque[tuple[int, str]] = deque(maxlen=limits.waiting)  # those without a place yet: (offset, name)
        self._waiting = 0  # what the jobs hold
        self._saying: _Saying | None = None
        self._pause = Pause.CUT  # what ended the last clause that had sound
        self._urgent: list[SpeakOutcome] = []
        self._utterance = 1  # as speech in counts
        self._open = False  # there is text since the last flush
        self._stopping = False
        self._said: list[str] = []  # the text of this utterance whose sound was sent
        self._characters_said = 0  # of all utterances
        self._began: float | None = None  # where the utterance being made begins
        self._made_to = 0  # all text before it has its sound
        self._text_at = 0.0

    @property
    def sent(self) -> float:
        """Seconds of sound handed out."""
        return self._playback.sent

    @property
    def waiting(self) -> float:
        """Seconds of sound that are made and not handed out."""
        return self._playback.waiting

    @property
    def characters_said(self) -> int:
        """Code points of text whose sound was handed out."""
        return self._characters_said

    @property
    def starving(self) -> bool:
        """Nothing is there to be sent: the next clause is urgent."""
        return self._playback.waiting == 0

    @property
    def out_of_text(self) -> bool:
        """No clause waits behind the one being made."""
        return not self._jobs

    @property
    def idle(self) -> bool:
        """All text that can be spoken has been, and everything is handed out."""
        return not self._jobs and self._saying is None and not self._urgent and self._playback.idle

    @property
    def finished(self) -> bool:
        """The client said stop, and there is nothing more to come."""
        return self._stopping and self.idle

    # -- from the client -------------------------------------------------------------------------

    def receive(self, event: SpeakEvent, now: float) -> None:
        """Take a client's event; TOO_FAST when more waits to be spoken than may."""
        match event:
            case Text(delta):
                self._check(len(delta))
                self._open = self._open or bool(delta)
                self._text_at = now
                self._queue(self._chunker.push(delta))
            case Flush():
                self._check(1)
                self._end_utterance()
            case Mark(name):
                self._check(1)
                self._marks.append((self._chunker.offset, name))
                self._place_marks(self._made_to, self._playback.made)
            case Clear():
                self._clear(now)
            case Stop():
                self._stopping = True
                if self._open:
                    self._end_utterance()
            case _:
                return

    def hurry(self) -> None:
        """Keep no pace any more: what is made may be sent."""
        self._playback.lead_s = math.inf

    def tick(self, now: float) -> None:
        """Let time pass: unfinished text that may wait so long and no longer is spoken as it is."""
        if self._impatient_at() <= now:
            self._queue(self._chunker.flush())

    def _impatient_at(self) -> float:
        delay = self._config.max_buffer_delay_ms
        return math.inf if delay is None or not self._chunker.pending else self._text_at + delay / 1000

    def _check(self, more: int) -> None:
        waiting = self._waiting + self._chunker.pending + len(self._marks)
        if waiting + more > self._limits.waiting:
            what = f"more than {self._limits.waiting} characters wait to be spoken"
            raise VoiceError(Code.TOO_FAST, what, allowed=self._limits.waiting)

    def _queue(self, clauses: Sequence[Clause], *, last: bool = False) -> None:
        for index, clause in enumerate(clauses, 1):
            self._push(clause, last=last and index == len(clauses))

    def _push(self, clause: Clause, *, last: bool) -> None:
        form = spoken_form(clause.text)
        self._jobs.append(Job(clause.text, clause.offset, self._utterance, last, form, clause.pause))
        self._waiting += max(1, len(clause.text))

    def _end_utterance(self) -> None:
        clauses = self._chunker.flush()
        self._queue(clauses, last=True)
        if not clauses:
            self._push(Clause("", self._chunker.offset, Pause.END), last=True)
        self._utterance += 1
        self._open = False

    def _clear(self, now: float) -> None:
        while (piece := self._playback.reached()) is not None:  # it was sent, and is only still to be told
            if (outcome := self._outcome(piece)) is not None:
                self._urgent.append(outcome)
        self._urgent.append(Cleared("".join(self._said).strip(), self._playback.sent))
        self._chunker.clear()
        self._jobs.clear()
        self._marks.clear()
        self._playback.clear(now)
        self._said.clear()
        self._waiting = 0
        self._pause = Pause.CUT
        self._saying = self._began = None
        self._made_to = self._chunker.offset
        self._utterance += self._open
        self._open = False

    # -- to and from the engine ------------------------------------------------------------------

    def next_job(self, now: float) -> Job | None:
        """The next clause to synthesise; one at a time, and none while enough sound waits to be sent."""
        if self._saying is not None or not self._jobs or self._playback.waiting >= self._limits.ahead_s:
            return None
        job = self._jobs.popleft()
        self._waiting -= max(1, len(job.text))
        if job.form.text:
            if self._playback.playing(now):
                job = replace(job, gap_s=GAPS[self._pause] / self._config.speed)
            self._pause = job.pause
        start = self._playback.made
        self._saying = _Saying(job, start)
        self._began = start if self._began is None else self._began
        self._place_marks(job.offset, start)
        return job

    def parted(self, job: Job, data: bytes, seconds: float) -> None:
        """The quiet before a job's sound; before its ``made``."""
        saying = self._saying
        if saying is None or saying.job is not job or not (data or seconds):
            return
        self._playback.add(data, seconds)
        start = self._playback.made
        if self._began == saying.start:
            self._began = start
        saying.start = start

    def made(self, job: Job, data: bytes, seconds: float, words: Sequence[SpokenWord] = ()) -> None:
        """A piece of a job's sound, and the words that begin in it (their times count from the job's first sound).

        Ignored for a job that was cleared. ``seconds`` counts where the sound is compressed.
        """
        saying = self._saying
        if saying is None or saying.job is not job:
            return
        for word in words:
            begin, end = job.form.place(word.offset), job.form.place(word.offset + word.length)
            at = saying.start + word.start
            self._tell(saying, begin, at)
            saying.word = (begin, end, at)
            self._place_marks(job.offset + begin, at)
        self._playback.add(data, seconds)

    def finished_job(self, job: Job, rest: bytes = b"", quiet_s: float = 0.0) -> None:
        """All of a job's sound was made; ``rest`` is what an encoder had held back, with so much quiet behind it."""
        saying = self._saying
        if saying is None or saying.job is not job:
            return
        self._playback.add(rest, quiet_s)
        end = self._playback.made - quiet_s
        if saying.word is None:
            self._spread(saying, end)
        self._tell(saying, len(job.text), end)
        self._made_to = job.offset + len(job.text)
        self._place_marks(self._made_to, end)
        if job.last or not self._jobs:
            self._playback.settle()
        self._saying = None
        if job.last:
            began = end if self._began is None else self._began
            self._playback.place(self._playback.made, Kind.DONE, (job.utterance, began))
            self._began = None

    def _tell(self, saying: _Saying, to: int, at: float) -> None:
        """The text of the job up to ``to`` has been spoken at ``at``; the word in it, if there is one, ends there."""
        text = saying.job.text
        if saying.told < to:
            self._playback.place(at, Kind.TEXT, text[saying.told : to])
            saying.told = to
        if saying.word is not None and self._config.word_timestamps:
            begin, end, start = saying.word
            spoken = WordSpoken(text[begin:end], start, at, saying.job.offset + begin)
            self._playback.place(start, Kind.WORD, spoken)

    def _spread(self, saying: _Saying, end: float) -> None:
        """Places for the words of an engine that does not tell them: by their share of the text."""
        text = saying.job.text
        for found in _WORDS.finditer(text):
            share = found.end() / len(text)
            self._tell(saying, found.end(), saying.start + share * (end - saying.start))

    def _place_marks(self, offset: int, at: float) -> None:
        """Marks set after text before ``offset`` are reached at ``at``."""
        while self._marks and self._marks[0][0] <= offset:
            self._playback.place(at, Kind.MARK, self._marks.popleft()[1])

    # -- to the client ---------------------------------------------------------------------------

    def take(self, now: float) -> SpeakOutcome | None:
        """What to send now, in order; None when there is nothing (yet)."""
        if self._urgent:
            return self._urgent.pop(0)
        while (piece := self._playback.take(now)) is not None:
            outcome = self._outcome(piece)
            if outcome is not None:
                return outcome
        return None

    def due(self, now: float) -> float | None:
        """When to ``tick`` and ``take`` next; None when something else must happen first."""
        sound = now if self._urgent else self._playback.due(now)
        at = min(math.inf if sound is None else sound, self._impatient_at())
        return None if at == math.inf else at

    def _outcome(self, piece: Piece) -> SpeakOutcome | None:
        match piece.what:
            case bytes(data):
                return Speech(data, piece.at) if data else None
            case WordSpoken() as spoken:
                return spoken
            case str(text) if piece.kind is Kind.MARK:
                return Marked(text, piece.at)
            case str(text):
                self._said.append(text)
                self._characters_said += len(text)
                return None
            case _:
                utterance, start = cast(tuple[int, float], piece.what)
                said = "".join(self._said).strip()
                self._said.clear()
                return SpeechDone(utterance, said, start, piece.at)
