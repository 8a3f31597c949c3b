"""In an engine's process: clauses of several sessions made in one call, each answered by frames of its own."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from engines import wire
from engines.base import Choir
from engines.frames import Frame, Kind
from protocol.errors import VoiceError
from protocol.requests import SpeechChunk

Failure = Callable[[int, BaseException], Frame]


class Pipe(Protocol):
    """The child's end, as far as it matters here."""

    def send(self, frame: Frame) -> None: ...

    def receive(self) -> Frame | None: ...

    def cancelled(self, call: int) -> bool: ...


def size_of(frame: Frame) -> int:
    """How many clauses are to be made with the one of this frame, it included."""
    count = frame.head.get("together", 1)
    return count if frame.kind is Kind.SPEAK and isinstance(count, int) else 1


def speak_together(pipe: Pipe, engine: Choir, first: Frame, failure: Failure) -> bool:
    """Answer the frame and those that come with it; False when the process should end for want of memory."""
    frames = [first]
    while len(frames) < size_of(first):
        frame = pipe.receive()
        if frame is None:
            raise ConnectionError("the parent is gone")
        if frame.kind is Kind.SPEAK:
            frames.append(frame)
    unanswered = dict(enumerate(frame.call for frame in frames))
    try:
        said = engine.speak_together([wire.read_speak(frame.head, frame.buffers) for frame in frames])
        _answer(pipe, said, unanswered, failure)
    except ConnectionError:
        raise
    except BaseException as error:  # noqa: BLE001 (whatever an engine raises is an answer)
        for call in unanswered.values():
            pipe.send(failure(call, error))
        return not isinstance(error, MemoryError)
    for call in unanswered.values():
        pipe.send(Frame(Kind.DONE, call))
    return True


def _answer(
    pipe: Pipe,
    said: Iterator[tuple[int, SpeechChunk | VoiceError | None]],
    unanswered: dict[int, int],
    failure: Failure,
) -> None:
    try:
        for number, piece in said:
            call = unanswered.get(number)
            if call is not None:
                if isinstance(piece, SpeechChunk):
                    pipe.send(Frame(Kind.CHUNK, call, wire.pack_chunk(piece), (piece.pcm,)))
                else:
                    del unanswered[number]
                    pipe.send(Frame(Kind.DONE, call) if piece is None else failure(call, piece))
            for other in _cancelled(pipe, unanswered):
                pipe.send(Frame(Kind.DONE, unanswered.pop(other)))
            if not unanswered:
                return
    finally:
        close = getattr(said, "close", None)  # a generator has it, a plain iterator need not
        if close is not None:
            close()


def _cancelled(pipe: Pipe, unanswered: dict[int, int]) -> Sequence[int]:
    return [number for number, call in unanswered.items() if pipe.cancelled(call)]
