"""Calls under way in a child: what their answers go to, and how long they may go without one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engines import wire
from engines.frames import Frame, Kind, WireError
from engines.speech import SpeechStream
from engines.supervisor import note
from engines.wire import SpeechCheck
from protocol.errors import Code, VoiceError


class Call(Protocol):
    """One call; ``take`` gets each of its frames and says whether that was the last."""

    allowed_s: float

    def take(self, frame: Frame) -> bool: ...

    def fail(self, error: VoiceError) -> None: ...


@dataclass(slots=True)
class Once:
    """A call with a single answer."""

    answer: asyncio.Future[Frame]
    allowed_s: float

    def take(self, frame: Frame) -> bool:
        """The answer; nobody may be waiting any more."""
        if frame.kind is not Kind.DONE:
            raise WireError("a part of an answer that has one part")
        if not self.answer.done():
            self.answer.set_result(frame)
        return True

    def fail(self, error: VoiceError) -> None:
        """The call will have no answer."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Judge(Protocol):
    """Who keeps count of how a child does."""

    def did_well(self) -> None: ...

    def did_badly(self) -> None: ...


class Spoken:
    """A call answered by chunks of sound; each must come within ``allowed_s`` of the one before."""

    def __init__(self, stream: SpeechStream, allowed_s: float, judge: Judge) -> None:
        self.allowed_s = allowed_s
        self._stream = stream
        self._judge = judge
        self._check = SpeechCheck(stream.request)
        self._sound = True  # no nonsense so far

    def take(self, frame: Frame) -> bool:
        """A chunk, or the end; an empty one only says that the engine is still at it.

        Nonsense fails the stream at once and stops the child's work on it.
        """
        if frame.kind is Kind.DONE:
            if self._sound:
                self._judge.did_well()
                if not self._stream.ended:
                    self._stream.end()
            return True
        if frame.kind is not Kind.CHUNK:
            raise WireError("not a part of speech")
        if not self._sound:  # the stream has failed, or waits to be made anew: what else comes of this call is nobody's
            return False
        try:
            chunk = self._check.read(frame.head, frame.buffers)
        except WireError:
            self._sound = False
            self._judge.did_badly()
            cancel = self._stream.cancel
            self._stream.fail(VoiceError(Code.ENGINE_FAILED, "the engine made sound that cannot be right"))
            if cancel is not None:
                cancel()
            return False
        if chunk.pcm:
            self._stream.add(chunk)
        return False

    def fail(self, error: VoiceError) -> None:
        """No more is coming."""
        if error.code is Code.ENGINE_FAILED:
            self._judge.did_badly()
        if self._sound:
            self._stream.fail(error)


class Calls:
    """The calls a child has not answered yet, oldest first, which is the order in which it works on them."""

    def __init__(self, engine: str, now: Callable[[], float]) -> None:
        self.on_free: Callable[[], None] | None = None  # a call could begin at once: a new child, or a last answer
        self._engine = engine
        self._now = now
        self._calls: dict[int, Call] = {}
        self._number = 0
        self._moved_at = 0.0  # when the oldest call began, or last got something

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, number: int) -> bool:
        return number in self._calls

    def next_number(self) -> int:
        """A number for a call; never 0, and long in coming round."""
        self._number = self._number % 0xFFFF_FFFF + 1
        return self._number

    def begin(self, number: int, call: Call) -> None:
        """The call has been sent."""
        if not self._calls:
            self._moved_at = self._now()
        self._calls[number] = call

    def fail(self, error: VoiceError) -> None:
        """None of them will be answered."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.fail(error)

    # -- what the supervisor tells ---------------------------------------------------------------------

    def answered(self, frame: Frame) -> None:
        """A frame of an answer. Raises WireError when there is no such call."""
        call = self._calls.get(frame.call)
        if call is None:
            raise WireError("an answer to no call")
        self._moved_at = self._now()
        if frame.kind is Kind.FAILED:
            del self._calls[frame.call]
            note(self._engine, frame.head)
            call.fail(wire.read_error(frame.head))
        elif call.take(frame):
            del self._calls[frame.call]
        self.renewed()

    def renewed(self) -> None:
        """The child may be free."""
        if self._calls:
            return
        self._moved_at = self._now()
        if self.on_free is not None:
            self.on_free()

    def lost(self, why: str) -> None:
        """The child is gone."""
        self.fail(VoiceError(Code.ENGINE_RESTARTED, f"{self._engine} {why} and is being replaced"))

    def overdue(self, now: float) -> bool:
        """The child has been at the oldest call for too long."""
        oldest = next(iter(self._calls.values()), None)
        return oldest is not None and now - self._moved_at > oldest.allowed_s

    def idle(self, now: float) -> float:
        """Seconds since there was anything to do."""
        return 0.0 if self._calls else now - self._moved_at

    def excused(self, seconds: float) -> None:
        """The server itself could not listen for so long."""
        self._moved_at += seconds
