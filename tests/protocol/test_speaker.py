"""A speech session in virtual time: what is synthesised, sent, told and cleared."""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.audio import AudioFormat, Encoding
from protocol.chunker import Pause
from protocol.errors import Code, VoiceError
from protocol.events import (
    Clear,
    Cleared,
    Flush,
    KeepAlive,
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
from protocol.requests import SpokenWord
from protocol.speaker import GAPS, Job, Speaker, SpeakerLimits

RATE = 1000  # bytes a second
PER_LETTER = 50  # bytes of sound for each code point: 50 ms


def about(seconds: float) -> float:
    """That number, or one that is nearly it."""
    return cast(float, pytest.approx(seconds))


@dataclass
class Stage:
    """A speaker, an engine that says a code point in 50 ms, and a clock."""

    speaker: Speaker
    now: float = 100.0
    words: bool = True
    sent: list[SpeakOutcome] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def do(self, *events: SpeakEvent) -> None:
        for event in events:
            self.speaker.receive(event, self.now)

    def synthesize(self, limit: int = 1000) -> None:
        """Make the sound of what is asked for."""
        while limit and (job := self.speaker.next_job(self.now)) is not None:
            limit -= 1
            self.jobs.append(job)
            if job.gap_s:
                self.speaker.parted(job, bytes(round(job.gap_s * RATE)), job.gap_s)
            found = re.finditer(r"[^\s.,!?]+", job.form.text) if self.words else ()
            words = [SpokenWord(word.start(), len(word.group()), word.start() * 0.05) for word in found]
            self.speaker.made(job, bytes(PER_LETTER * len(job.form.text)), 0.05 * len(job.form.text), words)
            self.speaker.finished_job(job)

    def play(self, until: float = 1e9) -> list[SpeakOutcome]:
        """Let time pass, synthesising and sending as it goes; what was sent."""
        begin = len(self.sent)
        while True:
            self.speaker.tick(self.now)
            self.synthesize()
            while (outcome := self.speaker.take(self.now)) is not None:
                self.sent.append(outcome)
            self.synthesize()
            due = self.speaker.due(self.now)
            if due is None or due > until or self.speaker.finished:
                return self.sent[begin:]
            self.now = due

    def told(self) -> list[SpeakOutcome]:
        return [outcome for outcome in self.sent if not isinstance(outcome, Speech)]

    def seconds(self) -> float:
        return sum(len(outcome.data) for outcome in self.sent if isinstance(outcome, Speech)) / RATE


def stage(
    *, words: bool = True, bytes_per_second: int = RATE, limits: SpeakerLimits | None = None, **config: object
) -> Stage:
    audio = AudioFormat(Encoding.PCM_S16LE, RATE // 2)
    speaker = Speaker(
        SpeakConfig(audio=audio, **config),  # type: ignore[arg-type]
        bytes_per_second=bytes_per_second,
        limits=limits or SpeakerLimits(),
    )
    return Stage(speaker, words=words)


def test_text_becomes_sound_before_it_is_complete() -> None:
    at = stage()
    at.do(Text("Well, my dear fri"), Text("end, how are"))
    at.synthesize()
    assert [job.text for job in at.jobs] == ["Well, my dear friend,"]
    assert isinstance(at.speaker.take(at.now), Speech)
    assert not at.speaker.idle and not at.speaker.starving


def test_an_utterance_is_answered_by_what_was_spoken() -> None:
    at = stage()
    at.do(Text(" Hello to you, my friend, how are you?"), Flush(), Text("Fine."), Flush(), Stop())
    at.play()
    first = 0.05 * 13 + GAPS[Pause.WEAK] + 0.05 * 23
    gap = GAPS[Pause.END]
    assert at.told() == [
        SpeechDone(1, "Hello to you, my friend, how are you?", 0.0, about(first)),
        SpeechDone(2, "Fine.", about(first + gap), about(first + gap + 0.25)),
    ]
    assert at.speaker.finished and at.speaker.idle
    assert at.seconds() == about(at.speaker.sent)


def test_clauses_are_parted_by_quiet_and_utterances_while_playing() -> None:
    at = stage(speed=2.0)
    at.do(Text("Hello there. Yes."), Flush(), Text("More."), Flush())
    at.play()
    assert [job.gap_s for job in at.jobs] == [0.0, GAPS[Pause.SENTENCE] / 2, GAPS[Pause.END] / 2]
    at.now += 60
    at.do(Text("Later."), Flush())
    at.play()
    assert at.jobs[-1].gap_s == 0.0, "nothing is playing that it would have to be parted from"


def test_words_are_told_with_their_times_and_offsets() -> None:
    at = stage(word_timestamps=True)
    text = "One two. Three four."
    at.do(Text(text), Flush(), Stop())
    at.play()
    words = [one for one in at.told() if isinstance(one, WordSpoken)]
    assert [word.word for word in words] == ["One", "two", "Three", "four"]
    assert all(text[word.offset : word.offset + len(word.word)] == word.word for word in words)
    gap = GAPS[Pause.SENTENCE]
    assert [word.start for word in words] == [about(x) for x in (0.0, 0.2, 0.4 + gap, 0.7 + gap)]
    assert [word.end for word in words] == [about(x) for x in (0.2, 0.4, 0.7 + gap, 0.95 + gap)]
    for word in words:
        place = at.sent.index(word)
        after = next(one for one in at.sent[place:] if isinstance(one, Speech | SpeechDone))
        assert not isinstance(after, Speech) or after.at <= word.start < after.at + len(after.data) / RATE + 1e-6


def test_words_are_not_told_unless_asked_for() -> None:
    at = stage()
    at.do(Text("One two."), Flush())
    at.play()
    assert [type(one) for one in at.told()] == [SpeechDone]


def test_marks_are_reached_at_their_place_in_the_sound() -> None:
    at = stage()
    at.do(Mark("start"), Text("One"), Mark("first"), Text(" two th"), Mark("inside"), Text("ree. Four"))
    at.do(Mark("end"), Flush(), Mark("after"))
    at.play()
    marks = {one.name: one.at for one in at.told() if isinstance(one, Marked)}
    end = 0.7 + GAPS[Pause.SENTENCE] + 0.2
    assert list(marks) == ["start", "first", "inside", "end", "after"]
    assert marks["start"] == 0.0 and marks["first"] == about(0.2)
    assert marks["inside"] == about(0.7), "after the word it is in"
    assert marks["end"] == marks["after"] == about(end)
    for mark in at.sent:
        if isinstance(mark, Marked):
            heard = [one for one in at.sent[: at.sent.index(mark)] if isinstance(one, Speech)]
            assert sum(len(one.data) for one in heard) / RATE >= mark.at - 1e-6


def test_clear_reports_the_words_really_sent_and_silences_the_rest() -> None:
    at = stage()
    at.do(Text("One two three four five six seven eight nine ten, "), Text("eleven twelve. Thirteen"), Mark("never"))
    at.play(until=at.now + 0.5)
    at.do(Clear())
    sent = at.speaker.sent
    outcome = at.speaker.take(at.now)
    assert isinstance(outcome, Cleared) and outcome.at == sent
    words = ["One", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    spoken = outcome.spoken.split()
    assert spoken == words[: len(spoken)]
    ends = [len(" ".join(words[: n + 1])) * 0.05 for n in range(len(words))]
    assert len(spoken) == sum(end + 0.05 <= sent + 1e-6 for end in ends), "a word counts when the next one begins"
    assert at.play(until=at.now + 5) == []
    assert at.speaker.idle


def test_clear_tells_first_what_was_sent_and_not_yet_told() -> None:
    """The sound of "you." had gone, and the place where it had been said was a tick away: the word was left out of what
    had been spoken, and the flush was never answered."""
    at = stage(word_timestamps=True)
    at.do(Text("Hello there, you."), Mark("end"), Flush())
    at.synthesize()
    total = at.speaker.sent + at.speaker.waiting
    told: list[SpeakOutcome] = []
    while at.speaker.sent < total:
        outcome = at.speaker.take(at.now)
        assert outcome is not None
        told.append(outcome)
    assert isinstance(told[-1], Speech)
    at.do(Clear())
    rest = list(iter(lambda: at.speaker.take(at.now), None))
    assert [type(outcome) for outcome in rest] == [Marked, SpeechDone, Cleared]
    assert rest[1:] == [SpeechDone(1, "Hello there, you.", 0.0, about(total)), Cleared("", about(total))]
    assert at.speaker.characters_said == len("Hello there, you.") and at.speaker.idle


def test_the_quiet_behind_an_utterance_counts_but_is_no_part_of_its_words() -> None:
    """An encoder adds some: what comes next is told where it is heard."""
    at = stage(word_timestamps=True)
    for number in (1, 2):
        at.do(Text("Hello."), Flush())
        job = at.speaker.next_job(at.now)
        assert job is not None
        at.speaker.parted(job, b"", 0.05)
        at.speaker.made(job, bytes(300), 0.3, [SpokenWord(0, 5, 0.0)])
        at.speaker.finished_job(job, bytes(100), 0.1)
        told = at.play(until=at.now + 5)
        word = next(one for one in told if isinstance(one, WordSpoken))
        begin = 0.4 * (number - 1)
        assert (word.start, word.end) == (about(begin), about(begin + 0.3))
        assert told[-1] == SpeechDone(number, "Hello.", about(begin), about(begin + 0.4))


def test_the_last_of_a_sound_is_before_what_is_told_behind_it() -> None:
    """A resampler gives its last millisecond when the clause is over: a mark at the end lies behind that."""
    at = stage()
    at.do(Text("Hello."), Mark("end"), Flush())
    job = at.speaker.next_job(at.now)
    assert job is not None
    at.speaker.made(job, bytes(300), 0.3)
    at.speaker.finished_job(job, bytes(2))
    told = at.play(until=at.now + 5)
    assert Marked("end", about(0.302)) in told
    assert told[-1] == SpeechDone(1, "Hello.", 0.0, about(0.302))


def test_after_clear_a_new_utterance_begins_clean() -> None:
    at = stage(word_timestamps=True)
    at.do(Text("The first one, which is long, and goes on. And on"))
    at.play(until=at.now + 0.2)
    at.do(Clear(), Text("New words."), Flush(), Stop())
    begun = at.speaker.sent
    fresh = at.play()
    assert isinstance(fresh[0], Cleared)
    done = fresh[-1]
    assert done == SpeechDone(2, "New words.", begun, about(begun + 0.5))
    word = next(one for one in fresh if isinstance(one, WordSpoken))
    assert word.offset == 49 and word.start == about(begun)
    assert at.jobs[-1].gap_s == 0.0


def test_sound_of_a_cleared_job_is_ignored() -> None:
    """The engine may be a moment late in hearing that it was cancelled."""
    at = stage()
    at.do(Text("Hello there."), Flush())
    job = at.speaker.next_job(at.now)
    assert job is not None and at.speaker.next_job(at.now) is None, "one at a time"
    at.do(Clear())
    at.speaker.parted(job, bytes(100), 0.1)
    at.speaker.made(job, bytes(100), 0.1)
    at.speaker.finished_job(job)
    assert at.speaker.take(at.now) == Cleared("", 0.0)
    assert at.speaker.take(at.now) is None and at.speaker.idle


def test_the_last_clause_is_told_before_its_utterance_is_done() -> None:
    """By one sum of floats the sound ended at 1.4000000000000001 s, by another at 1.4 s: the last word was late."""
    at = stage()
    for text in ("there. ", "Hello ", "Hello ", "there. "):
        at.do(Text(text))
        at.play(until=at.now)
    at.do(Stop())
    at.play()
    assert [one.spoken for one in at.told() if isinstance(one, SpeechDone)] == ["there. Hello Hello there."]


def test_each_flush_is_answered() -> None:
    at = stage()
    at.do(Flush(), Text("..."), Flush(), Text("Hi. "), Text(""), Flush(), Flush(), KeepAlive(), Stop())
    at.play()
    assert [(one.utterance, one.spoken) for one in at.told() if isinstance(one, SpeechDone)] == [
        (1, ""), (2, "..."), (3, "Hi."), (4, ""),
    ]  # fmt: skip
    assert at.speaker.finished


def test_stop_speaks_what_is_left() -> None:
    at = stage()
    at.do(Text("Good bye"), Stop())
    at.play()
    assert at.told() == [SpeechDone(1, "Good bye", 0.0, about(0.4))]
    silent = stage()
    silent.do(Stop())
    assert silent.speaker.finished and silent.speaker.take(0.0) is None


def test_an_engine_without_word_times_is_estimated() -> None:
    at = stage(words=False)
    at.do(Text("One two three four five six."), Flush())
    at.play(until=at.now)
    at.do(Clear())
    sent = at.speaker.sent
    outcome = at.speaker.take(at.now)
    assert isinstance(outcome, Cleared)
    assert outcome.spoken == "One two three four" and sent == about(1.02)


def test_not_more_is_made_than_may_be_ahead() -> None:
    at = stage(limits=SpeakerLimits(lead_s=0.2, ahead_s=2.0))
    at.do(Text("This is a sentence of some length. " * 20), Flush())
    at.synthesize()
    assert len(at.jobs) == 2, "1.7 s each"
    at.play()
    assert len(at.jobs) == 21 and at.seconds() == about(at.speaker.sent)


def test_hurry_keeps_no_pace() -> None:
    at = stage()
    at.do(Text("This is a sentence of some length. " * 3), Flush(), Stop())
    at.speaker.hurry()
    began = at.now
    at.play()
    assert at.now == began and at.speaker.finished


def test_pace_can_be_switched_off() -> None:
    at = stage(pace=False)
    at.do(Text("This is a sentence of some length. " * 3), Flush(), Stop())
    began = at.now
    at.play()
    assert at.now == began and at.speaker.finished


def test_unfinished_text_waits_unless_configured() -> None:
    waits = stage()
    waits.do(Text("Hello there"))
    assert waits.speaker.due(waits.now) is None and waits.play() == []
    speaks = stage(max_buffer_delay_ms=300)
    speaks.do(Text("Hello there"))
    assert speaks.speaker.due(speaks.now) == about(speaks.now + 0.3)
    speaks.speaker.tick(speaks.now + 0.2)
    assert not speaks.jobs
    speaks.play()
    assert [job.text for job in speaks.jobs] == ["Hello there"] and speaks.seconds() == about(0.55)
    assert speaks.told() == [], "the utterance goes on until it is flushed"
    speaks.do(Flush())
    assert [type(one) for one in speaks.play()] == [SpeechDone]


def test_too_much_waiting_text_is_refused() -> None:
    at = stage(limits=SpeakerLimits(waiting=100))
    at.do(Text("x" * 60))
    with pytest.raises(VoiceError) as caught:
        at.do(Text("y" * 50))
    assert caught.value.code is Code.TOO_FAST and caught.value.facts["allowed"] == 100
    for _ in range(40):
        at.do(Mark("m"))
    for event in (Mark("m"), Flush()):
        with pytest.raises(VoiceError):
            at.do(event)


def test_compressed_sound_is_counted_by_the_encoder() -> None:
    at = stage(bytes_per_second=0, limits=SpeakerLimits(lead_s=0.1))
    at.do(Text("One two. Three."), Flush(), Stop())
    at.play()
    done = at.sent[-1]
    assert done == SpeechDone(1, "One two. Three.", 0.0, about(0.4 + GAPS[Pause.SENTENCE] + 0.3))
    pieces = [one for one in at.sent if isinstance(one, Speech)]
    assert [round(one.at, 3) for one in pieces] == [0.0, 0.4, 0.6]


EVENTS = st.one_of(
    st.sampled_from(["Hello ", "there. ", "my fri", "end, ", "1.5 ", "好。", "... ", "\n", ""]).map(Text),
    st.just(Flush()),
    st.just(Clear()),
    st.sampled_from("abc").map(Mark),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 0.5)), max_size=40), st.booleans())
