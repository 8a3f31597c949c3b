"""Speech probabilities in, the beginnings and ends of utterances out.

One probability judges one window of 32 ms; all positions count windows from the start of the stream, so nothing here
depends on when an answer comes. A window is loud from the threshold on, and after a loud one already from a lower mark
on (hysteresis), so that a voice is not chopped where it wavers. Then

    SILENCE --loud--> ONSET --loud for min_speech_ms--> SPEECH --quiet for a tail--> PAUSE --quiet for min_silence_ms-+
     ^ ^                |                                 ^                            |                              |
     | +-----quiet------+                                 +------------loud------------+                              |
     +----------------------------------------------------------------------------------------------------------------+

and an utterance that grows too long is split where its last quarter is quietest.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto

from protocol.events import VadOptions

WINDOW = 512  # samples at 16 kHz that are judged at once: what Silero VAD takes
WINDOW_S = 0.032
TAIL = 6  # windows after the last loud one that belong to the utterance (soft endings, breath), given the time
_GAP = 3  # quiet windows that end an onset, so that clicks do not add up to speech; no silence is shorter
_HYSTERESIS = 0.15
_LAG_MS = 80  # Silero hears the end of speech late, by 61 ms in the median, 106 at p95: that much silence is over then
_SPLIT_FROM = 0.75  # of the longest utterance


@dataclass(frozen=True, slots=True)
class Started:
    """Speech began with window ``at``; with the audio kept from before, the utterance begins with window ``start``."""

    at: int
    start: int


@dataclass(frozen=True, slots=True)
class Paused:
    """A short silence: unless speech goes on, the utterance's audio ends before window ``end``."""

    end: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech went on after a ``Paused``."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Speech ended before window ``at``; with its tail, the utterance's audio ends before window ``end``."""

    at: int
    end: int


Signal = Started | Paused | Resumed | Stopped


class State(Enum):
    """What the latest windows were."""

    SILENCE = auto()
    ONSET = auto()  # loud, though not yet for long enough to be speech
    SPEECH = auto()
    PAUSE = auto()


@dataclass(frozen=True, slots=True)
class _Limits:
    """The options, in windows."""

    loud: float  # probability that begins a loud stretch
    loud_still: float  # probability that goes on with one
    speech: int
    silence: int
    tail: int
    prefix: int
    longest: int
    split_from: int


