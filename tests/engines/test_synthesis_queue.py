"""Whose clause is made next, and what happens to it when a process falls."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from engines import synthesis_queue
from engines.base import Capabilities, Task
from engines.host import EngineHost
from engines.registry import EngineSpec
from engines.speech import SpeechStream
from engines.synthesis_queue import SynthesisQueue
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak, SpeechChunk
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, Notes, nothing_left, until

FINAL, PARTIAL, SYNCHRONOUS, BATCH = Priority
CHUNK = SpeechChunk(bytes(200), 8000)
RESTARTED = VoiceError(Code.ENGINE_RESTARTED, "x")


@dataclass
class Engine:
    """A host that makes a clause when the test says so."""

    alive: bool = True
    made: list[str] = field(default_factory=list)
    now: SpeechStream | None = None
    cancelled: int = 0
    spec = scripted.synthesizer()
    capabilities = Capabilities("tones", Task.SYNTHESIZE)
    waking = False

    def wake(self) -> None:
        """It never rests."""

    @property
    def free(self) -> bool:
        return self.alive and self.now is None

    def call_when_free(self, tell: object) -> None:
        self.tell = tell

    def speak(self, request: Speak, stream: SpeechStream, expected_s: float) -> SpeechStream:
        self.made.append(request.text)
        self.now = stream
        stream.cancel = self.cancel
        return stream

    def cancel(self) -> None:
        self.cancelled += 1

    def over(self, error: VoiceError | None = None) -> None:
        """The clause under way is made, or fails."""
        assert self.now is not None
        stream, self.now = self.now, None
        if error is not None:
            stream.fail(error)
        elif not stream.ended:
            stream.end()
        self.tell()  # type: ignore[operator]


def queue_of(*engines: Engine, notes: Notes | None = None) -> SynthesisQueue:
    return SynthesisQueue(cast(list[EngineHost], list(engines)), observer=notes)


async def code_of(stream: SpeechStream) -> Code | None:
    try:
        async for _ in stream:
            continue
    except VoiceError as error:
        return error.code
    return None


async def test_by_priority_then_first_come_first_served() -> None:
    engine, notes = Engine(), Notes()
    queue = queue_of(engine, notes=notes)
    orders = [("a", BATCH), ("b", SYNCHRONOUS), ("c", FINAL), ("d", BATCH), ("e", PARTIAL), ("f", FINAL)]
    for text, priority in orders:
        queue.speak(Speak(text, "low"), priority=priority)
    for _ in orders:
        engine.over()
    assert engine.made == ["a", "c", "f", "e", "b", "d"]
    assert len(notes.works) == len(notes.waits) == 6


async def test_processes_work_beside_each_other() -> None:
    engines = Engine(), Engine(), Engine(alive=False)
    queue = queue_of(*engines)
    for text in "abc":
        queue.speak(Speak(text, "low"), priority=SYNCHRONOUS)
    assert [engine.made for engine in engines] == [["a"], ["b"], []]
    engines[1].over()
    assert engines[1].made == ["b", "c"]


async def test_a_clause_closed_before_its_turn_is_never_begun() -> None:
    engine = Engine()
    queue = queue_of(engine)
    first, second, third = (queue.speak(Speak(text, "low"), priority=SYNCHRONOUS) for text in "abc")
    await second.aclose()
    await first.aclose()
    assert engine.cancelled == 1
    engine.over()
    engine.over()
    assert engine.made == ["a", "c"]
    assert third.ended


async def test_a_clause_not_yet_heard_is_made_again_and_before_the_others() -> None:
    engine = Engine()
    queue = queue_of(engine)
    first = queue.speak(Speak("a", "low"), priority=SYNCHRONOUS)
    queue.speak(Speak("b", "low"), priority=SYNCHRONOUS)
    engine.alive = False
    engine.over(RESTARTED)
    assert not first.ended
    engine.alive = True
    engine.tell()  # type: ignore[operator]
    assert engine.made == ["a", "a"]
    engine.over(RESTARTED)
    assert await code_of(first) is Code.ENGINE_RESTARTED
    assert engine.made == ["a", "a", "b"]


async def test_a_clause_of_which_something_was_made_is_not_begun_anew() -> None:
    engine = Engine()
    queue = queue_of(engine)
    stream = queue.speak(Speak("a", "low"), priority=SYNCHRONOUS)
    stream.add(CHUNK)
    engine.over(RESTARTED)
    assert await anext(stream) == CHUNK
    assert await code_of(stream) is Code.ENGINE_RESTARTED
    assert engine.made == ["a"]


async def test_another_failure_is_not_tried_again() -> None:
    engine = Engine()
    stream = queue_of(engine).speak(Speak("a", "low"), priority=SYNCHRONOUS)
    engine.over(VoiceError(Code.ENGINE_FAILED, "x"))
    assert await code_of(stream) is Code.ENGINE_FAILED


async def test_the_queue_and_the_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis_queue, "_QUEUE", 2)
    engine = Engine()
    queue = SynthesisQueue(cast(list[EngineHost], [engine]), wait_s=0.05)
    streams = [queue.speak(Speak(str(n), "low"), priority=SYNCHRONOUS) for n in range(4)]
    assert await code_of(streams[3]) is Code.BUSY
    assert await code_of(streams[1]) is Code.BUSY
    assert await code_of(streams[2]) is Code.BUSY
    assert not streams[0].ended
    engine.over()
    assert engine.made == ["0"]


async def test_closing_the_queue_fails_what_waits() -> None:
    engine = Engine()
    queue = queue_of(engine)
    streams = [queue.speak(Speak(text, "low"), priority=SYNCHRONOUS) for text in "ab"]
    queue.close()
    streams.append(queue.speak(Speak("c", "low"), priority=SYNCHRONOUS))
    assert not streams[0].ended  # its host says what becomes of it
    assert [await code_of(stream) for stream in streams[1:]] == [Code.SHUTTING_DOWN] * 2
    engine.alive = False
    engine.over(RESTARTED)
    assert await code_of(streams[0]) is Code.SHUTTING_DOWN


# -- with real children ------------------------------------------------------------------------------


@asynccontextmanager
async def queueing(spec: EngineSpec) -> AsyncIterator[tuple[SynthesisQueue, list[EngineHost]]]:
    hosts = [EngineHost(spec, limits=QUICK) for _ in range(spec.processes)]
    with nothing_left():
        try:
            await asyncio.gather(*(host.start() for host in hosts))
            yield SynthesisQueue(hosts), hosts
        finally:
            await asyncio.gather(*(host.aclose() for host in hosts))


async def test_sessions_share_the_processes_clause_by_clause() -> None:
    async with queueing(scripted.synthesizer(processes=2)) as (queue, _):

        async def session(number: int) -> float:
            seconds = 0.0
            for clause in range(5):
                request = Speak("word " * (1 + (number + clause) % 3), "low")
                async for chunk in queue.speak(request, priority=SYNCHRONOUS):
                    seconds += len(chunk.pcm) / (2 * chunk.rate)
            return seconds

        totals = await asyncio.gather(*(session(number) for number in range(8)))
        expected = [0.3 * sum(1 + (number + clause) % 3 for clause in range(5)) for number in range(8)]
        assert totals == pytest.approx(expected)


async def test_a_process_that_falls_before_the_first_sound_is_not_noticed(tmp_path: Path) -> None:
    spec = scripted.synthesizer(fail="segfault", once=str(tmp_path / "fell"))
    async with queueing(spec) as (queue, (host,)):
        stream = queue.speak(Speak("one two", "low"), priority=SYNCHRONOUS)
        assert sum([len(chunk.pcm) async for chunk in stream]) == 2 * 2 * 6615
        assert host.generation == 2


async def test_clear_frees_the_process_for_the_next_clause_at_once() -> None:
    """``clear`` has 50 ms; what the engine still has to do of a dropped clause must not stand in the way."""
    async with queueing(scripted.synthesizer(latency_s=0.01)) as (queue, _):
        long = queue.speak(Speak("word " * 100, "low"), priority=SYNCHRONOUS)
        await anext(long)
        began = time.monotonic()
        await long.aclose()
        await anext(queue.speak(Speak("next", "low"), priority=SYNCHRONOUS))
        assert time.monotonic() - began < 1.0  # 3 s for the rest of it
        await until(lambda: long.ended)
