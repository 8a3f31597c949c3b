"""Where a recording is cut: stretches of speech that an engine can take in one piece, with some context around them.

Pure: probabilities of speech in, times out. Engines hear a whole utterance better than its parts, and several close
ones better than each alone, but no more than ``LONGEST_S``; and cutting within a word costs that word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

LONGEST_S = 25.0  # Whisper's window is 30 s, and trimming needs a margin behind the last word
WINDOW_S = 0.032  # of one probability
_HYSTERESIS = 0.15  # speech ends this much below the threshold at which it begins
_SHORTEST_S = 0.1  # any shorter is a click
_SILENCE_S = 0.3  # what is quiet for less is still the same utterance
_TOGETHER_S = 1.0  # utterances with less between them are heard together
_PAD_S = 0.3  # around speech: its first and last sounds are often taken for silence
_CUT_FROM = 0.6  # a stretch that is too long is cut in its last part, where speech is least likely


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some of a recording, in seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


def stretches(probabilities: Sequence[float], seconds: float, threshold: float = 0.5) -> list[Stretch]:
    """The speech of a recording of ``seconds``, in order, none longer than ``LONGEST_S`` and none overlapping."""
    spoken = [part for whole in _utterances(probabilities, threshold) for part in _parts(whole, probabilities)]
    together = list(_together(spoken))
    room = [_PAD_S, *(min(_PAD_S, (after.start - before.end) / 2) for before, after in pairwise(together)), _PAD_S]
    return [
        Stretch(max(0.0, it.start - room[index]), min(seconds, it.end + room[index + 1]))
        for index, it in enumerate(together)
    ]


def _utterances(probabilities: Sequence[float], threshold: float) -> Iterator[Stretch]:
    """From where speech is likely to where it has been unlikely for a while."""
    low, patience = max(threshold - _HYSTERESIS, 0.01), round(_SILENCE_S / WINDOW_S)
    begun, last = -1, 0
    for index, probability in enumerate([*probabilities, *[0.0] * (patience + 1)]):
        if begun < 0 and probability >= threshold:
            begun = last = index
        elif begun >= 0 and probability >= low:
            last = index
        elif begun >= 0 and index - last > patience:
            whole = Stretch(begun * WINDOW_S, (last + 1) * WINDOW_S)
            if whole.seconds >= _SHORTEST_S:
                yield whole
            begun = -1


def _parts(whole: Stretch, probabilities: Sequence[float]) -> Iterator[Stretch]:
    """A stretch with its padding in pieces that are short enough."""
    most = LONGEST_S - 2 * _PAD_S
    while whole.seconds > most:
        first = round((whole.start + _CUT_FROM * most) / WINDOW_S)
        last = round((whole.start + most) / WINDOW_S)
        cut = min(range(first, last), key=lambda index: (probabilities[index], -index)) * WINDOW_S
        yield Stretch(whole.start, cut)
        whole = Stretch(cut, whole.end)
    yield whole


def _together(parts: Sequence[Stretch]) -> Iterator[Stretch]:
    """Neighbours joined as long as the whole is short enough."""
    held: Stretch | None = None
    for part in parts:
        if held is not None and part.start - held.end < _TOGETHER_S and part.end - held.start <= LONGEST_S - 2 * _PAD_S:
            held = Stretch(held.start, part.end)
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held
