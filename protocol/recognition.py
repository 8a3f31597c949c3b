"""What the utterances of a stream say: asks the recogniser, and tells the client in order what it answered.

While an utterance goes on there are partials; at its first short silence a guess is made, a decode of exactly the
audio the utterance will have if speech does not go on. A guess that still stands at the end is the final, most often
answered long before. An incremental recogniser gains nothing from a guess, so none is made for it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from protocol.agreement import Agreement
from protocol.effects import Effect, Emit, Finished, Forget, Kind, Recognize
from protocol.errors import VoiceError
from protocol.events import Failed, Final, ListenConfig, Partial, SpeechStarted, SpeechStopped, Word
from protocol.recording import RATE, Recording
from protocol.requests import Decode, Hypothesis

_PARTIALS = 3  # under way at once: one runs, one waits, one is about to take its place


@dataclass(slots=True)
class _Utterance:
    """One utterance, from its beginning to its Final; places are samples from the start of the stream."""

    number: int
    config: ListenConfig
    start: int  # of its audio
    speech: int  # of the speech in it
    own: int  # what lies before this place stays part of it, whatever is split off
    looked: int  # how far the latest partial heard
    stopped: int = 0  # end of the speech
    final: int = 0  # the ticket that decides, if one was given out: a guess until the utterance ends
    answer: Hypothesis | None = None  # to that ticket
    last: bool = False
    newest: int = 0  # ticket whose answer was used
    shown: tuple[str, int] = ("", 0)  # text and stable code points of the last Partial
    agreement: Agreement = field(default_factory=Agreement)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A recognition under way."""

    utterance: _Utterance
    kind: Kind
    end: int  # how far it hears


