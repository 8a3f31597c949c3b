"""Turns of a whole recording out of voices that have no names beyond their window."""

import time
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from batch.pipelines.diarize import MOMENT_S, STEP_S, who_speaks, windows
from batch.pipelines.stretches import Stretch
from engines.diarization.shape import CENTRE, FRAMES, PRINT, RATE, VOICES, WINDOW, Voices
from protocol.turns import Turn
from tests.diarization.der import score

WINDOW_S = WINDOW / RATE


def talk(random: np.random.Generator, speakers: int, seconds: float) -> list[Turn]:
    """Turns one after the other, each of somebody else, with pauses."""
    turns: list[Turn] = []
    at = 0.3
    while at < seconds:
        others = [who for who in range(speakers) if not turns or who != turns[-1].speaker]
        end = min(at + random.uniform(2.0, 5.0), seconds)
        turns.append(Turn(at, end, int(random.choice(others or [0]))))
        at = end + random.uniform(0.1, 1.0)
    return [turn for turn in turns if turn.end - turn.start > 0.5]


def heard(turns: list[Turn], places: list[int], speakers: int, random: np.random.Generator) -> Voices:
    """What a perfect diarizer would answer: its voices are in any order in each window."""
    sounds = np.linalg.qr(random.normal(size=(PRINT, speakers)))[0].T
    active = np.zeros((len(places), FRAMES, VOICES), np.float32)
    pieces: list[tuple[int, int, int, int]] = []
    prints: list[np.ndarray] = []
    moments = CENTRE / RATE + np.arange(FRAMES) * MOMENT_S
    for index, place in enumerate(places):
        slots = random.permutation(VOICES).tolist()
        begin = place * STEP_S
        here = [turn for turn in turns if turn.start < begin + WINDOW_S and turn.end > begin]
        order = list(dict.fromkeys(turn.speaker for turn in here))
        for turn in here:
            spoken = np.flatnonzero((moments >= turn.start - begin) & (moments < turn.end - begin))
            if len(spoken):
                slot = slots[order.index(turn.speaker)]
                active[index, spoken, slot] = 1.0
                pieces.append((index, slot, int(spoken[0]), int(spoken[-1]) + 1))
                noisy = sounds[turn.speaker] + random.normal(size=PRINT) * 0.5 / np.sqrt(PRINT)
                prints.append(noisy / np.linalg.norm(noisy))
    table = np.array(pieces, np.int32).reshape(-1, 4)
    seconds = ((table[:, 3] - table[:, 2]) * MOMENT_S).astype(np.float32)
    return Voices(active, table, np.array(prints, np.float32).reshape(-1, PRINT), seconds)


@settings(deadline=None, max_examples=25)
@example(3, 12.0, 171)  # one of the three is heard for a second and no more
@given(st.integers(1, 3), st.floats(12.0, 90.0), st.integers(0, 10_000))
def test_what_a_perfect_ear_hears_becomes_the_turns_again(speakers: int, seconds: float, seed: int) -> None:
    """Of everybody who is heard for a second in all: of less nobody can tell whose it is."""
    random = np.random.default_rng(seed)
    turns = talk(random, speakers, seconds)
    told = [sum(turn.end - turn.start for turn in turns if turn.speaker == who) for who in range(speakers)]
    assume(all(said >= 1.0 for said in told if said))
    places = windows(seconds, [Stretch(0.0, seconds)])
    found = who_speaks(places, heard(turns, places, speakers, random), 0)
    assert score(turns, found).rate < 0.02
    assert [turn.start for turn in found] == sorted(turn.start for turn in found)
    firsts = list(dict.fromkeys(turn.speaker for turn in found))
    assert firsts == list(range(len(firsts)))


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0.1, 25.0)), min_size=1, max_size=8), st.floats(0.0, 20.0))
def test_every_moment_of_speech_is_in_a_window(spans: list[tuple[float, float]], rest: float) -> None:
    found = [Stretch(start, start + length) for start, length in sorted(spans)]
    seconds = max(stretch.end for stretch in found) + rest
    places = windows(seconds, found)
    assert places == sorted(set(places)) and places[0] >= 0
    for stretch in found:
        for at in (stretch.start, (stretch.start + stretch.end) / 2, stretch.end - 1e-6):
            assert any(place * STEP_S <= at < place * STEP_S + WINDOW_S for place in places)
    for place in places:
        assert any(it.start < place * STEP_S + WINDOW_S and it.end >= place * STEP_S for it in found)


