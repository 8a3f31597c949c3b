"""Windows are written as characters: ``#`` loud, ``.`` quiet, ``~`` wavering between the two marks."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.endpointing import WINDOW_S, Endpointer, Paused, Resumed, Signal, Started, State, Stopped
from protocol.events import VadOptions

PROBABILITY = {"#": 0.9, "~": 0.4, ".": 0.1}
OPTIONS = VadOptions(threshold=0.5, min_speech_ms=96, min_silence_ms=400, prefix_padding_ms=160)
# 3 windows make speech, 10 a silence (400 ms less what the detector comes late), 5 the prefix; the tail has 5.
TAIL = 5


def follow(windows: str, endpointer: Endpointer | None = None) -> list[tuple[int, Signal]]:
    """Each signal with the number of windows that had been judged when it came."""
    endpointer = endpointer or Endpointer(OPTIONS, 20)
    return [(endpointer.now, signal) for window in windows for signal in endpointer.push(PROBABILITY[window])]


def test_an_utterance_from_its_prefix_to_its_tail() -> None:
    assert follow("." * 20 + "#" * 8 + "." * 20) == [
        (23, Started(at=20, start=15)),
        (33, Paused(end=33)),
        (38, Stopped(at=28, end=33)),
    ]


def test_speech_may_begin_with_the_stream() -> None:
    assert follow("###") == [(3, Started(at=0, start=0))]


def test_a_short_noise_is_no_speech() -> None:
    assert follow("..##...##...##" + "." * 30) == []


def test_a_gap_shorter_than_three_windows_does_not_end_an_onset() -> None:
    assert follow("#..#..#") == [(7, Started(at=0, start=0))]


def test_a_voice_that_wavers_goes_on_but_does_not_begin() -> None:
    assert follow("~" * 50) == []
    assert follow("###" + "~" * 50) == [(3, Started(0, 0))]
    assert follow("###" + "." + "~" * 9)[-1] == (13, Stopped(at=3, end=8))


def test_speech_that_goes_on_after_a_pause_is_one_utterance() -> None:
    assert follow("###" + "." * 8 + "#" + "." * 10) == [
        (3, Started(0, 0)),
        (8, Paused(8)),
        (12, Resumed()),
        (17, Paused(17)),
        (22, Stopped(at=12, end=17)),
    ]


@pytest.mark.parametrize(
    ("milliseconds", "tail", "silence"),
    [(0, 3, 3), (160, 3, 3), (300, 3, 7), (464, 6, 12), (500, 6, 13), (1000, 6, 29)],
)
def test_the_tail_takes_half_of_a_short_silence_and_no_more_than_it_needs(
    milliseconds: int, tail: int, silence: int
) -> None:
    endpointer = Endpointer(VadOptions(min_silence_ms=milliseconds), 20)
    pauses = [] if tail == silence else [(4 + tail, Paused(4 + tail))]
    ends = [*pauses, (4 + silence, Stopped(at=4, end=4 + tail))]
    assert follow("####" + "." * silence, endpointer) == [(3, Started(0, 0)), *ends]


def test_the_prefix_never_reaches_into_the_utterance_before() -> None:
    endpointer = Endpointer(VadOptions(min_speech_ms=96, min_silence_ms=100, prefix_padding_ms=320), 20)
    assert follow("###...###", endpointer) == [(3, Started(0, 0)), (6, Stopped(3, 6)), (9, Started(at=6, start=6))]


def test_nothing_an_engine_says_breaks_it() -> None:
    endpointer = Endpointer(OPTIONS, 20)
    for probability in (math.nan, -math.inf, -1.0, 0.0):
        assert endpointer.push(probability) == []
    assert endpointer.state is State.SILENCE
    assert [endpointer.push(math.inf) for _ in range(3)][-1] == [Started(at=4, start=0)]


def test_without_a_threshold_all_is_speech_until_somebody_ends_it() -> None:
    endpointer = Endpointer(VadOptions(threshold=0.0), 20)
    assert follow("." * 100, endpointer) == [(3, Started(0, 0))]
    assert endpointer.finish() == Stopped(at=100, end=100)


def test_finish_ends_what_is_open_at_once() -> None:
    endpointer = Endpointer(OPTIONS, 20)
    assert endpointer.finish() is None
    follow("#####", endpointer)
    assert endpointer.speaking
    assert endpointer.finish() == Stopped(at=5, end=5)
    assert not endpointer.speaking
    assert follow("###", endpointer) == [(8, Started(at=5, start=5))]
    follow("..", endpointer)
    assert not endpointer.speaking
    assert endpointer.finish() == Stopped(at=8, end=10)
    follow("###" + "." * 8, endpointer)
    assert endpointer.state is State.PAUSE
    assert endpointer.finish() == Stopped(at=13, end=18)


def test_finish_forgets_an_onset_yet_the_sound_is_not_lost() -> None:
    endpointer = Endpointer(OPTIONS, 20)
    follow("##", endpointer)
    assert endpointer.finish() is None
    assert follow("###", endpointer) == [(5, Started(at=2, start=0))]


def test_options_change_between_utterances() -> None:
    endpointer = Endpointer(OPTIONS, 20)
    endpointer.configure(VadOptions(min_speech_ms=32, min_silence_ms=400, prefix_padding_ms=0), 20)
    assert follow(".#", endpointer) == [(2, Started(at=1, start=1))]
    endpointer.configure(VadOptions(min_silence_ms=96), 20)
    assert follow("." * 10, endpointer)[-1] == (12, Stopped(at=2, end=7))
    assert follow("####...", endpointer)[-1] == (19, Stopped(at=16, end=19))


# -- utterances that grow too long -------------------------------------------------------------------

LONGEST = 40
LONG = LONGEST * WINDOW_S


def judge(probabilities: list[float], longest_s: float = LONG, options: VadOptions = OPTIONS) -> list[Signal]:
    endpointer = Endpointer(options, longest_s)
    return [signal for probability in probabilities for signal in endpointer.push(probability)]


def test_a_long_utterance_is_split_where_its_last_quarter_is_quietest() -> None:
    speech = [0.9] * 45
    speech[20:24] = [0.36] * 4  # quieter, but too early to end an utterance that might have ended by itself
    speech[33:36] = [0.6] * 3
    assert judge(speech) == [Started(0, 0), Stopped(at=35, end=35), Started(at=35, start=35)]


def test_without_any_pause_it_is_split_as_late_as_possible() -> None:
    assert judge([0.9] * 50) == [Started(0, 0), Stopped(at=39, end=39), Started(at=39, start=39)]


def test_the_longest_utterance_includes_its_prefix() -> None:
    signals = judge([0.1] * 10 + [0.9] * 60)
    assert signals[:2] == [Started(at=10, start=5), Stopped(at=44, end=44)]


def test_a_pause_at_the_limit_ends_the_utterance() -> None:
    speech = [0.9] * 34 + [0.1] * 6 + [0.9] * 3
    assert judge(speech) == [Started(0, 0), Paused(39), Stopped(at=34, end=39), Started(at=40, start=39)]


def test_a_short_gap_at_the_limit_is_where_it_is_split() -> None:
    speech = [0.9] * (LONGEST - 2) + [0.1] * 12
    assert judge(speech) == [Started(0, 0), Stopped(at=39, end=39)]


def test_too_little_after_the_split_is_no_utterance_of_its_own() -> None:
    speech = [0.9] * LONGEST
    speech[36:38] = [0.36] * 2
    assert judge(speech + [0.1] * 30) == [Started(0, 0), Stopped(at=38, end=38)]


def test_new_options_hold_from_the_split_on() -> None:
    endpointer = Endpointer(OPTIONS, LONG)
    endpointer.push(0.9)
    endpointer.configure(OPTIONS, 2 * LONG)
    signals = [signal for _ in range(4 * LONGEST) for signal in endpointer.push(0.9)]
    ends = [signal.end for signal in signals if isinstance(signal, Stopped)]
    assert ends[1] - ends[0] == 2 * LONGEST - 1


# -- whatever the probabilities ------------------------------------------------------------------------


def stretches() -> st.SearchStrategy[list[float]]:
    stretch = st.tuples(st.sampled_from([0.05, 0.4, 0.6, 0.95]), st.integers(1, 25)).map(lambda s: [s[0]] * s[1])
    mixed = st.lists(st.floats(0, 1), max_size=12)
    return st.lists(stretch | mixed, max_size=14).map(lambda parts: [p for part in parts for p in part])


def options() -> st.SearchStrategy[VadOptions]:
    times = st.integers(0, 900)
    return st.builds(VadOptions, st.floats(0.05, 0.95), st.integers(0, 300), times, times)


@settings(max_examples=500, deadline=None)
@given(stretches(), options(), st.sampled_from([0.0, 0.5, 1.3, 20.0]), st.booleans())
def test_utterances_follow_one_another(
    probabilities: list[float], options: VadOptions, longest_s: float, finish: bool
) -> None:
    endpointer = Endpointer(options, longest_s)
    longest = max(4, int(longest_s / WINDOW_S))
    opened: Started | None = None
    paused: Paused | None = None
    own = floor = most = 0

    def check(signal: Signal) -> None:
        nonlocal opened, paused, own, floor, most
        match signal:
            case Started(at, start):
                assert opened is None
                assert floor <= start <= at < endpointer.now
                assert at - start <= math.ceil(options.prefix_padding_ms / 32)
                assert start == endpointer.start
                opened, own, most = signal, endpointer.split_from, max(longest, endpointer.now - start + 1)
            case Paused(end):
                assert opened is not None and paused is None
                assert end == endpointer.now
                paused = signal
            case Resumed():
                assert paused is not None
                paused = None
            case Stopped(at, end):
                assert opened is not None
                assert opened.at < at <= end <= endpointer.now and end - at <= 6
                assert paused is None or end == paused.end, "the guess heard what the final will hear"
                assert end - opened.start <= most
                assert at < end or end == endpointer.now or end >= own, "a split leaves what was promised"
                opened, paused, floor = None, None, end

    for probability in probabilities:
        kept = endpointer.start
        for signal in endpointer.push(probability):
            check(signal)
        assert endpointer.start >= kept, "audio that was let go is never asked for"
        assert (opened is not None) == (endpointer.state in (State.SPEECH, State.PAUSE))
    if finish and (last := endpointer.finish()):
        check(last)
        assert opened is None
    assert endpointer.now == len(probabilities)


@pytest.mark.parametrize("longest_s", [0.0, 0.1, 1.0])
def test_absurd_limits_still_end_utterances(longest_s: float) -> None:
    signals = judge([0.9] * 200, longest_s, VadOptions(min_speech_ms=0, min_silence_ms=0, prefix_padding_ms=10_000))
    assert sum(isinstance(signal, Stopped) for signal in signals) >= 4


@settings(max_examples=200, deadline=None)
@given(st.lists(stretches(), min_size=1, max_size=12), options(), st.sampled_from([1.0, 3.0, LONG]))
def test_no_decision_comes_before_patience_says(parts: list[list[float]], chosen: VadOptions, longest_s: float) -> None:
    """Windows are judged together on the strength of it: one signal sooner, and an endpoint would come late."""
    endpointer = Endpointer(chosen, longest_s)
    soonest = endpointer.patience
    for index, probability in enumerate(each for part in parts for each in part):
        signals = [signal for signal in endpointer.push(probability) if not isinstance(signal, Resumed)]
        assert not signals or index + 1 >= soonest
        assert endpointer.patience >= 1
        soonest = max(soonest, index + 1 + endpointer.patience) if not signals else index + 1 + endpointer.patience
