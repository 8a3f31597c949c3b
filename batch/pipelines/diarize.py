"""Who speaks when in a recording.

Windows of ten seconds that overlap by half are heard by the diarizer: it tells the voices within each apart, and how
each of them sounds. Voices that sound alike are the same speaker, whatever window they are in (``clustering``). Then
every moment has as many speakers as the windows over it heard at once, mostly one, and those that spoke most.

What is kept of a window is small (2 KB a second), and it is only looked at where there is speech.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from batch.pipelines.clustering import Clusters, cluster
from batch.pipelines.listening import Recording
from batch.pipelines.patience import patiently
from batch.pipelines.stretches import Stretch
from engines.diarization.shape import CENTRE, FRAMES, HOP, RATE, VOICES, WINDOW, Voices
from engines.host import EngineHost
from protocol.turns import Turn

STEP = FRAMES // 2 + 1  # moments from one window to the next
MOMENT_S = HOP / RATE
STEP_S = STEP * MOMENT_S
_AT_ONCE = 4  # windows in a call: no more than a second or two of work
_CLEAR_S = 1.5  # prints of less only follow the others
_SPEAKS = 0.5
_GAP_S = 0.5  # a speaker's pause that is still the same turn
_SHORTEST_S = 0.25  # a shorter turn is a cough, or a mistake

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]


async def turns(
    recording: Recording, found: Sequence[Stretch], host: EngineHost, speakers: int, tell: Callable[[float], None]
) -> list[Turn]:
    """Who speaks when, speakers counted from 0 as they first speak; ``speakers`` is how many there are, 0: find out.

    ``found`` is where speech is; ``tell`` hears the share that is done.
    """
    places = windows(recording.seconds, found)
    heard: list[Voices] = []
    for first in range(0, len(places), _AT_ONCE):
        some = places[first : first + _AT_ONCE]
        pcm = await asyncio.to_thread(_sound, recording, some)
        heard.append(await patiently(host.voices, pcm, len(some)))
        tell((first + len(some)) / len(places))
    if not heard:
        return []
    return await asyncio.to_thread(who_speaks, places, _joined(heard), speakers)


def windows(seconds: float, found: Sequence[Stretch]) -> list[int]:
    """The windows to hear, as multiples of ``STEP_S``: those with speech in them, two over every moment of it."""
    length = WINDOW / RATE
    chosen: set[int] = set()
    for stretch in found:
        first = int((stretch.start - length) // STEP_S) + 1
        chosen.update(range(max(first, 0), int(min(stretch.end, seconds) // STEP_S) + 1))
    return sorted(place for place in chosen if place == 0 or place * STEP_S + length / 2 < seconds)


def who_speaks(places: Sequence[int], voices: Voices, speakers: int) -> list[Turn]:
    """The turns that the voices of windows at some places add up to."""
    clear = voices.heard >= _CLEAR_S
    if not clear.any():
        clear = voices.heard > 0
    if not clear.any():
        return []
    clusters = cluster(voices.prints[clear], voices.heard[clear], speakers)
    return _numbered(_turns(places, voices, _whose(voices, clusters), len(clusters.centres)))


def _sound(recording: Recording, places: Sequence[int]) -> bytes:
    rows = [recording.read(place * STEP * HOP, WINDOW).astype("<i2") for place in places]
    return b"".join(row.tobytes() for row in rows)


def _joined(parts: Sequence[Voices]) -> Voices:
    return Voices(
        np.concatenate([part.active for part in parts]),
        np.concatenate([part.prints for part in parts]),
        np.concatenate([part.heard for part in parts]),
    )


def _whose(voices: Voices, clusters: Clusters) -> Numbers:
    """Which speaker each voice of each window is; -1 for one of which nothing was heard."""
    flat = voices.prints.reshape(-1, voices.prints.shape[-1])
    whose = clusters.nearest(flat).reshape(voices.heard.shape)
    whose[voices.heard <= 0] = -1
    return whose


def _turns(places: Sequence[int], voices: Voices, whose: Numbers, many: int) -> list[Turn]:
    """Stretch by stretch of windows that overlap, so that what is silent takes no memory."""
    found: list[Turn] = []
    begin = 0
    for index in range(1, len(places) + 1):
        if index == len(places) or (places[index] - places[index - 1]) * STEP >= FRAMES:
            some = [place - places[begin] for place in places[begin:index]]
            speaks = _activity(some, voices.active[begin:index], whose[begin:index], many)
            found += _spoken(speaks, places[begin] * STEP_S)
            begin = index
    return found


def _activity(places: Sequence[int], active: Floats, whose: Numbers, many: int) -> Flags:
    """Who speaks at each moment: moments x speakers."""
    moments = places[-1] * STEP + FRAMES
    total, at_once, weights = np.zeros((moments, many)), np.zeros(moments), np.zeros(moments)
    weight = np.hamming(FRAMES)  # the middle of a window is heard with more around it than its ends
    for place, likely, speakers in zip(places, active, whose, strict=True):
        span = slice(place * STEP, place * STEP + FRAMES)
        weights[span] += weight
        at_once[span] += weight * (likely[:, speakers >= 0] >= _SPEAKS).sum(axis=1)
        for voice in range(VOICES):
            if speakers[voice] >= 0:
                total[span, speakers[voice]] += weight * likely[:, voice]
    rank = np.argsort(np.argsort(-total, axis=1, kind="stable"), axis=1)
    speaks: Flags = (rank < np.rint(at_once / weights)[:, None]) & (total > 0)
    return speaks


def _spoken(speaks: Flags, begin_s: float) -> list[Turn]:
    """Moments as turns: short pauses closed, what is too short left out."""
    begin_s += (CENTRE - HOP / 2) / RATE
    found: list[Turn] = []
    for speaker in range(speaks.shape[1]):
        edges = np.flatnonzero(np.diff(speaks[:, speaker].astype(np.int8), prepend=0, append=0))
        spans: list[tuple[int, int]] = []
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if spans and (start - spans[-1][1]) * MOMENT_S < _GAP_S and not speaks[spans[-1][1] : start].any():
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        found += [
            Turn(begin_s + start * MOMENT_S, begin_s + end * MOMENT_S, speaker)
            for start, end in spans
            if (end - start) * MOMENT_S >= _SHORTEST_S
        ]
    return found


def _numbered(found: Sequence[Turn]) -> list[Turn]:
    """In order, and the speakers counted in the order they first speak."""
    ordered = sorted(found, key=lambda turn: (turn.start, turn.end, turn.speaker))
    numbers: dict[int, int] = {}
    for turn in ordered:
        numbers.setdefault(turn.speaker, len(numbers))
    return [Turn(turn.start, turn.end, numbers[turn.speaker]) for turn in ordered]
