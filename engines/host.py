"""One engine in a supervised process, called by a pipe: no fault of the engine comes up as more than a VoiceError.

Calls the child had not answered when it was replaced fail with ENGINE_RESTARTED; whoever made them may try once more,
if nothing of the answer had been used.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from engines import wire
from engines.base import Capabilities, Observer, Treated
from engines.calls import Call, Calls, Once, Spoken
from engines.diarization.shape import Voices, read_voices
from engines.frames import Frame, Head, Kind, WireError
from engines.registry import EngineSpec
from engines.speech import SpeechStream
from engines.supervisor import HostLimits, Supervisor
from engines.text_calls import Order, Outcome, pack_order, read_outcome
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis, Reference, Speak

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_WINDOW_BYTES = 576 * 4  # of one stream in a detector's call


class Unobserved:
    """An Observer for those who do not want to know."""

    def waited(self, engine: str, priority: str, seconds: float) -> None:
        """Nothing is kept."""

    def worked(self, engine: str, seconds: float, audio_seconds: float, batch: int) -> None:
        """Nothing is kept."""

    def restarted(self, engine: str, why: str) -> None:
        """Nothing is kept."""


class EngineHost:
    """Calls to one engine, whichever child has it; ``start()`` first, ``aclose()`` last."""

    def __init__(
        self,
        spec: EngineSpec,
        *,
        observer: Observer | None = None,
        now: Callable[[], float] = time.monotonic,
        limits: HostLimits | None = None,
    ) -> None:
        self.spec = spec
        self._limits = limits or HostLimits()
        self._calls = Calls(spec.name, now)
        self._supervisor = Supervisor(spec, self._calls, observer or Unobserved(), now, self._limits)
        #: Have a child started if there is none for want of work; ``wait_alive`` does it too.
        self.wake: Callable[[], None] = self._supervisor.wake

    @property
    def capabilities(self) -> Capabilities:
        """What the engine says of itself. Raises MODEL_LOADING before the first start is over."""
        if self._supervisor.capabilities is None:
            raise VoiceError(Code.MODEL_LOADING, f"{self.spec.name} is still loading")
        return self._supervisor.capabilities

    @property
    def alive(self) -> bool:
        """A child is there, and its engine warm."""
        return self._supervisor.alive.is_set()

    @property
    def resting(self) -> bool:
        """There is no child because none was needed; ``wake()`` starts one."""
        return self._supervisor.asleep

    @property
    def waking(self) -> bool:
        """It rested, and a child is on its way."""
        return self._supervisor.waking

    @property
    def load_s(self) -> float:
        """Seconds it took to start the last child and load its model."""
        return self._supervisor.load_s

    @property
    def resident_bytes(self) -> int:
        """Memory the child holds, 0 without one."""
        return self._supervisor.resident_bytes()

    @property
    def loading(self) -> VoiceError:
        """What to tell somebody who cannot wait for a child that is on its way."""
        wait_s = max(1, math.ceil(self.load_s))
        return VoiceError(Code.MODEL_LOADING, f"{self.spec.name} is being loaded; try again soon", retry_after=wait_s)

    @property
    def free(self) -> bool:
        """It would begin a call at once."""
        return self.alive and not self._calls

    def call_when_free(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called whenever it becomes free."""
        self._calls.on_free = tell

    @property
    def pid(self) -> int | None:
        """The child's process number."""
        return self._supervisor.pid

    @property
    def generation(self) -> int:
        """How many children there have been."""
        return self._supervisor.generation

    async def start(self) -> Capabilities:
        """Start the child and wait until its engine is warm. Raises VoiceError when it cannot be built."""
        return await self._supervisor.start()

    async def aclose(self) -> None:
        """End the child; calls not yet answered fail with SHUTTING_DOWN. Leaves no process behind."""
        self._supervisor.closing = True
        self._calls.fail(VoiceError(Code.SHUTTING_DOWN, "the server is stopping"))
        await self._supervisor.aclose()

    async def wait_alive(self) -> None:
        """Wait for a child that is being replaced, or was not needed until now.

        Raises ENGINE_RESTARTED or MODEL_LOADING when that takes too long.
        """
        if self._supervisor.closing:
            raise VoiceError(Code.SHUTTING_DOWN, "the server is stopping")
        self._supervisor.wake()
        try:
            async with asyncio.timeout(self._limits.wait_s):
                await self._supervisor.alive.wait()
        except TimeoutError:
            if self.waking:
                raise self.loading from None
            raise VoiceError(Code.ENGINE_RESTARTED, f"{self.spec.name} is being replaced") from None

    async def recognize(self, batch: Sequence[Decode], expected_s: float = 0.0) -> list[Hypothesis]:
        """One call of the recogniser; ``expected_s`` is what such a call usually takes."""
        head, buffers = wire.pack_decodes(batch)
        frame = await self._ask(Kind.RECOGNIZE, head, buffers, expected_s)
        return self._trusted(wire.read_hypotheses, frame.head, batch)

    async def detect(self, windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        """One call of the speech detector (see ``engines.base.SpeechDetector``)."""
        frame = await self._ask(Kind.DETECT, {}, (windows, state), 0.0)
        return self._trusted(_probabilities, frame.buffers, len(windows) // _WINDOW_BYTES, len(state))

    async def separate(
        self, pcm: bytes, rate: int, channels: int, expected_s: float = 0.0, *, every: bool = False
    ) -> dict[str, bytes]:
        """One call of the separator: the stems of a stretch of interleaved s16le, by name.

        They are "vocals" and "instrumental", or ``every`` one of ``Capabilities.stems``.
        """
        head: Head = {"rate": rate, "channels": channels, "every": every and bool(self.capabilities.stems)}
        frame = await self._ask(Kind.SEPARATE, head, (pcm,), expected_s)
        return self._trusted(wire.read_stems, frame.head, frame.buffers, len(pcm))

    async def treat(
        self, pcm: bytes, rate: int, channels: int, order: Mapping[str, object], expected_s: float = 0.0
    ) -> Treated:
        """One call of a ``SoundTool``: a stretch of interleaved s16le, and what is to be done with it."""
        head: Head = {"rate": rate, "channels": channels, "order": dict(order)}
        frame = await self._ask(Kind.TREAT, head, (pcm,), expected_s)
        return self._trusted(wire.read_treated, frame.head, frame.buffers)

    async def voices(self, pcm: bytes, windows: int, expected_s: float = 0.0) -> Voices:
        """One call of a ``Diarizer``: who speaks when in so many windows of sound, and how they sound."""
        frame = await self._ask(Kind.DIARIZE, {}, (pcm,), expected_s)
        return self._trusted(read_voices, frame.buffers, windows)

    async def clone(self, reference: Reference, expected_s: float = 0.0) -> bytes:
        """One call of a ``Cloner``: what ``Speak.prompt`` takes. Raises BAD_REQUEST for a reference without speech."""
        frame = await self._ask(Kind.CLONE, *wire.pack_reference(reference), expected_s)
        return self._trusted(wire.read_prompt, frame.buffers)

    async def work(self, order: Order, read: Callable[[Outcome], T], expected_s: float = 0.0) -> T:
        """One call of a ``TextEngine``; ``read`` checks its answer and raises WireError for nonsense."""
        try:
            buffers = pack_order(order)
        except WireError:
            raise VoiceError(Code.TOO_LARGE, "that is too much text for one call of an engine") from None
        frame = await self._ask(Kind.TEXT, {}, buffers, expected_s)
        return self._trusted(lambda: read(read_outcome(frame.buffers)))

    def speak(
        self, request: Speak, stream: SpeechStream | None = None, expected_s: float = 0.0, *, together: int = 1
    ) -> SpeechStream:
        """Have a clause spoken, into ``stream`` if given. The call is made here and now, before anybody reads.

        ``together`` that many clauses, asked for one right after the other, are one call of a ``Choir``; each must fit
        into a frame.
        """
        stream = stream or SpeechStream(request)
        if not self.alive:
            stream.fail(VoiceError(Code.ENGINE_RESTARTED, f"{self.spec.name} is being replaced"))
            return stream
        head, buffers = wire.pack_speak(request)
        call = Spoken(stream, 3 * expected_s + self._limits.grace_s, self._supervisor)
        try:
            number = self._send(Kind.SPEAK, {**head, "together": together} if together > 1 else head, buffers, call)
        except VoiceError as error:
            stream.fail(error)
        else:
            stream.cancel = lambda: self._cancel(number)
        return stream

    async def _ask(self, kind: Kind, head: Head, buffers: tuple[bytes, ...], expected_s: float) -> Frame:
        while not self.alive:  # it may fall again before we get to run
            await self.wait_alive()
        call = Once(asyncio.get_running_loop().create_future(), 3 * expected_s + self._limits.grace_s)
        self._send(kind, head, buffers, call)
        try:
            return await call.answer
        except VoiceError as error:
            if error.code is Code.ENGINE_FAILED:
                self._supervisor.did_badly()
            raise

    def _send(self, kind: Kind, head: Head, buffers: tuple[bytes, ...], call: Call) -> int:
        number = self._calls.next_number()
        try:
            self._supervisor.send(Frame(kind, number, head, buffers))
        except WireError:
            raise VoiceError(Code.TOO_LARGE, "that is too much for one call of an engine") from None
        self._calls.begin(number, call)
        return number

    def _cancel(self, number: int) -> None:
        if number in self._calls:
            self._supervisor.send(Frame(Kind.CANCEL, number))

    def _trusted(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            answer = read(*args, **kwargs)
        except WireError as error:
            _log.warning("engine %s answered nonsense: %s", self.spec.name, error)
            self._supervisor.did_badly()
            raise VoiceError(Code.ENGINE_FAILED, f"{self.spec.name} gave an answer that cannot be right") from None
        self._supervisor.did_well()
        return answer


def _probabilities(buffers: tuple[bytes, ...], count: int, state_bytes: int) -> tuple[bytes, bytes]:
    """A detector's answer for ``count`` streams, checked: a NaN in the state would stay there for ever."""
    if len(buffers) != 2 or len(buffers[0]) != 4 * count or len(buffers[1]) != state_bytes:
        raise WireError("not a probability for each window")
    if not all(0.0 <= probability <= 1.0 for probability in memoryview(buffers[0]).cast("f")):
        raise WireError("not probabilities")
    state = np.frombuffer(buffers[1], np.float32)
    if not math.isfinite(float(state @ state)):
        raise WireError("not a state")
    return buffers[0], buffers[1]
