"""The child's side of the pipe, without a process: an engine in a thread at one end, frames at the other."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from engines import wire
from engines.base import Capabilities, Engine, Task
from engines.child import Child, Pipe, build, failure
from engines.frames import Frame, Kind, WireError
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis, Speak, SpeechChunk
from tests import engines_scripted as scripted


@contextmanager
def serving(engine: Engine) -> Iterator[Pipe]:
    """The parent's end of a pipe to a child that serves ``engine``; the child ends when it is closed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        thread = threading.Thread(target=Child(Pipe(theirs), engine).serve)
        thread.start()
        try:
            yield Pipe(ours)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert not thread.is_alive()


def answer(pipe: Pipe) -> Frame:
    frame = pipe.receive()
    assert frame is not None
    return frame


def recognize(call: int, *batch: Decode) -> Frame:
    head, buffers = wire.pack_decodes(batch)
    return Frame(Kind.RECOGNIZE, call, head, buffers)


def speak(call: int, text: str) -> Frame:
    return Frame(Kind.SPEAK, call, *wire.pack_speak(Speak(text, "low", words=True)))


def test_calls_are_answered_in_order() -> None:
    with serving(scripted.ScriptedRecognizer({})) as pipe:
        for call in (7, 8):
            pipe.send(recognize(call, Decode(scripted.tone(0.3 * call)), Decode(b"")))
        for call in (7, 8):
            frame = answer(pipe)
            assert (frame.kind, frame.call) == (Kind.DONE, call)
            decodes = [Decode(scripted.tone(0.3 * call)), Decode(b"")]
            texts = [one.text for one in wire.read_hypotheses(frame.head, decodes)]
            assert texts == [scripted.words_of(0.3 * call), ""]


def test_windows_are_judged() -> None:
    with serving(scripted.ScriptedDetector({})) as pipe:
        pipe.send(Frame(Kind.DETECT, 1, {}, (bytes(2 * 576 * 4), bytes(2 * 2 * 128 * 4))))
        frame = answer(pipe)
        assert [len(buffer) for buffer in frame.buffers] == [8, 2048]


def test_speech_comes_in_chunks_and_ends() -> None:
    with serving(scripted.ScriptedSynthesizer({})) as pipe:
        pipe.send(speak(3, "one two"))
        frames = [answer(pipe) for _ in range(7)]
        assert [frame.kind for frame in frames] == [Kind.CHUNK] * 6 + [Kind.DONE]
        assert sum(len(frame.buffers[0]) for frame in frames[:6]) == 2 * 2 * 6615


class Endless:
    """Speaks until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def describe(self) -> Capabilities:
        return Capabilities("endless", Task.SYNTHESIZE)

    def speak(self, request: Speak) -> Iterator[SpeechChunk]:
        try:
            while True:
                yield SpeechChunk(bytes(20), 8000)
        finally:
            self.closed.set()

    def close(self) -> None:
        """Nothing is held."""


def last_of(pipe: Pipe) -> Frame:
    while (frame := answer(pipe)).kind is Kind.CHUNK:
        pass
    return frame


def test_a_cancel_is_seen_between_two_chunks_and_what_follows_it_is_not_lost() -> None:
    engine = Endless()
    with serving(engine) as pipe:
        pipe.send(speak(1, "x"))
        assert answer(pipe).kind is Kind.CHUNK
        pipe.send(speak(2, "y"))
        pipe.send(Frame(Kind.CANCEL, 9))
        pipe.send(Frame(Kind.CANCEL, 1))
        assert last_of(pipe).call == 1
        assert engine.closed.is_set()
        pipe.send(Frame(Kind.CANCEL, 2))
        assert last_of(pipe).call == 2


def test_speech_ends_with_its_parent() -> None:
    engine = Endless()
    with serving(engine) as pipe:
        pipe.send(speak(1, "x"))
        assert answer(pipe).kind is Kind.CHUNK
    assert engine.closed.is_set()


def test_an_iterator_without_close_will_do() -> None:
    class Plain(Endless):
        def speak(self, request: Speak) -> Iterator[SpeechChunk]:
            return iter([SpeechChunk(b"ab", 8000)])

    with serving(Plain()) as pipe:
        pipe.send(speak(1, "x"))
        assert [answer(pipe).kind for _ in range(2)] == [Kind.CHUNK, Kind.DONE]


class Raising(scripted.NullRecognizer):
    """Raises what it was made with."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__({})
        self._error = error

    def recognize(self, batch: Sequence[Decode]) -> Sequence[Hypothesis]:
        if self._error is None:
            return [Hypothesis("x" * 2_000_000)]
        raise self._error


@pytest.mark.parametrize(
    ("error", "raised"),
    [(RuntimeError("a secret"), "RuntimeError"), (SystemExit(3), "SystemExit"), (None, "WireError")],
)
def test_whatever_is_raised_is_an_answer_and_the_next_call_is_served(error: BaseException | None, raised: str) -> None:
    with serving(Raising(error)) as pipe:
        for call in (1, 2):
            pipe.send(recognize(call, Decode(b"")))
            frame = answer(pipe)
            assert (frame.kind, frame.call, frame.head["raised"]) == (Kind.FAILED, call, raised)
            assert "secret" not in str(frame.head)


def test_after_a_memory_error_the_child_ends() -> None:
    with serving(Raising(MemoryError())) as pipe:
        pipe.send(recognize(1, Decode(b"")))
        assert answer(pipe).head["raised"] == "MemoryError"
        pipe.send(recognize(2, Decode(b"")))
        pipe._sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            pipe.receive()


def test_a_frame_larger_than_the_socket_takes_at_once() -> None:
    with serving(scripted.NullRecognizer({})) as pipe:
        pipe.send(recognize(1, *[Decode(bytes(2_000_000))] * 3))
        assert answer(pipe).kind is Kind.DONE


def test_failures_say_where_but_not_what() -> None:
    def fail(make: Callable[[], BaseException]) -> Frame:
        try:
            raise make()
        except BaseException as error:  # noqa: BLE001 (any kind is to be described)
            return failure(4, error)

    head = fail(lambda: ValueError("a secret")).head
    assert (head["raised"], str(head["at"]).split(":")[0]) == ("ValueError", "test_child.py")
    assert "secret" not in str(head)
    assert fail(lambda: WireError("the text is too long")).head["reason"] == "the text is too long"
    typed = wire.read_error(fail(lambda: VoiceError(Code.NOT_FOUND, "no voice", field="voice")).head)
    assert (typed.code, typed.facts) == (Code.NOT_FOUND, {"field": "voice"})


def test_an_engine_is_built_from_its_name_and_options(repository: object) -> None:
    order = {"factory": "tests.engines_scripted:null_recognizer", "options": {"model": "m"}, "nice": 0}
    assert build({**order, "directory": str(repository)}).describe().model == "m"