def test_silence_between_is_not_looked_at() -> None:
    places = windows(3600.0, [Stretch(10.0, 12.0), Stretch(3000.0, 3001.0)])
    assert len(places) <= 6
    assert any(after - before > 500 for before, after in pairwise(places))


def test_two_at_once_are_both_heard() -> None:
    turns = [Turn(0.5, 6.0, 0), Turn(4.0, 9.5, 1)]
    found = who_speaks([0], heard(turns, [0], 2, np.random.default_rng(1)), 2)
    assert score(turns, found).rate < 0.02


def test_where_nobody_is_heard_nobody_speaks() -> None:
    active, none = np.zeros((2, FRAMES, VOICES), np.float32), np.zeros((0, 4), np.int32)
    nothing = Voices(active, none, np.zeros((0, PRINT), np.float32), np.zeros(0, np.float32))
    assert who_speaks([0, 1], nothing, 2) == []


def test_two_who_pass_for_one_voice_in_a_window_are_still_two() -> None:
    turns = [Turn(0.5, 3.0, 0), Turn(3.3, 6.0, 1), Turn(6.3, 9.5, 0)]
    voices = heard(turns, [0], 2, np.random.default_rng(1))
    voices.active[0, :, 0] = voices.active[0].max(axis=1)
    voices.active[0, :, 1:] = 0.0
    voices.pieces[:, 1] = 0
    assert score(turns, who_speaks([0], voices, 2)).rate < 0.02


def test_two_who_pass_for_one_voice_without_a_pause_are_still_two() -> None:
    turns = [Turn(0.5, 2.5, 0), Turn(2.5, 4.5, 1), Turn(5.0, 7.0, 0), Turn(7.4, 9.5, 1)]
    voices = heard(turns, [0], 2, np.random.default_rng(1))
    voices.active[0, :, 0] = voices.active[0].max(axis=1)
    voices.active[0, :, 1:] = 0.0
    voices.pieces[:, 1] = 0
    voices.pieces[1, 2] = voices.pieces[0, 3]
    assert score(turns, who_speaks([0], voices, 2)).rate < 0.02


def test_a_piece_too_short_to_tell_goes_with_its_voice() -> None:
    turns = [Turn(0.5, 4.0, 0), Turn(4.3, 4.9, 0), Turn(6.0, 9.5, 1)]
    voices = heard(turns, [0], 2, np.random.default_rng(1))
    prints = voices.prints.copy()
    prints[1] = prints[2]  # it sounds like the other one
    assert score(turns, who_speaks([0], replace(voices, prints=prints), 0)).rate < 0.02


def test_as_many_speakers_as_were_said() -> None:
    random = np.random.default_rng(4)
    turns = talk(random, 3, 60.0)
    places = windows(60.0, [Stretch(0.0, 60.0)])
    voices = heard(turns, places, 3, random)
    assert len({turn.speaker for turn in who_speaks(places, voices, 2)}) == 2
    assert len({turn.speaker for turn in who_speaks(places, voices, 3)}) == 3


@pytest.mark.nightly
def test_hours_take_little_time_and_memory() -> None:
    random = np.random.default_rng(2)
    turns = talk(random, 3, 4 * 3600.0)
    places = windows(4 * 3600.0, [Stretch(0.0, 4 * 3600.0)])
    voices = heard(turns, places, 3, random)
    tracemalloc.start()
    begun = time.process_time()
    found = who_speaks(places, voices, 0)
    took, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert score(turns, found).rate < 0.02
    assert took < 60 and peak < 300 << 20