def test_whatever_comes_nothing_is_lost_or_doubled(events: list[tuple[SpeakEvent, float]], words: bool) -> None:
    """F5 for speech out: every flush answered, marks once, text that was not cleared spoken once and in order."""
    at = stage(words=words)
    written, flushes, marks = "", 0, 0
    for event, pause in events:
        at.do(event)
        if isinstance(event, Clear):
            at.play(until=at.now)
            written, flushes, marks = "", 0, 0
            at.sent.clear()
        elif isinstance(event, Text):
            written += event.delta
        elif isinstance(event, Flush):
            flushes += 1
        elif isinstance(event, Mark):
            marks += 1
        at.play(until=at.now + pause)
        at.now += pause
    open_at_end = at.speaker._open
    at.do(Stop())
    at.play()
    done = [one for one in at.sent if isinstance(one, SpeechDone)]
    assert len(done) == flushes + open_at_end
    assert [one.utterance for one in done] == sorted({one.utterance for one in done})
    assert "".join(one.spoken for one in done).split() == "".join(written).split() or "".join(
        "".join(one.spoken.split()) for one in done
    ) == "".join(written.split())
    assert len([one for one in at.sent if isinstance(one, Marked)]) == marks
    assert at.speaker.finished


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("abc .,!?\n好。5"), max_size=200), st.lists(st.integers(0, 200), max_size=20))
def test_any_split_of_the_text_gives_the_same_sound(text: str, cuts: list[int]) -> None:
    """F2 over the session machine."""
    whole, split = stage(word_timestamps=True), stage(word_timestamps=True)
    whole.do(Text(text), Flush(), Stop())
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for start, end in pairwise(places):
        split.do(Text(text[start:end]))
    split.do(Flush(), Stop())
    whole.play()
    split.play()
    assert split.sent == whole.sent
