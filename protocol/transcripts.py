"""A finished job's words as a transcript that ``protocol.subtitles`` can write in any of its formats."""

from protocol.events import Word
from protocol.subtitles import Segment, Transcript
from protocol.work import Outcome


def speaker_name(speaker: int | None) -> str:
    """What a speaker is called in what people read (C6)."""
    return "" if speaker is None else f"Speaker {speaker + 1}"


def transcript_of(outcome: Outcome) -> Transcript:
    """With who speaks where there are several, and the words' times where they were kept."""
    several = outcome.speakers > 1
    segments = (
        Segment(
            one.start,
            one.end,
            one.text,
            tuple(Word(word.word, word.start, word.end, word.confidence) for word in one.words),
            speaker_name(one.speaker if several else None),
        )
        for one in outcome.segments
    )
    return Transcript(tuple(segments), outcome.language, outcome.seconds)