class Recognition:
    """One stream's utterances; at most one is open at a time."""

    __slots__ = (
        "_asked", "_closing", "_incremental", "_name", "_open", "_recording", "_tickets", "_utterances", "finished",
    )  # fmt: skip

    def __init__(self, recording: Recording, *, incremental: bool, name: str) -> None:
        self.finished = False
        self._recording = recording
        self._incremental = incremental
        self._name = name
        self._open: _Utterance | None = None
        self._closing: list[_Utterance] = []  # ended, in order; the first of them awaits its answer
        self._asked: dict[int, _Asked] = {}
        self._tickets = 0
        self._utterances = 0

    # -- the course of an utterance ------------------------------------------------------------------

    def begin(self, config: ListenConfig, *, start: int, speech: int, own: int) -> Iterator[Effect]:
        """Open an utterance."""
        self._open = _Utterance(self._number(), config, start, speech, own, looked=speech)
        if config.events:
            yield Emit(SpeechStarted(speech / RATE))

    def look(self, end: int, interval_s: float) -> Iterator[Effect]:
        """Ask for a partial, if the client wants any and the last one heard ``interval_s`` less."""
        utterance = self._current()
        if not utterance.config.interim_results or end - utterance.looked < interval_s * RATE:
            return
        if sum(asked.kind is Kind.PARTIAL for asked in self._asked.values()) < _PARTIALS:
            utterance.looked = end
            yield self._ask(utterance, Kind.PARTIAL, end)

    def looks_at(self, interval_s: float) -> int | None:
        """The place from which on ``look`` would ask, None where it never does."""
        utterance = self._open
        if utterance is None or not utterance.config.interim_results:
            return None
        return utterance.looked + math.ceil(interval_s * RATE)

    def guess(self, end: int) -> Iterator[Effect]:
        """Decode ahead what the utterance will be, if speech does not go on."""
        if not self._incremental:
            utterance = self._current()
            guess = self._ask(utterance, Kind.SPECULATIVE, end)
            utterance.final = guess.ticket
            yield guess

    def resume(self) -> Iterator[Effect]:
        """Speech goes on after all."""
        utterance = self._current()
        if self._asked.pop(utterance.final, None):
            yield Forget(utterance.final)
        utterance.final, utterance.answer = 0, None

    def close(self, stopped: int, end: int) -> Iterator[Effect]:
        """End the open utterance; its Final follows as soon as it and those before it are answered."""
        utterance, self._open = self._current(), None
        for ticket in [ticket for ticket, asked in self._asked.items() if asked.kind is Kind.PARTIAL]:
            del self._asked[ticket]
            yield Forget(ticket)
        if utterance.config.events:
            yield Emit(SpeechStopped(stopped / RATE))
        if not utterance.final:
            final = self._ask(utterance, Kind.FINAL, end)
            utterance.final = final.ticket
            yield final
        utterance.stopped = stopped
        self._closing.append(utterance)
        yield from self._deliver()

    def nothing(self, config: ListenConfig, at: int) -> Iterator[Effect]:
        """Nothing is open, and still the client waits for a Final: the one under way, else an empty one."""
        empty = self._empty(config, at)  # takes a number in any case: numbers do not depend on when answers come
        if not self._closing:
            yield Emit(empty)

    def finish(self, config: ListenConfig, at: int) -> Iterator[Effect]:
        """No utterance follows: mark the last Final, or send an empty one."""
        if self._closing:
            self._closing[-1].last = True
        else:
            self.finished = True
            yield Emit(replace(self._empty(config, at), last=True))
            yield Finished()

    # -- answers -------------------------------------------------------------------------------------

    def answer(self, ticket: int, hypothesis: Hypothesis) -> Iterator[Effect]:
        """Take what was recognised, in any order."""
        asked = self._asked.pop(ticket, None)
        if asked is None:
            return
        utterance = asked.utterance
        if ticket == utterance.final:
            utterance.answer = hypothesis
        if utterance is self._open:
            yield from self._show(utterance, ticket, asked.end, hypothesis.text)
        else:
            yield from self._deliver()

    def failed(self, ticket: int, error: VoiceError) -> Iterator[Effect]:
        """It could not be recognised: a look ahead is done without, a final takes the session with it."""
        asked = self._asked.pop(ticket, None)
        if asked is None:
            return
        utterance = asked.utterance
        if utterance is self._open:
            if ticket == utterance.final:
                utterance.final = 0
            return
        self.finished = True
        self._asked.clear()
        self._closing.clear()
        yield Emit(Failed(error))
        yield Finished()

    # -- within --------------------------------------------------------------------------------------

    def _current(self) -> _Utterance:
        assert self._open is not None, "the endpointer begins an utterance before all else"
        return self._open

    def _number(self) -> int:
        self._utterances += 1
        return self._utterances

    def _ask(self, utterance: _Utterance, kind: Kind, end: int) -> Recognize:
        self._tickets += 1
        self._asked[self._tickets] = _Asked(utterance, kind, end)
        config, final = utterance.config, kind is not Kind.PARTIAL
        decode = Decode(
            pcm=self._recording.cut(utterance.start, end),
            language=config.language,
            prompt=config.prompt,
            keyterms=config.keyterms,
            word_timestamps=config.word_timestamps and final,
            final=final,
            stream=f"{self._name}/{utterance.number}",
        )
        return Recognize(self._tickets, decode, kind)

    def _show(self, utterance: _Utterance, ticket: int, end: int, text: str) -> Iterator[Effect]:
        """Tell the client what is new in an answer about an open utterance, unless a newer one came first."""
        if not utterance.config.interim_results or ticket < utterance.newest:
            return
        utterance.newest = ticket
        shown = utterance.agreement.hear(text, end / RATE, settle=end <= utterance.own)
        if shown != utterance.shown and shown[0]:
            utterance.shown = shown
            yield Emit(Partial(*shown, utterance.number, utterance.speech / RATE, end / RATE))

    def _deliver(self) -> Iterator[Effect]:
        while self._closing and (answer := self._closing[0].answer) is not None:
            utterance = self._closing.pop(0)
            yield Emit(self._final(utterance, answer))
            if utterance.last:
                self.finished = True
                yield Finished()

    def _final(self, utterance: _Utterance, answer: Hypothesis) -> Final:
        return Final(
            text=utterance.agreement.keep(answer.text),
            start=utterance.speech / RATE,
            end=utterance.stopped / RATE,
            utterance=utterance.number,
            language=answer.language or _known(utterance.config.language),
            words=tuple(_placed(word, utterance) for word in answer.words),
            last=utterance.last,
        )

    def _empty(self, config: ListenConfig, at: int) -> Final:
        return Final("", at / RATE, at / RATE, self._number(), _known(config.language))


def _placed(word: Word, utterance: _Utterance) -> Word:
    """The word in the stream's time. Engines let a first word begin in the quiet before the speech."""
    start, end, speech = utterance.start / RATE + word.start, utterance.start / RATE + word.end, utterance.speech / RATE
    return replace(word, start=speech if start < speech < end else start, end=end)


def _known(language: str) -> str:
    return "" if language == "auto" else language
