"""The live session's state machine: what may come when, how fast, and for how long nothing may come.

All that decides whether a session lives is in this file, and ``TRANSITIONS`` is the machine. Client events and two
of the server's own (``Failed``: something behind the session broke; ``Closed``: the client left, or all is said) go
in by ``receive``, time by ``tick``; out come, in order, the events to act on. The shell hands accepted client events
to the core, tells the client about a ``Failed`` and then closes, and does not read before a ``Pause`` is over.
Nothing here raises: what a client does wrong is answered by ``Failed`` and ends in CLOSED.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from protocol.allowance import Allowance
from protocol.audio import AudioFormat
from protocol.errors import Code, VoiceError
from protocol.events import (
    Audio,
    Clear,
    Closed,
    Configure,
    Failed,
    Flush,
    KeepAlive,
    ListenConfig,
    ListenEvent,
    Mark,
    SpeakConfig,
    SpeakEvent,
    Stop,
    Text,
)


class State(StrEnum):
    """Where a session is in its life."""

    CONFIGURING = "configuring"  # connected; the configuration comes first
    LISTENING = "listening"  # audio comes in
    SPEAKING = "speaking"  # text comes in
    STOPPING = "stopping"  # the client said Stop; the last answers are on their way
    CLOSED = "closed"


Input = ListenEvent | SpeakEvent | Failed | Closed

_ENDS: dict[type[Input], State] = {Failed: State.CLOSED, Closed: State.CLOSED}

TRANSITIONS: Mapping[State, Mapping[type[Input], State]] = MappingProxyType(
    {
        State.CONFIGURING: {
            ListenConfig: State.LISTENING,
            SpeakConfig: State.SPEAKING,
            KeepAlive: State.CONFIGURING,
            **_ENDS,
        },
        State.LISTENING: {
            Audio: State.LISTENING,
            Flush: State.LISTENING,
            KeepAlive: State.LISTENING,
            Configure: State.LISTENING,
            Stop: State.STOPPING,
            **_ENDS,
        },
        State.SPEAKING: {
            Text: State.SPEAKING,
            Flush: State.SPEAKING,
            Clear: State.SPEAKING,
            Mark: State.SPEAKING,
            KeepAlive: State.SPEAKING,
            Stop: State.STOPPING,
            **_ENDS,
        },
        State.STOPPING: {
            Clear: State.STOPPING,  # what is still being spoken can be silenced
            KeepAlive: State.STOPPING,
            **_ENDS,
        },
        State.CLOSED: {},
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may use; seconds unless said otherwise (the figures are the published limits)."""

    first_message: float = 10.0
    idle: float = 60.0  # with neither a message nor work of ours
    session: float = 3 * 3600.0
    audio_burst: float = 30.0  # audio ahead of real time at once ...
    audio_rate: float = 2.0  # ... then at most so many seconds of audio a second
    messages: float = 200.0  # a second
    flood: float = 60.0  # of pauses for being too fast


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Pause:
    """The client is too fast: read nothing more before ``until``, so that the network pushes back."""

    until: float


