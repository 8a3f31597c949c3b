"""Who speaks when in a recording.

Windows of ten seconds that overlap by half are heard by the diarizer: it tells the voices within each apart, and how
each of them sounds, piece by piece. What sounds alike from pause to pause is the same speaker's, whatever window it is
in (``clustering``); a piece of it that clearly sounds like another is that one's. Then every moment has as many
speakers as the windows over it heard at once, mostly one, and those that spoke most.

What is kept of a recording is small (3 KB a second), and it is only looked at where there is speech.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from batch.pipelines.clustering import Clusters, cluster
from batch.pipelines.listening import Recording
from batch.pipelines.patience import patiently
from batch.pipelines.stretches import Stretch
from engines.diarization.shape import CENTRE, FRAMES, HOP, PRINT, RATE, VOICES, WINDOW, Voices
from engines.host import EngineHost
from protocol.turns import Turn

STEP = FRAMES // 2 + 1  # moments from one window to the next
MOMENT_S = HOP / RATE
STEP_S = STEP * MOMENT_S
_AT_ONCE = 4  # windows in a call: no more than a second or two of work
_RANKED = 1 << 15  # moments whose speakers are compared at a time
_CLEAR_S = 1.0  # prints of less only follow the others
_CLEARLY = 0.25  # how much more alike a piece must be to somebody else than to whom it was taken for
_SPEAKS = 0.5
_GAP_S = 0.5  # a speaker's pause that is still the same turn
_SHORTEST_S = 0.25  # a shorter turn is a cough, or a mistake

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]

_NOBODY = Voices(
    np.zeros((0, FRAMES, VOICES), np.float32),
    np.zeros((0, 4), np.int32),
    np.zeros((0, PRINT), np.float32),
    np.zeros(0, np.float32),
)


async def turns(
    recording: Recording, found: Sequence[Stretch], host: EngineHost, speakers: int, tell: Callable[[float], None]
) -> list[Turn]:
    """Who speaks when, speakers counted from 0 as they first speak; ``speakers`` is how many there are, 0: find out.

    ``found`` is where speech is; ``tell`` hears the share that is done.
    """
    places, voices = await listen(recording, found, host, tell)
    return await asyncio.to_thread(who_speaks, places, voices, speakers) if places else []


async def listen(
    recording: Recording, found: Sequence[Stretch], host: EngineHost, tell: Callable[[float], None]
) -> tuple[list[int], Voices]:
    """The windows of a recording and the voices in them."""
    places = windows(recording.seconds, found)
    heard: list[Voices] = []
    for first in range(0, len(places), _AT_ONCE):
        some = places[first : first + _AT_ONCE]
        pcm = await asyncio.to_thread(_sound, recording, some)
        heard.append(await patiently(host.voices, pcm, len(some)))
        tell((first + len(some)) / len(places))
    return places, _joined(heard)


def windows(seconds: float, found: Sequence[Stretch]) -> list[int]:
    """The windows to hear, as multiples of ``STEP_S``: those with speech in them, two over every moment of it."""
    length = WINDOW / RATE
    chosen: set[int] = set()
    for stretch in found:
        first = int((stretch.start - length) // STEP_S) + 1
        chosen.update(range(max(first, 0), int(min(stretch.end, seconds) // STEP_S) + 1))
    return sorted(place for place in chosen if place == 0 or place * STEP_S + length / 2 < seconds)


def who_speaks(places: Sequence[int], voices: Voices, speakers: int) -> list[Turn]:
    """The turns that the pieces of speech in windows at some places add up to."""
    unbroken = _unbroken(voices.pieces)
    whole = _whole(voices, unbroken)
    clear = whole.heard >= _CLEAR_S
    if not clear.any():
        clear = whole.heard > 0
    if not clear.any():
        return []
    clusters = cluster(whole.prints[clear], whole.heard[clear], speakers)
    whose = _corrected(voices, clusters, _whose(whole, clusters, clear)[unbroken])
    return _numbered(_turns(places, voices, whose, len(clusters.centres)))


def _sound(recording: Recording, places: Sequence[int]) -> bytes:
    rows = [recording.read(place * STEP * HOP, WINDOW).astype("<i2") for place in places]
    return b"".join(row.tobytes() for row in rows)


def _joined(parts: Sequence[Voices]) -> Voices:
    """The answers about some windows after the other as one."""
    if not parts:
        return _NOBODY
    before = np.cumsum([0, *(len(part.active) for part in parts[:-1])])
    pieces = [part.pieces + np.array([first, 0, 0, 0], np.int32) for part, first in zip(parts, before, strict=True)]
    return Voices(
        np.concatenate([part.active for part in parts]),
        np.concatenate(pieces),
        np.concatenate([part.prints for part in parts]),
        np.concatenate([part.heard for part in parts]),
    )


def _unbroken(pieces: npt.NDArray[np.int32]) -> Numbers:
    """Which pieces follow each other without a pause: for each the number of the whole it is of."""
    if not len(pieces):
        return np.zeros(0, np.intp)
    before, after = pieces[:-1], pieces[1:]
    goes_on = (before[:, :2] == after[:, :2]).all(axis=1) & (before[:, 3] == after[:, 2])
    return np.concatenate([[0], np.cumsum(~goes_on)]).astype(np.intp)


def _whole(voices: Voices, unbroken: Numbers) -> Voices:
    """The same voices with the pieces that follow each other as one: its print says more."""
    firsts = np.flatnonzero(np.diff(unbroken, prepend=-1))
    lasts = np.flatnonzero(np.diff(unbroken, append=-1))
    pieces = voices.pieces[firsts].copy()
    pieces[:, 3] = voices.pieces[lasts, 3]
    prints = np.zeros((len(firsts), voices.prints.shape[1]), np.float32)
    heard = np.zeros(len(firsts), np.float32)
    np.add.at(prints, unbroken, voices.prints * voices.heard[:, None])
    np.add.at(heard, unbroken, voices.heard)
    prints /= np.maximum(np.linalg.norm(prints, axis=1, keepdims=True), np.float32(1e-9))
    return Voices(voices.active, pieces, prints, heard)


def _corrected(voices: Voices, clusters: Clusters, whose: Numbers) -> Numbers:
    """A piece that clearly sounds like another speaker than its whole is that one's: two may pass for one voice."""
    alike = voices.prints @ clusters.centres.T
    best = alike.argmax(axis=1)
    rows = np.arange(len(best))
    clearly = alike[rows, best] - alike[rows, whose] >= _CLEARLY
    corrected: Numbers = np.where(clearly & (voices.heard >= _CLEAR_S) & (whose >= 0), best, whose)
    return corrected


