"""A job's outcome, written as subtitles."""

from protocol.subtitles import SubtitleFormat, render
from protocol.transcripts import speaker_name, transcript_of
from protocol.work import Outcome, Segment, SegmentWord

WORDS = (
    SegmentWord(word="Good", start=0.5, end=0.8, confidence=0.9),
    SegmentWord(word="day.", start=0.8, end=1.2, confidence=0.8),
)
OUTCOME = Outcome(
    text="Good day. Hello.",
    language="en",
    seconds=3.0,
    segments=(
        Segment(start=0.5, end=1.2, text="Good day.", speaker=0, confidence=0.85, words=WORDS),
        Segment(start=2.0, end=3.0, text="Hello.", speaker=1),
    ),
    speakers=2,
)


def test_an_outcome_is_a_transcript_with_names_and_words() -> None:
    it = transcript_of(OUTCOME)
    assert (it.text, it.language, it.duration) == ("Good day. Hello.", "en", 3.0)
    assert [segment.speaker for segment in it.segments] == ["Speaker 1", "Speaker 2"]
    assert [(word.text, word.probability) for word in it.segments[0].words] == [("Good", 0.9), ("day.", 0.8)]
    assert render(it, SubtitleFormat.TXT) == "Speaker 1: Good day.\nSpeaker 2: Hello.\n"


def test_without_speakers_nobody_is_named() -> None:
    assert speaker_name(None) == ""
    plain = transcript_of(OUTCOME.model_copy(update={"segments": (Segment(start=0, end=1, text="Hi."),)}))
    assert render(plain, SubtitleFormat.TXT) == "Hi.\n"


def test_one_who_speaks_alone_is_not_named() -> None:
    alone = OUTCOME.model_copy(update={"segments": OUTCOME.segments[:1], "speakers": 1})
    assert render(transcript_of(alone), SubtitleFormat.TXT) == "Good day.\n"