def _limits(options: VadOptions, max_utterance_s: float) -> _Limits:
    def windows(milliseconds: float) -> float:
        return milliseconds / 1000 / WINDOW_S

    longest = max(4, int(windows(max_utterance_s * 1000)))
    silence = max(_GAP, round(windows(options.min_silence_ms - _LAG_MS)))
    return _Limits(
        loud=options.threshold,
        loud_still=max(options.threshold - _HYSTERESIS, options.threshold / 2),
        speech=max(1, round(windows(options.min_speech_ms))),
        silence=silence,
        tail=min(TAIL, max(_GAP, silence // 2)),  # a short silence leaves time to decode ahead, too
        prefix=min(math.ceil(windows(options.prefix_padding_ms)), longest // 2),
        longest=longest,
        split_from=int(longest * _SPLIT_FROM),
    )


class Endpointer:
    """Follows one stream, window by window."""

    __slots__ = (
        "_cut", "_floor", "_limits", "_loud", "_next_limits", "_onset", "_quiet", "_quietest", "_recent", "_voiced",
        "_voiced_after_cut", "now", "state",
    )  # fmt: skip

    def __init__(self, options: VadOptions, max_utterance_s: float) -> None:
        self.state = State.SILENCE
        self.now = 0  # windows judged
        self._limits = self._next_limits = _limits(options, max_utterance_s)
        self._loud = False
        self._quiet = 0  # windows since the last loud one
        self._onset = 0  # the first loud window of the onset or the utterance
        self._voiced = 0  # loud windows of the onset
        self._floor = 0  # where the utterance before ended: no audio is used twice
        self._recent = (0.0, 0.0)  # the probabilities of the two windows before
        self._quietest = math.inf  # around the best place for a split so far, which is
        self._cut = 0
        self._voiced_after_cut = 0

    @property
    def start(self) -> int:
        """The first window of the utterance, or of the one that might begin now: no audio before it is needed."""
        onset = self.now if self.state is State.SILENCE else self._onset
        return max(self._floor, onset - self._limits.prefix)

    @property
    def split_from(self) -> int:
        """The utterance's audio before this window is its own, come what may: no split is made earlier."""
        return self.start + self._limits.split_from

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open and loud just now."""
        return self.state is State.SPEECH and self._loud

    @property
    def patience(self) -> int:
        """How many windows on the next signal can come at the earliest: those before may be judged when that one is.

        Only ``Resumed`` can come earlier, to save a decode whose answer would not have been used.
        """
        limits = self._limits
        if self.state is State.SILENCE:
            return limits.speech
        if self.state is State.ONSET:
            return limits.speech - self._voiced
        end = limits.longest - (self.now - self.start)
        if self.state is State.PAUSE:  # its end, or a loud window and then the next pause
            return max(1, min(limits.silence - self._quiet, limits.tail + 1, end))
        return max(1, min(limits.tail - self._quiet, end))

    def push(self, probability: float) -> list[Signal]:
        """Judge the next window."""
        if not probability > 0:
            probability = 0.0  # an engine's NaN is no speech
        limits = self._limits
        self._loud = probability >= (limits.loud_still if self._loud else limits.loud)
        self._quiet = 0 if self._loud else self._quiet + 1
        self.now += 1
        if self.state in (State.SILENCE, State.ONSET):
            return self._await_speech()
        self._find_cut(probability)
        return self._follow_speech()

    def finish(self) -> Stopped | None:
        """End the open utterance here, if there is one, as if its silence had been long enough."""
        if self.state in (State.SPEECH, State.PAUSE):
            return self._stop()
        self._rest()
        return None

    def configure(self, options: VadOptions, max_utterance_s: float) -> None:
        """Use other options from the next utterance on."""
        self._next_limits = _limits(options, max_utterance_s)
        if self.state is State.SILENCE:
            self._rest()

    def _await_speech(self) -> list[Signal]:
        if self._loud:
            if self.state is State.SILENCE:
                self.state, self._onset, self._voiced = State.ONSET, self.now - 1, 0
            self._voiced += 1
            return self._confirm()
        if self._quiet >= _GAP:
            self._rest()
        return []

    def _confirm(self) -> list[Signal]:
        if self._voiced < self._limits.speech:
            return []
        self.state = State.SPEECH
        return [Started(self._onset, self.start)]

    def _follow_speech(self) -> list[Signal]:
        signals: list[Signal] = []
        if self._quiet >= self._limits.silence:
            return [self._stop()]
        if self._loud and self.state is State.PAUSE:
            self.state = State.SPEECH
            signals.append(Resumed())
        elif self._quiet == self._limits.tail:
            self.state = State.PAUSE
            signals.append(Paused(self.now))
        if self.now - self.start >= self._limits.longest:
            signals += [self._stop()] if self.state is State.PAUSE else self._split()
        return signals

    def _find_cut(self, probability: float) -> None:
        """Remember the quietest place for a split, the latest of equals, by the mean over three windows."""
        loudness = sum(self._recent) + probability
        self._recent = (self._recent[1], probability)
        if self.now > self.split_from and loudness <= self._quietest:
            self._quietest, self._cut, self._voiced_after_cut = loudness, self.now - 1, 0
        self._voiced_after_cut += self._loud

    def _split(self) -> list[Signal]:
        """End the utterance at the cut; what comes after it begins the next one, if that is enough to be speech."""
        cut = self._onset = self._floor = self._cut
        self._rest()
        self.state, self._voiced = State.ONSET, self._voiced_after_cut
        return [Stopped(cut, cut), *self._confirm()]

    def _stop(self) -> Stopped:
        at = self.now - self._quiet
        self._floor = min(at + self._limits.tail, self.now)
        self._rest()
        return Stopped(at, self._floor)

    def _rest(self) -> None:
        self.state, self._quietest, self._limits = State.SILENCE, math.inf, self._next_limits
