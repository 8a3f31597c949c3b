"""Speech in, without I/O: 16 kHz audio and the answers of engines go in, requests to engines and events come out.

The shell carries out the effects: it has every ``Detect`` judged and reports the probabilities in order; it has every
``Recognize`` recognised and reports each answer, refusal or failure under its ticket, in any order; it sends what is
in ``Emit``. What the utterances are, and what is decoded for their finals, depends on the audio, the probabilities and
the places of ``finalize``, ``configure`` and ``stop`` in the audio, never on how it was cut or when an answer came.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import partial

from protocol.effects import Detect, Effect, Emit, Finished, Forget, Kind, Recognize
from protocol.endpointing import WINDOW, Endpointer, Paused, Resumed, Signal, Started
from protocol.errors import Code, VoiceError
from protocol.events import VAD_OFF, Failed, ListenConfig, VadOptions
from protocol.recognition import Recognition
from protocol.recording import Recording
from protocol.requests import Hypothesis

__all__ = ["Detect", "Effect", "Emit", "Finished", "Forget", "Kind", "Listener", "Recognize"]

_BYTES = 2 * WINDOW  # of a window
_CHANGEABLE = frozenset(each.name for each in fields(ListenConfig)) - {"audio", "model"}
_VAD = frozenset(each.name for each in fields(VadOptions))


class Listener:
    """One stream of speech, from its first sample to ``Finished``."""

    __slots__ = (
        "_config", "_controls", "_detected", "_endpointer", "_recognition", "_recording", "_rest", "_stopped",
        "partial_interval_s",
    )  # fmt: skip

    def __init__(
        self, config: ListenConfig, *, partial_interval_s: float, incremental: bool = False, name: str = ""
    ) -> None:
        """``name`` makes ``Decode.stream`` the session's own; ``partial_interval_s`` may be changed at any time."""
        self.partial_interval_s = partial_interval_s
        self._config = config
        self._recording = Recording()
        self._endpointer = Endpointer(config.vad, config.max_utterance_s)
        self._recognition = Recognition(self._recording, incremental=incremental, name=name)
        self._rest = b""  # the beginning of the next window
        self._detected = 0  # windows given away to be judged
        # What to do when so many windows are judged; bounded by ``backlog``.
        self._controls: list[tuple[int, Callable[[], Iterator[Effect]]]] = []
        self._stopped = False

    @property
    def backlog(self) -> int:
        """Windows, and controls among them, that wait to be judged; while there are many, read no more."""
        return self._detected - self._endpointer.now + len(self._controls)

    @property
    def patience(self) -> int:
        """How many windows may gather before they are judged without anything being decided later; 0 for none.

        A partial may be asked for one window late: it costs nobody a wait, and partials of many streams seldom fall on
        the same window.
        """
        if self._controls:
            return 0
        patience = self._endpointer.patience
        look = self._recognition.looks_at(self.partial_interval_s)
        if look is None:
            return patience
        windows = -(-look // WINDOW) - self._endpointer.now
        return min(patience, max(1, windows) + 1)

    # -- from the client -----------------------------------------------------------------------------

    def feed(self, pcm16k: bytes) -> list[Effect]:
        """Hear whole samples, s16le mono at 16 kHz."""
        if self._deaf:
            return []
        self._recording.append(pcm16k)
        return list(self._detect(pcm16k))

    def finalize(self) -> list[Effect]:
        """End the utterance here; the stream goes on. Some Final always follows, an empty one if nothing was said."""
        return self._when_judged(partial(self._finalize, self._recording.end))

    def configure(self, changes: Mapping[str, object]) -> list[Effect]:
        """Change fields of ListenConfig (``vad``: a mapping of its own fields) from the next utterance on.

        Their types are the dialect's business. Where a field is unknown or fixed nothing changes at all, and a
        ``Failed`` that is not fatal names it.
        """
        try:
            changed(self._config, changes)
        except VoiceError as error:
            return [Emit(Failed(error, fatal=False))]
        return self._when_judged(partial(self._configure, changes))

    def stop(self) -> list[Effect]:
        """No more audio comes: the rest is judged and recognised; the last Final says so, then ``Finished``."""
        if self._deaf:
            return []
        silence = bytes(-len(self._rest) % _BYTES)  # to have the last samples judged
        effects = [*self._detect(silence), *self._when_judged(self._stop)]
        self._stopped = True
        return effects

    # -- from the engines ----------------------------------------------------------------------------

    def probability(self, probability: float) -> list[Effect]:
        """Take the judgement of the oldest window that has none."""
        if self._recognition.finished or self._endpointer.now == self._detected:
            return []
        return list(self._judged(probability))

    def answer(self, ticket: int, hypothesis: Hypothesis) -> list[Effect]:
        """Take what was recognised."""
        return list(self._recognition.answer(ticket, hypothesis))

    def failed(self, ticket: int, error: VoiceError) -> list[Effect]:
        """It could not be recognised: what looked ahead is done without, a final takes the session with it."""
        return list(self._recognition.failed(ticket, error))

    def superseded(self, ticket: int) -> list[Effect]:
        """A newer partial took this one's place before it was begun."""
        return self.failed(ticket, VoiceError(Code.BUSY, "the recogniser left out an utterance"))

    # -- within --------------------------------------------------------------------------------------

    @property
    def _deaf(self) -> bool:
        return self._stopped or self._recognition.finished

    def _detect(self, pcm: bytes) -> Iterator[Effect]:
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % _BYTES
        self._rest = pcm[whole:]
        self._detected += whole // _BYTES
        return (Detect(pcm[at : at + _BYTES]) for at in range(0, whole, _BYTES))

    def _judged(self, probability: float) -> Iterator[Effect]:
        endpointer = self._endpointer
        for signal in endpointer.push(probability):
            yield from self._follow(signal)
        if endpointer.speaking:
            yield from self._recognition.look(self._sample(endpointer.now), self.partial_interval_s)
        self._recording.forget(self._sample(endpointer.start))
        yield from self._control()

    def _follow(self, signal: Signal) -> Iterator[Effect]:
        match signal:
            case Started(at, start):
                first = max(self._sample(start), self._recording.start)  # the audio before is the last utterance's
                speech, own = max(self._sample(at), first), self._endpointer.split_from * WINDOW
                yield from self._recognition.begin(self._config, start=first, speech=speech, own=own)
            case Paused(end):
                yield from self._recognition.guess(self._sample(end))
            case Resumed():
                yield from self._recognition.resume()
            case _:
                yield from self._close(self._sample(signal.at), self._sample(signal.end))

    def _close(self, stopped: int, end: int) -> Iterator[Effect]:
        yield from self._recognition.close(stopped, end)
        self._recording.forget(end)

    def _sample(self, window: int) -> int:
        """Where a window begins; the last one may be partly made up."""
        return min(window * WINDOW, self._recording.end)

    # -- controls, at their place in the audio -------------------------------------------------------

    def _when_judged(self, control: Callable[[], Iterator[Effect]]) -> list[Effect]:
        if self._deaf:
            return []
        self._controls.append((self._detected, control))
        return list(self._control())

    def _control(self) -> Iterator[Effect]:
        while self._controls and self._controls[0][0] <= self._endpointer.now:
            yield from self._controls.pop(0)[1]()

    def _finalize(self, heard: int) -> Iterator[Effect]:
        stopped = self._endpointer.finish()
        if stopped is None:
            yield from self._recognition.nothing(self._config, heard)
        elif stopped.at == self._endpointer.now:  # in mid-speech: what has not filled a window is part of it
            yield from self._close(heard, heard)
        else:
            yield from self._follow(stopped)

    def _configure(self, changes: Mapping[str, object]) -> Iterator[Effect]:
        self._config = changed(self._config, changes)
        self._endpointer.configure(self._config.vad, self._config.max_utterance_s)
        return iter(())

    def _stop(self) -> Iterator[Effect]:
        stopped = self._endpointer.finish()
        if stopped is not None:
            yield from self._follow(stopped)
        yield from self._recognition.finish(self._config, self._recording.end)


def changed(config: ListenConfig, changes: Mapping[str, object]) -> ListenConfig:
    """Return ``config`` with these fields, and those of ``vad``, changed; VoiceError(BAD_REQUEST) where one may not."""
    vad = changes.get("vad", {})
    if not isinstance(vad, Mapping) or not vad.keys() <= _VAD or not changes.keys() <= _CHANGEABLE:
        allowed = sorted(_CHANGEABLE)
        raise VoiceError(Code.BAD_REQUEST, f"in mid-stream only these change: {', '.join(allowed)}", allowed=allowed)
    if vad and (vad.get("threshold") == VAD_OFF) != (config.vad.threshold == VAD_OFF):
        what = "vad cannot be switched on or off in mid-stream: open another stream for that."
        raise VoiceError(Code.BAD_REQUEST, what, field="vad")
    values = {**changes, "vad": replace(config.vad, **vad)}
    return replace(config, **values)  # type: ignore[arg-type]  # the dialect has looked at the types
