"""What was understood of a recording as segments: sentence by sentence and speaker by speaker, with how sure it is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, fsum

from batch.pipelines.stretches import Stretch
from protocol import subtitles
from protocol.events import Word
from protocol.requests import Hypothesis
from protocol.turns import Turns, runs, speakers_of
from protocol.work import Segment, SegmentWord


@dataclass(frozen=True, slots=True)
class Said:
    """A stretch of speech with its words, its speaker (None: not known) and how likely the text is (None: unknown)."""

    segment: subtitles.Segment
    speaker: int | None
    confidence: float | None

    def kept(self, words: bool) -> Segment:
        """As a finished job shows it."""
        it = self.segment
        told = it.words if words and subtitles.words_known(it) else ()
        return Segment(
            start=it.start,
            end=it.end,
            text=it.text,
            speaker=self.speaker,
            confidence=self.confidence,
            words=tuple(
                SegmentWord(
                    word=word.text.strip(),
                    start=round(word.start, 3),
                    end=round(word.end, 3),
                    confidence=round(_share(word.probability), 3),
                )
                for word in told
            ),
        )


def segments(heard: Iterable[tuple[Stretch, Hypothesis]], turns: Turns | None = None) -> list[Said]:
    """Segments with times in the recording, in order; cut where a sentence ends, where the times of words are known.

    With ``turns`` they are cut where speakers change, too, and speakers are counted as they come up in the text.
    """
    said: list[Said] = []
    for stretch, hypothesis in heard:
        if hypothesis.text:
            whole = _placed(stretch, hypothesis)
            for one, speaker in _by_speaker(whole, turns):
                said += (Said(part, speaker, _sure(part, hypothesis)) for part in subtitles.sentences(one))
    return list(_counted(said))


def _placed(stretch: Stretch, hypothesis: Hypothesis) -> subtitles.Segment:
    words = tuple(
        Word(word.text, word.start + stretch.start, word.end + stretch.start, word.probability)
        for word in hypothesis.words
    )
    return subtitles.Segment(stretch.start, stretch.end, hypothesis.text, words)


def _by_speaker(whole: subtitles.Segment, turns: Turns | None) -> Iterator[tuple[subtitles.Segment, int | None]]:
    if turns is None:
        yield whole, None
    elif not subtitles.words_known(whole):
        yield whole, turns.speaker(whole.start, whole.end)
    else:
        for first, behind, speaker in runs(speakers_of(whole.words, turns)):
            yield subtitles.part(whole, whole.words[first:behind]), speaker


def _sure(part: subtitles.Segment, hypothesis: Hypothesis) -> float | None:
    """The mean of its words' probabilities; without words, that of a token of the whole."""
    if subtitles.words_known(part):
        return round(_share(fsum(word.probability for word in part.words) / len(part.words)), 3)
    likely = hypothesis.average_log_probability
    return round(_share(exp(likely)), 3) if likely < 0 else None


def _counted(said: Sequence[Said]) -> Iterator[Said]:
    numbers: dict[int, int] = {}
    for one in said:
        speaker = None if one.speaker is None else numbers.setdefault(one.speaker, len(numbers))
        yield Said(one.segment, speaker, one.confidence)


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)
