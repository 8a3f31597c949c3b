"""When not to believe a recogniser: text that loops, that is too unlikely, or that nobody said. No word lists."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Whisper's own thresholds (its paper, section 4.5).
MOST_REPETITIVE = 2.4
_LEAST_LIKELY = -1.0
_NO_SPEECH = 0.6

_LONGEST_PERIOD = 40  # tokens of a repeated phrase
_LOOP_TOKENS = 8  # a word said four times may be meant; the same with eight tokens or more is a loop
_LOOP_TURNS = 4
_LONG_PERIOD = 3  # a phrase this long is a loop when it comes a third time
_LONG_PERIOD_TURNS = 3

_LOUD = 0.5  # of the features' scale, 20 dB: how far below the loudest a frame, or a band, may be to be looked at
_STEADY_FRAMES = 30  # a sound any shorter cannot be told from the vowel of one word
# How much the loud bands of a steady sound change, frame by frame, and in means of 50 ms, where a pitch of 50 Hz no
# longer looks like change. Hum, buzz, tones and white noise stay below one or the other; of 225 utterances none did,
# not even 5 dB below the level of white noise.
_STEADINESS = ((1, 0.09), (5, 0.045))

SILENT_PEAK = 16 / 32768  # -66 dBFS: nothing that peaks below it is speech anybody can make out


@dataclass(frozen=True, slots=True)
class Attempt:
    """One decoding of an utterance."""

    tokens: tuple[int, ...]
    text: str
    average_log_probability: float
    no_speech_probability: float
    ended: bool  # the decoder said that it was done, rather than running into its limit


@dataclass(frozen=True, slots=True)
class Loop:
    """``turns`` repetitions of ``period`` tokens from ``start`` on."""

    start: int
    period: int
    turns: int


def find_loop(tokens: Sequence[int]) -> Loop | None:
    """The first stretch of tokens that repeats itself more often than people do."""
    array = np.asarray(tokens)
    for period in range(1, min(_LONGEST_PERIOD, len(tokens) // 3) + 1):
        same = np.concatenate(([False], array[period:] == array[:-period], [False]))
        edges = np.flatnonzero(np.diff(same.astype(np.int8)))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            turns = (end - start) // period + 1
            if (turns >= _LOOP_TURNS and turns * period >= _LOOP_TOKENS) or (
                period >= _LONG_PERIOD and turns >= _LONG_PERIOD_TURNS
            ):
                return Loop(start, period, turns)
    return None


def cut_loop(tokens: Sequence[int]) -> tuple[int, ...]:
    """The tokens up to the end of the first turn of a loop: what follows one is not to be believed."""
    loop = find_loop(tokens)
    return tuple(tokens if loop is None else tokens[: loop.start + loop.period])


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes a text; far above 2 when it repeats itself."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def doubtful(attempt: Attempt) -> bool:
    """Whether an utterance should be decoded again, with more care."""
    return (
        not attempt.ended
        or attempt.average_log_probability < _LEAST_LIKELY
        or compression_ratio(attempt.text) > MOST_REPETITIVE
        or find_loop(attempt.tokens) is not None
    )


def better(first: Attempt, second: Attempt) -> Attempt:
    """Which of two decodings to keep: the one that is not doubtful, else the likelier one.

    When a careful second decoding says the same words as the first, they were said, however often they repeat.
    """
    if first.text == second.text or not doubtful(second):
        return second
    return max(first, second, key=lambda attempt: (attempt.ended, attempt.average_log_probability))


def nobody_spoke(attempt: Attempt) -> bool:
    """Whether the decoder itself takes the sound for something other than speech."""
    return (
        attempt.no_speech_probability > _NO_SPEECH and attempt.average_log_probability < _LEAST_LIKELY
    ) or not any(map(str.isalnum, attempt.text))


def is_silent(samples: npt.NDArray[np.float32]) -> bool:
    """Whether there is nothing to hear at all."""
    return len(samples) == 0 or float(np.abs(samples).max()) <= SILENT_PEAK


def is_steady(features: npt.NDArray[np.float32]) -> bool:
    """Whether a sound stays as it is: noise, hum or a tone, and no text. ``features`` are (mels, frames) of log-mel,
    without padding."""
    return any(_change(features, frames) < most for frames, most in _STEADINESS)


def _change(features: npt.NDArray[np.float32], size: int) -> float:
    """The standard deviation over time of the loudest bands, in means of ``size`` frames; infinite if none can be."""
    count = features.shape[1] // size
    means = features[:, : count * size].reshape(len(features), count, size).mean(axis=2)
    peaks = means.max(axis=0, initial=-9.0)
    edge = 5 // size  # where a sound begins and ends it changes
    loud = means[:, np.flatnonzero(peaks > peaks.max(initial=-9.0) - _LOUD)[edge:-edge]]
    if loud.shape[1] * size < _STEADY_FRAMES:
        return float("inf")
    levels = loud.mean(axis=1)
    return float(loud[levels > levels.max() - _LOUD].std(axis=1).mean())
