from collections.abc import Iterable

import pytest

from protocol.effects import Effect, Emit, Finished, Forget, Kind, Recognize
from protocol.errors import Code, VoiceError
from protocol.events import Failed, Final, ListenConfig, Partial, SpeechStarted, SpeechStopped, Word
from protocol.recognition import Recognition
from protocol.recording import RATE, Recording
from protocol.requests import Decode, Hypothesis

CONFIG = ListenConfig(language="en")
SECOND = RATE
FAILURE = VoiceError(Code.ENGINE_FAILED, "broken")


class Stream:
    """A recognition over 60 s of audio whose first utterance begins at 1 s, with its speech at 1.5 s."""

    def __init__(self, config: ListenConfig = CONFIG, *, incremental: bool = False) -> None:
        self.config = config
        recording = Recording()
        for second in range(60):
            recording.append(bytes([second]) * 2 * SECOND)
        self.recognition = Recognition(recording, incremental=incremental, name="s")

    def begin(self, start: int = 1) -> list[Effect]:
        speech, own = start * SECOND + SECOND // 2, (start + 9) * SECOND
        return list(self.recognition.begin(self.config, start=start * SECOND, speech=speech, own=own))

    def look(self, end: float) -> list[Effect]:
        return list(self.recognition.look(int(end * SECOND), 1.0))

    def guess(self, end: int) -> list[Effect]:
        return list(self.recognition.guess(end * SECOND))

    def resume(self) -> list[Effect]:
        return list(self.recognition.resume())

    def close(self, end: int) -> list[Effect]:
        return list(self.recognition.close(end * SECOND - SECOND // 4, end * SECOND))

    def answer(self, ticket: int, text: str, language: str = "") -> list[Effect]:
        return list(self.recognition.answer(ticket, Hypothesis(text, language=language)))


def asked(effects: Iterable[Effect]) -> list[tuple[int, Kind]]:
    return [(effect.ticket, effect.kind) for effect in effects if isinstance(effect, Recognize)]


def finals(effects: Iterable[Effect]) -> list[Final]:
    return [effect.event for effect in effects if isinstance(effect, Emit) and isinstance(effect.event, Final)]


def test_a_decode_carries_the_audio_and_what_the_client_said_of_it() -> None:
    config = ListenConfig(language="vi", prompt="xin", keyterms=("phở",), word_timestamps=True)
    stream = Stream(config)
    stream.begin()
    pcm = b"\1" * 2 * SECOND + b"\2" * 2 * SECOND
    about = {"language": "vi", "prompt": "xin", "keyterms": ("phở",), "stream": "s/1"}
    assert stream.look(3) == [Recognize(1, Decode(pcm, final=False, **about), Kind.PARTIAL)]  # type: ignore[arg-type]
    (final,) = stream.guess(3)
    assert isinstance(final, Recognize)
    assert final == Recognize(2, Decode(pcm, word_timestamps=True, **about), Kind.SPECULATIVE)  # type: ignore[arg-type]


# -- partials ----------------------------------------------------------------------------------------


def test_partials_are_asked_for_at_intervals_of_audio() -> None:
    stream = Stream()
    stream.begin()
    assert [bool(stream.look(end)) for end in (2.0, 2.5, 3.0, 3.25, 3.5)] == [False, True, False, False, True]


def test_a_partial_says_what_is_new_and_what_is_settled() -> None:
    stream = Stream()
    stream.begin()
    for end in (3, 4, 5):
        stream.look(end)
    assert stream.answer(1, "one two") == [Emit(Partial("one two", 0, 1, 1.5, 3.0))]
    assert stream.answer(2, "one two") == [Emit(Partial("one two", 3, 1, 1.5, 4.0))]
    assert stream.answer(3, "one two") == []  # nothing new: nothing sent


def test_an_older_answer_than_the_one_shown_is_not_shown() -> None:
    stream = Stream()
    stream.begin()
    stream.look(3)
    stream.look(4)
    assert stream.answer(2, "one two") != []
    assert stream.answer(1, "one") == []


def test_silence_is_not_a_partial() -> None:
    stream = Stream()
    stream.begin()
    stream.look(3)
    assert stream.answer(1, "") == []


def test_an_engine_that_does_not_answer_is_asked_three_times_at_most() -> None:
    stream = Stream()
    stream.begin()
    assert [bool(stream.look(end)) for end in (3, 4, 5, 6)] == [True, True, True, False]
    assert list(stream.recognition.failed(2, FAILURE)) == []
    assert asked(stream.look(6)) == [(4, Kind.PARTIAL)]


def test_whoever_wants_no_partials_costs_none() -> None:
    stream = Stream(ListenConfig(interim_results=False))
    stream.begin()
    assert stream.look(5) == []
    stream.guess(6)
    assert stream.answer(1, "one two") == []
    assert finals(stream.close(6))[0].text == "one two"


def test_a_partial_about_audio_that_may_be_split_off_settles_nothing() -> None:
    stream = Stream()
    stream.begin()
    for end in (3, 10, 10.5, 11.5):
        stream.look(end)
    stream.answer(1, "one two three")
    assert stream.answer(2, "one two three") == [Emit(Partial("one two three", 7, 1, 1.5, 10.0))]
    assert stream.answer(3, "one two three four") == [Emit(Partial("one two three four", 7, 1, 1.5, 11.5))]


# -- guesses and finals --------------------------------------------------------------------------------


def test_a_guess_that_was_answered_is_the_final_at_once() -> None:
    stream = Stream()
    stream.begin()
    assert asked(stream.guess(4)) == [(1, Kind.SPECULATIVE)]
    assert stream.answer(1, "hello") == [Emit(Partial("hello", 0, 1, 1.5, 4.0))]
    assert stream.close(4) == [Emit(Final("hello", 1.5, 3.75, 1, "en"))]


def test_a_guess_under_way_is_the_final_when_it_comes() -> None:
    stream = Stream()
    stream.begin()
    stream.guess(4)
    assert stream.close(4) == []
    assert stream.answer(1, "hello") == [Emit(Final("hello", 1.5, 3.75, 1, "en"))]


def test_a_guess_is_forgotten_when_speech_goes_on() -> None:
    stream = Stream()
    stream.begin()
    stream.guess(4)
    assert stream.resume() == [Forget(1)]
    assert stream.answer(1, "too late") == []
    stream.guess(6)
    stream.answer(2, "hello")
    assert stream.resume() == []  # it was answered; there is nothing to forget, and it is not the final
    assert asked(stream.close(8)) == [(3, Kind.FINAL)]
    assert finals(stream.answer(3, "hello world"))[0].text == "hello world"


def test_a_guess_that_failed_is_asked_again_as_a_final() -> None:
    stream = Stream()
    stream.begin()
    stream.guess(4)
    assert list(stream.recognition.failed(1, FAILURE)) == []
    assert asked(stream.close(4)) == [(2, Kind.FINAL)]


def test_no_guess_for_an_incremental_engine() -> None:
    stream = Stream(incremental=True)
    stream.begin()
    assert stream.guess(4) == []
    assert stream.resume() == []
    assert asked(stream.close(4)) == [(1, Kind.FINAL)]


def test_partials_are_forgotten_when_their_utterance_ends() -> None:
    stream = Stream()
    stream.begin()
    stream.look(3)
    stream.look(4)
    assert stream.close(5)[:2] == [Forget(1), Forget(2)]
    assert stream.answer(2, "late") == []


def test_finals_come_in_order_whatever_order_the_answers_take() -> None:
    stream = Stream()
    for start in (1, 11, 21):
        stream.begin(start)
        stream.close(start + 4)
    assert stream.answer(3, "three") == []
    assert [final.text for final in finals(stream.answer(1, "one"))] == ["one"]
    assert [(final.text, final.utterance) for final in finals(stream.answer(2, "two"))] == [("two", 2), ("three", 3)]


def test_a_final_begins_with_what_was_settled() -> None:
    stream = Stream()
    stream.begin()
    for ticket, end in ((1, 3), (2, 4)):
        stream.look(end)
        stream.answer(ticket, "one two three")
    stream.close(5)
    assert finals(stream.answer(3, "one too three four"))[0].text == "one two three four"


def test_words_are_placed_in_the_stream() -> None:
    stream = Stream(ListenConfig(word_timestamps=True))
    stream.begin(11)
    stream.close(15)
    effects = list(stream.recognition.answer(1, Hypothesis("hi", (Word("hi", 0.5, 0.75, 0.9),), "fr")))
    assert effects == [Emit(Final("hi", 11.5, 14.75, 1, "fr", (Word("hi", 11.5, 11.75, 0.9),)))]


def test_no_word_begins_before_its_speech() -> None:
    stream = Stream(ListenConfig(word_timestamps=True))
    stream.begin(11)
    stream.close(15)
    words = (Word("hi", 0.0, 0.75, 0.9), Word("there", 0.75, 1.0, 0.9))
    told = finals(stream.recognition.answer(1, Hypothesis("hi there", words)))[0]
    assert [word.start for word in told.words] == [told.start, 11.75]


@pytest.mark.parametrize(("configured", "heard", "told"), [("auto", "de", "de"), ("auto", "", ""), ("en", "", "en")])
def test_the_language_is_the_one_heard_or_the_one_asked_for(configured: str, heard: str, told: str) -> None:
    stream = Stream(ListenConfig(language=configured))
    stream.begin()
    stream.close(5)
    assert finals(stream.answer(1, "ja", language=heard))[0].language == told


def test_speech_events_for_whoever_wants_them() -> None:
    stream = Stream(ListenConfig(events=True))
    assert stream.begin() == [Emit(SpeechStarted(1.5))]
    stream.guess(4)
    assert stream.close(4) == [Emit(SpeechStopped(3.75))]


def test_an_utterance_keeps_the_configuration_it_began_with() -> None:
    stream = Stream()
    stream.begin()
    stream.config = ListenConfig(language="vi", events=True)
    assert [type(effect) for effect in stream.close(5)] == [Recognize]
    assert finals(stream.answer(1, "hello"))[0].language == "en"


# -- the end -------------------------------------------------------------------------------------------


def test_an_empty_final_answers_where_nothing_is_under_way() -> None:
    stream = Stream()
    assert list(stream.recognition.nothing(CONFIG, 2 * SECOND)) == [Emit(Final("", 2.0, 2.0, 1, "en"))]
    stream.begin(11)
    stream.close(15)
    assert list(stream.recognition.nothing(CONFIG, 16 * SECOND)) == []
    assert finals(stream.answer(1, "hello"))[0].utterance == 2
    stream.begin(21)
    stream.close(25)
    assert finals(stream.answer(2, "there"))[0].utterance == 4, "the same number whenever the answer came"


def test_the_last_final_says_so_and_ends_it() -> None:
    stream = Stream()
    stream.begin()
    stream.close(5)
    assert list(stream.recognition.finish(CONFIG, 6 * SECOND)) == []
    assert stream.answer(1, "bye") == [Emit(Final("bye", 1.5, 4.75, 1, "en", last=True)), Finished()]
    assert stream.recognition.finished


def test_with_nothing_under_way_the_last_final_is_empty() -> None:
    stream = Stream()
    effects = list(stream.recognition.finish(CONFIG, 6 * SECOND))
    assert effects == [Emit(Final("", 6.0, 6.0, 1, "en", last=True)), Finished()]
    assert stream.recognition.finished


def test_a_final_that_fails_takes_the_session_with_it() -> None:
    stream = Stream()
    for start in (1, 11):
        stream.begin(start)
        stream.close(start + 4)
    assert list(stream.recognition.failed(1, FAILURE)) == [Emit(Failed(FAILURE)), Finished()]
    assert stream.recognition.finished
    assert stream.answer(2, "late") == []
    assert list(stream.recognition.failed(2, FAILURE)) == []
