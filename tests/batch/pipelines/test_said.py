"""Segments of a transcript: cut at sentences and speakers, with the confidence the engine had and no other."""

from math import log

import pytest

from batch.pipelines.said import segments
from batch.pipelines.stretches import Stretch
from protocol.events import Word
from protocol.requests import Hypothesis
from protocol.turns import Turn, Turns


def hypothesis(*words: tuple[str, float, float, float], likely: float = 0.0) -> Hypothesis:
    return Hypothesis(" ".join(text for text, *_ in words), tuple(Word(*word) for word in words), "en", 1.0, likely)


TALK = hypothesis(
    ("Good", 0.3, 0.6, 0.9),
    ("day.", 0.6, 1.0, 0.7),
    ("Hello", 1.6, 2.0, 0.5),
    ("you.", 2.0, 2.4, 0.6),
    ("And", 3.0, 3.2, 1.0),
)


def test_sentences_have_their_times_in_the_recording_and_the_mean_of_their_words() -> None:
    said = segments([(Stretch(10.0, 14.0), TALK)])
    assert [(one.segment.text, one.speaker, one.confidence) for one in said] == [
        ("Good day.", None, 0.8),
        ("Hello you.", None, 0.55),
        ("And", None, 1.0),
    ]
    assert (said[1].segment.start, said[1].segment.end) == pytest.approx((11.6, 12.4))


def test_speakers_cut_segments_and_are_counted_as_they_come_up() -> None:
    turns = Turns([Turn(10.0, 11.2, 7), Turn(11.4, 12.6, 2), Turn(12.8, 14.0, 7)])
    said = segments([(Stretch(10.0, 14.0), TALK)], turns)
    assert [(one.segment.text, one.speaker) for one in said] == [("Good day.", 0), ("Hello you.", 1), ("And", 0)]


def test_words_are_kept_when_they_are_wanted() -> None:
    (first, *_) = segments([(Stretch(10.0, 14.0), TALK)])
    assert first.kept(False).words == ()
    (good, day) = first.kept(True).words
    assert (good.word, good.start, good.end, good.confidence) == ("Good", 10.3, 10.6, 0.9)
    assert (day.word, day.confidence) == ("day.", 0.7)


def test_without_times_of_words_a_stretch_is_whole_and_as_likely_as_its_text() -> None:
    turns = Turns([Turn(0.0, 1.0, 0), Turn(1.0, 4.0, 1)])
    plain = Hypothesis("Good day. Hello.", average_log_probability=log(0.5))
    (one,) = segments([(Stretch(0.0, 4.0), plain)], turns)
    assert (one.segment.text, one.speaker, one.confidence) == ("Good day. Hello.", 0, 0.5)
    assert one.kept(True).words == ()


def test_an_engine_that_does_not_say_how_sure_it_is_is_not_given_a_number() -> None:
    (one,) = segments([(Stretch(0.0, 4.0), Hypothesis("Good day."))])
    assert one.confidence is None
    assert segments([(Stretch(0.0, 4.0), Hypothesis(""))]) == []