def _whose(voices: Voices, clusters: Clusters, clear: Flags) -> Numbers:
    """Which speaker each piece is of; -1 for one that cannot be told.

    Where too little of a piece was heard, whoever its voice is nearby in the window says more than its print.
    """
    whose = np.where(voices.heard > 0, clusters.nearest(voices.prints), -1)
    told: dict[tuple[int, int], list[int]] = {}
    for index in np.flatnonzero(clear).tolist():
        told.setdefault((int(voices.pieces[index, 0]), int(voices.pieces[index, 1])), []).append(index)
    for index in np.flatnonzero(~clear).tolist():
        window, voice, first, behind = voices.pieces[index].tolist()
        others = told.get((window, voice))
        if others:
            gaps = [max(voices.pieces[one, 2] - behind, first - voices.pieces[one, 3]) for one in others]
            whose[index] = whose[others[int(np.argmin(gaps))]]
    return whose


def _turns(places: Sequence[int], voices: Voices, whose: Numbers, many: int) -> list[Turn]:
    """Stretch by stretch of windows that overlap, so that what is silent takes no memory."""
    found: list[Turn] = []
    begin = 0
    for index in range(1, len(places) + 1):
        if index == len(places) or (places[index] - places[index - 1]) * STEP >= FRAMES:
            here = (voices.pieces[:, 0] >= begin) & (voices.pieces[:, 0] < index) & (whose >= 0)
            speaks = _activity(places, slice(begin, index), voices, np.flatnonzero(here), whose, many)
            found += _spoken(speaks, places[begin] * STEP_S)
            begin = index
    return found


def _activity(places: Sequence[int], part: slice, voices: Voices, here: Numbers, whose: Numbers, many: int) -> Flags:
    """Who speaks at each moment of some windows, which have these pieces: moments x speakers."""
    origin = places[part.start]
    moments = (places[part.stop - 1] - origin) * STEP + FRAMES
    total = np.zeros((moments, many), np.float32)
    at_once, weights = np.zeros(moments), np.zeros(moments)
    weight = np.hamming(FRAMES)  # the middle of a window is heard with more around it than its ends
    for place in places[part]:
        weights[(place - origin) * STEP :][:FRAMES] += weight
    for index in here.tolist():
        window, voice, first, behind = voices.pieces[index].tolist()
        likely = voices.active[window, first:behind, voice]
        at = (places[window] - origin) * STEP
        total[at + first : at + behind, whose[index]] += weight[first:behind] * likely
        at_once[at + first : at + behind] += weight[first:behind] * (likely >= _SPEAKS)
    count = np.rint(at_once / weights)[:, None]
    speaks = np.empty((moments, many), bool)
    for first in range(0, moments, _RANKED):
        some = total[first : first + _RANKED]
        rank = np.argsort(np.argsort(-some, axis=1, kind="stable"), axis=1)
        speaks[first : first + _RANKED] = (rank < count[first : first + _RANKED]) & (some > 0)
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
