"""The process of one engine: ``python -m engines.child FD PARENT NAME`` builds it, then answers one call at a time.

The pipe is a socket (descriptor FD) to the server's process (PARENT); NAME is for people who list processes. When the
server goes away, so does this: the kernel kills it (Linux), or the pipe ends. Signals meant for the server (Ctrl-C, a
service manager's SIGTERM) do not touch it: sessions are still being finished then.
"""

import contextlib
import ctypes
import faulthandler
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import cast

from engines import choir, wire
from engines.base import (
    Choir,
    Cloner,
    Diarizer,
    Engine,
    Factory,
    Recognizer,
    SoundTool,
    SpeechDetector,
    StemSeparator,
    Synthesizer,
    TextEngine,
)
from engines.frames import Frame, FrameReader, Head, Kind, WireError, pack
from engines.text_calls import pack_outcome, read_order
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Speak

_PR_SET_PDEATHSIG = 1
# Libraries that would tell their makers how they are used (onnxruntime does, by itself), or look models up: none of it.
_KEEP_TO_OURSELVES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


class Pipe:
    """The child's end: blocking reads in the main thread, whole frames written from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._writing = threading.Lock()
        self._early: list[Frame] = []  # frames read while looking for a cancel; a few, the parent sends one call a time

    def send(self, frame: Frame) -> None:
        """Write a frame. Raises WireError if it is over a limit (nothing is sent), OSError if the parent is gone."""
        pieces = pack(frame)
        with self._writing:
            sent = self._sock.sendmsg(pieces)
            if sent < sum(map(len, pieces)):
                self._sock.sendall(memoryview(b"".join(pieces))[sent:])

    def receive(self) -> Frame | None:
        """The next frame, however long it takes; None at the end."""
        if self._early:
            return self._early.pop(0)
        while (frame := self._reader.frame()) is None:
            count = self._sock.recv_into(self._reader.space())
            if not count:
                return None
            self._reader.filled(count)
        return frame

    def cancelled(self, call: int) -> bool:
        """Whether the parent has asked to stop this call. Does not wait; raises ConnectionError at the end."""
        with contextlib.suppress(BlockingIOError):
            while True:
                count = self._sock.recv_into(self._reader.space(), 0, socket.MSG_DONTWAIT)
                if not count:
                    raise ConnectionError("the parent is gone")
                self._reader.filled(count)
        while (frame := self._reader.frame()) is not None:
            self._early.append(frame)
        return any(frame.kind is Kind.CANCEL and frame.call == call for frame in self._early)


class Child:
    """Answers the calls that come down the pipe with one engine."""

    def __init__(self, pipe: Pipe, engine: Engine) -> None:
        self._pipe = pipe
        self._engine = engine
        self._answers: dict[Kind, Callable[[Frame], Frame]] = {
            Kind.RECOGNIZE: self._recognize,
            Kind.SPEAK: self._speak,
            Kind.DETECT: self._detect,
            Kind.CLONE: self._clone,
            Kind.SEPARATE: self._separate,
            Kind.DIARIZE: self._diarize,
            Kind.TREAT: self._treat,
            Kind.TEXT: self._work,
        }

    def serve(self) -> None:
        """Until the pipe ends, or memory does: after a MemoryError nothing is sure, so the process ends too."""
        while (frame := self._pipe.receive()) is not None:
            answer = self._answers.get(frame.kind)
            if answer is None:
                continue  # a cancel that came after the end of its call
            try:
                if choir.size_of(frame) == 1:
                    self._pipe.send(answer(frame))
                elif not choir.speak_together(self._pipe, cast(Choir, self._engine), frame, failure):
                    return
            except ConnectionError:
                return
            except BaseException as error:  # noqa: BLE001 (whatever an engine raises is an answer)
                self._pipe.send(failure(frame.call, error))
                if isinstance(error, MemoryError):
                    return

    def _recognize(self, frame: Frame) -> Frame:
        batch: list[Decode] = wire.read_decodes(frame.head, frame.buffers)
        answers = cast(Recognizer, self._engine).recognize(batch)
        return Frame(Kind.DONE, frame.call, wire.pack_hypotheses(answers))

    def _detect(self, frame: Frame) -> Frame:
        windows, state = frame.buffers
        return Frame(Kind.DONE, frame.call, {}, cast(SpeechDetector, self._engine).detect(windows, state))

    def _separate(self, frame: Frame) -> Frame:
        rate, channels = cast(int, frame.head["rate"]), cast(int, frame.head["channels"])
        engine = cast(StemSeparator, self._engine)
        take = engine.take_apart if frame.head["every"] else engine.separate
        head, buffers = wire.pack_stems(take(frame.buffers[0], rate, channels))
        return Frame(Kind.DONE, frame.call, head, buffers)

    def _diarize(self, frame: Frame) -> Frame:
        return Frame(Kind.DONE, frame.call, {}, cast(Diarizer, self._engine).voices(frame.buffers[0]))

    def _work(self, frame: Frame) -> Frame:
        outcome = cast(TextEngine, self._engine).work(read_order(frame.buffers))
        return Frame(Kind.DONE, frame.call, {}, pack_outcome(outcome))

    def _treat(self, frame: Frame) -> Frame:
        rate, channels = cast(int, frame.head["rate"]), cast(int, frame.head["channels"])
        order = cast(dict[str, object], frame.head["order"])
        treated = cast(SoundTool, self._engine).treat(frame.buffers[0], rate, channels, order)
        head, buffers = wire.pack_treated(treated)
        return Frame(Kind.DONE, frame.call, head, buffers)

    def _clone(self, frame: Frame) -> Frame:
        prompt = cast(Cloner, self._engine).clone(wire.read_reference(frame.head, frame.buffers))
        return Frame(Kind.DONE, frame.call, {}, (prompt,))

    def _speak(self, frame: Frame) -> Frame:
        request: Speak = wire.read_speak(frame.head, frame.buffers)
        chunks = cast(Synthesizer, self._engine).speak(request)
        try:
            for chunk in chunks:
                self._pipe.send(Frame(Kind.CHUNK, frame.call, wire.pack_chunk(chunk), (chunk.pcm,)))
                if self._pipe.cancelled(frame.call):
                    break
        finally:
            close = getattr(chunks, "close", None)  # a generator has it, a plain iterator need not
            if close is not None:
                close()
        return Frame(Kind.DONE, frame.call)


def failure(call: int, error: BaseException) -> Frame:
    """What an exception is on the pipe: its type and place, never its text, which may hold somebody's words."""
    if isinstance(error, VoiceError):
        return Frame(Kind.FAILED, call, wire.pack_error(error))
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f"{os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}" if at is not None else ""
    reason = str(error) if isinstance(error, WireError) else ""
    head: Head = wire.pack_error(VoiceError(Code.ENGINE_FAILED, "the engine failed"))
    return Frame(Kind.FAILED, call, {**head, "raised": type(error).__name__, "at": place, "reason": reason})


