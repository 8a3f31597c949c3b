"""What makes a call of the detector: which windows, and where they lie."""

import random
from dataclasses import dataclass

import numpy as np
import pytest

from engines.vad import gathering
from engines.vad.gathering import SETTLED, Share
from engines.vad.lane import WINDOW
from engines.vad.silero import factory
from loadtest.recordings import recordings
from protocol.effects import Detect, Effect, Emit, Kind, Recognize
from protocol.events import ListenConfig, ListenOutcome, Partial, VadOptions
from protocol.listener import Listener
from protocol.requests import Hypothesis


@pytest.mark.parametrize(
    ("due", "ready", "expected"),
    [
        ([], [3, 3], 0),  # those that are due had nothing to be judged
        ([1], [1], 1),
        ([1], [1, 2, 2], 2),
        ([4], [4, 3, 3, 4], 4),
        ([4, 1], [4, 1, 4], 2),  # the lane that has little is due as well: it must be in
        ([9], [9, 1], 5),  # one that is far behind takes what there is place for
        ([2], [2, 5, 5, 5], 3),
    ],
)
def test_a_call_has_every_lane_that_is_due_and_as_much_as_fits(due: list[int], ready: list[int], expected: int) -> None:
    assert gathering.depth(due, ready, 5) == expected


def test_settled_silence_is_spared_up_to_the_first_sound() -> None:
    share = gathering.share(7, 0, [True, True, False, True], SETTLED)
    assert (share.spared, share.judged, share.quiet) == (2, 2, 1)


def test_what_can_be_spared_after_a_judged_window_waits_for_the_next_call() -> None:
    share = gathering.share(7, 0, [True, True, True], SETTLED - 1)
    assert (share.spared, share.judged, share.quiet) == (0, 1, SETTLED)


def test_a_lane_with_too_little_is_left_out_but_for_what_is_spared() -> None:
    share = gathering.share(7, 0, [True, False], SETTLED)
    reduced = gathering.reduce_to(share, 4, [True, False], SETTLED)
    assert (reduced.spared, reduced.judged, reduced.quiet) == (1, 0, SETTLED)


def test_windows_lie_round_by_round_each_after_its_context() -> None:
    samples = (np.arange(5 * 512) % 30_000).astype(np.int16).reshape(5, 512)
    shares = [Share(3, 1, 1, 2, 0), Share(0, 0, 0, 1, 0)]  # rows 2 and 3 of one lane, row 0 of the other
    before = np.full((2, gathering.CONTEXT), 0.5, np.float32)
    asked = gathering.question(samples, shares, before)
    scaled = samples.astype(np.float32) / 32768
    np.testing.assert_array_equal(asked[:, gathering.CONTEXT :], scaled[[2, 0, 3]])
    np.testing.assert_array_equal(asked[0, : gathering.CONTEXT], scaled[1, -gathering.CONTEXT :])
    np.testing.assert_array_equal(asked[1, : gathering.CONTEXT], before[1])
    np.testing.assert_array_equal(asked[2, : gathering.CONTEXT], scaled[2, -gathering.CONTEXT :])
    np.testing.assert_array_equal(gathering.contexts(samples, shares), scaled[[3, 0], -gathering.CONTEXT :])
    assert gathering.answers([0.1, 0.2, 0.3], shares) == [[0.1, 0.3], [0.2]]


@dataclass(frozen=True, slots=True)
class Timed:
    """What a listener decided, by the number of windows that had come in by then."""

    told: list[tuple[int, ListenOutcome]]
    decodes: list[tuple[int, Kind, bytes]]


def listened(
    given: list[float], pcm: bytes, config: ListenConfig, *, gather: int, wakes: random.Random | None
) -> Timed:
    """Play a recording whose windows are judged as they come, or as late as the listener's patience allows.

    ``wakes`` judges what waits at other moments, too, as other lanes' needs do.
    """
    listener = Listener(config, partial_interval_s=0.5, name="s")
    timed, judged, come = Timed([], []), 0, 0

    def perform(effects: list[Effect]) -> None:
        nonlocal come
        for effect in effects:
            match effect:
                case Detect():
                    come += 1
                case Emit(event):
                    if not isinstance(event, Partial):
                        timed.told.append((come, event))
                case Recognize(ticket, decode, kind):
                    timed.decodes.append((come, kind, decode.pcm))
                    perform(listener.answer(ticket, Hypothesis(f"{len(decode.pcm)}")))
                case _:
                    pass

    for at in range(0, len(pcm) - 2 * WINDOW + 1, 2 * WINDOW):
        perform(listener.feed(pcm[at : at + 2 * WINDOW]))
        if come - judged >= min(listener.patience, gather) or (wakes is not None and wakes.random() < 0.1):
            while judged < come:
                perform(listener.probability(given[judged]))
                judged += 1
    return timed


def firsts(timed: Timed) -> list[int]:
    """When the first partial of each utterance was asked for."""
    found, fresh = [], True
    for when, kind, _ in timed.decodes:
        if kind is Kind.PARTIAL and fresh:
            found.append(when)
        fresh = kind is not Kind.PARTIAL
    return found


@pytest.mark.parametrize("interim", [False, True])
@pytest.mark.parametrize("silence_ms", [200, 500])
def test_gathering_moves_no_decision(silence_ms: int, interim: bool) -> None:
    """Beginnings, ends, finals and the decodes ahead of them come in the same moment; a partial a window later."""
    vad = factory({})
    config = ListenConfig(
        language="en", interim_results=interim, events=True, vad=VadOptions(min_silence_ms=silence_ms)
    )
    for recording in recordings(3):
        given, state, context = [], bytes(1024), np.zeros(64, np.float32)
        for window in gathering.rows([recording.pcm[: len(recording.pcm) // 1024 * 1024]]):
            new = window.astype(np.float32) / 32768
            answer, state = vad.detect(np.concatenate([context, new]).tobytes(), state)
            context = new[-64:]
            given.append(float(np.frombuffer(answer, np.float32)[0]))
        once = listened(given, recording.pcm, config, gather=1, wakes=None)
        assert len(once.told) >= 3 * len(recording.utterances)  # each begins, ends and has its final
        for wakes in (None, random.Random(1), random.Random(2)):
            late = listened(given, recording.pcm, config, gather=6, wakes=wakes)
            assert late.told == once.told
            for timed in (late, once):
                assert interim or not firsts(timed)
            assert [each for each in late.decodes if each[1] is not Kind.PARTIAL] == [
                each for each in once.decodes if each[1] is not Kind.PARTIAL
            ]
            moved = [b - a for a, b in zip(firsts(once), firsts(late), strict=True)]
            assert all(0 <= each <= 1 for each in moved)