class Session:
    """One client's session; ``now`` is any monotonic clock in seconds, the same one in every call."""

    __slots__ = ("_active_at", "_audio", "_flood_at", "_format", "_limits", "_messages", "_odd", "_opened_at", "state")

    def __init__(self, now: float, limits: Limits = LIMITS) -> None:
        self.state = State.CONFIGURING
        self._limits = limits
        self._format = AudioFormat()
        self._odd = b""  # the first byte of a sample that was cut in two
        self._opened_at = now
        self._active_at = now
        self._flood_at: float | None = None  # since when the client has been too fast, over and over
        self._audio = Allowance(limits.audio_burst, limits.audio_rate, now)
        self._messages = Allowance(limits.messages, limits.messages, now)

    def receive(self, event: Input, now: float) -> list[Input | Pause]:
        """Move by one event and say what to act on: nothing for what came too late, whole samples of audio only."""
        target = TRANSITIONS[self.state].get(type(event))
        if target is None:
            return self._refuse(event, now)
        self.state = target
        if target is State.CLOSED:
            return [event]
        self._active_at = now
        return self._accept(event) + self._pace(event, now)

    def tick(self, now: float) -> list[Input | Pause]:
        """Let time pass: the failure that is due by ``now``, if there is one."""
        if self.state is State.CLOSED:
            return []
        at, error = self._deadline()
        return self._fail(error) if now >= at else []

    def next_deadline(self) -> float | None:
        """When to ``tick`` next, None once closed. It only moves later: one timer, armed anew when it has fired."""
        return None if self.state is State.CLOSED else self._deadline()[0]

    def extend(self, now: float) -> None:
        """The server is at work for a client who need say nothing meanwhile: the idle time starts anew."""
        self._active_at = now

    def _refuse(self, event: Input, now: float) -> list[Input | Pause]:
        if self.state is State.CLOSED:
            return []
        if self.state is State.STOPPING:  # sent before the client knew that it would be late
            return self._pace(event, now)
        return self._fail(_out_of_order(event, self.state))

    def _accept(self, event: Input) -> list[Input | Pause]:
        if isinstance(event, Audio):
            return self._whole_samples(event)
        if isinstance(event, ListenConfig):
            if not event.audio.sample_bytes:
                return self._fail(_not_countable(event.audio))
            self._format = event.audio
        return [event]

    def _whole_samples(self, event: Audio) -> list[Input | Pause]:
        data = self._odd + event.data
        whole = len(data) - len(data) % self._format.sample_bytes
        if whole == len(event.data) and not self._odd:
            return [event] if whole else []
        self._odd = data[whole:]
        return [Audio(data[:whole])] if whole else []

    def _pace(self, event: Input, now: float) -> list[Input | Pause]:
        until = self._messages.spend(1, now)
        if isinstance(event, Audio):
            until = max(until, self._audio.spend(self._format.seconds(len(event.data)), now))
        if until <= now:
            if self._flood_at is not None and self._audio.rested(now) and self._messages.rested(now):
                self._flood_at = None
            return []
        if self._flood_at is None:
            self._flood_at = now
        elif now - self._flood_at >= self._limits.flood:
            return self._fail(VoiceError(Code.TOO_FAST, "audio or messages kept coming far faster than real time"))
        return [Pause(until)]

    def _deadline(self) -> tuple[float, VoiceError]:
        limits = self._limits
        if self.state is State.CONFIGURING:
            at, seconds, missing = self._opened_at + limits.first_message, limits.first_message, "configuration"
        else:
            at, seconds, missing = self._active_at + limits.idle, limits.idle, "message; a keepalive would do"
        over = self._opened_at + limits.session
        if over <= at:
            return over, VoiceError(Code.SESSION_TOO_LONG, f"a session may last {limits.session:g} s; open a new one")
        return at, VoiceError(Code.TIMEOUT, f"{seconds:g} s went by without a {missing}")

    def _fail(self, error: VoiceError) -> list[Input | Pause]:
        self.state = State.CLOSED
        return [Failed(error)]


def _out_of_order(event: Input, state: State) -> VoiceError:
    allowed = sorted({_name(kind) for kind in TRANSITIONS[state] if kind not in _ENDS})
    message = f"{_name(type(event))} cannot come while {state}; what can: {', '.join(allowed)}"
    return VoiceError(Code.OUT_OF_ORDER, message, allowed=allowed)


def _name(kind: type[Input]) -> str:
    return kind.__name__.removeprefix("Listen").removeprefix("Speak").lower()


def _not_countable(audio: AudioFormat) -> VoiceError:
    allowed = ["pcm_s16le", "mulaw", "alaw"]
    message = f"{audio.encoding} cannot be listened to live; what can: {', '.join(allowed)}"
    return VoiceError(Code.UNSUPPORTED_MEDIA, message, field="encoding", allowed=allowed)