def build(head: Head) -> Engine:
    """The engine a BUILD frame asks for, loaded and warm."""
    os.chdir(str(head["directory"]))
    os.environ.update(_KEEP_TO_OURSELVES)
    be_patient()
    if head["nice"]:
        lower_priority(cast(int, head["nice"]))
        # Before any library is loaded that has threads of its own: those that wait for each other by spinning take the
        # time that is to be given way, and get nothing done with it.
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    module, _, attribute = str(head["factory"]).partition(":")
    make = cast(Factory, getattr(import_module(module), attribute))
    return make(cast(dict[str, object], head["options"]))


def be_patient() -> None:
    """Do not interrupt whoever wakes this process: the server's own has microseconds to do, an engine milliseconds.

    Else Linux lets who was woken go first, on the very core, and the sound of one session waits for all of another's.
    The share of the CPU stays the same.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def lower_priority(nice: int) -> None:
    """Give way to other processes.

    Linux may share the CPU out among sessions before it does among processes (autogroups), and this process leads a
    session of its own: there the session's own nice value is what counts.
    """
    os.nice(nice)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:
        group.write(str(nice))


def beat(pipe: Pipe, seconds: float) -> None:
    """Say every ``seconds`` that the interpreter runs; end the process when nobody listens."""
    forever = threading.Event()
    while not forever.wait(seconds):
        try:
            pipe.send(Frame(Kind.BEAT))
        except OSError:
            os._exit(0)


def settle(parent: int) -> None:
    """Tie this process to its parent and keep the parent's signals off it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("500")  # short of memory, the kernel ends an engine (replaced in seconds), not the server
    if os.getppid() != parent:
        os._exit(0)  # it died before the tie was made


def main(descriptor: int, parent: int) -> int:
    """Serve one engine; the exit status is 1 when it could not be built."""
    os.set_inheritable(descriptor, False)
    settle(parent)
    with socket.socket(fileno=descriptor) as sock:
        pipe = Pipe(sock)
        order = pipe.receive()
        if order is None or order.kind is not Kind.BUILD:
            return 1
        threading.Thread(target=beat, args=(pipe, order.head["beat_s"]), daemon=True).start()
        gc.disable()  # libraries leave much behind and no garbage: looking for it would take a tenth of the start
        try:
            engine = build(order.head)
            pipe.send(Frame(Kind.READY, 0, wire.pack_capabilities(engine.describe())))
        except Exception as error:  # noqa: BLE001 (the parent says what went wrong)
            pipe.send(failure(0, error))
            return 1
        gc.collect()
        gc.freeze()  # what the libraries loaded stays: no need to look at it in every collection
        gc.enable()
        with contextlib.suppress(OSError):
            Child(pipe, engine).serve()
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
