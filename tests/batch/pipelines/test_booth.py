"""A phrase is made whole, and again when the engine was busy or fell, by a process that live speech does not feel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from batch.pipelines import booth
from batch.pipelines.booth import Booth, Utterance
from engines.fleet import Fleet
from engines.on_demand import Lender, Standing
from engines.speech import SpeechStream
from engines.synthesis_queue import SynthesisQueue
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak, SpeechChunk
from tests.batch.pipelines.studio import opened
from tests.engines.hosting import until

REQUEST = Speak("hello", "voice")


class Queue:
    """A synthesiser whose answers are scripted: sound, or an error after some sound."""

    def __init__(self, *answers: Code | None) -> None:
        self.answers = list(answers)
        self.asked: list[Priority] = []

    def speak(self, request: Speak, *, priority: Priority, engine: str = "") -> SpeechStream:
        self.asked.append(priority)
        stream = SpeechStream(request)
        stream.add(SpeechChunk(b"ab", 22050))
        answer = self.answers.pop(0)
        if answer is None:
            stream.add(SpeechChunk(b"cd", 22050))
            stream.end()
        else:
            stream.fail(VoiceError(answer, "no"))
        return stream

    def batch_speaker(self, engine: str) -> Lender[SynthesisQueue]:
        return Standing(cast(SynthesisQueue, self))


@pytest.fixture(autouse=True)
async def at_once(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(booth, "BACK_OFF_S", (0.0, 0.0, 0.0))
    yield


async def said(queue: Queue, priority: Priority = Priority.BATCH) -> Utterance:
    async with Booth(cast(Fleet, queue), priority) as here:
        return await here.utter(REQUEST, "espeak-ng")


@pytest.mark.parametrize("priority", [Priority.BATCH, Priority.SYNCHRONOUS])
async def test_the_whole_of_it(priority: Priority) -> None:
    queue = Queue(None)
    assert await said(queue, priority) == Utterance(b"abcd", 22050)
    assert queue.asked == [priority]


@pytest.mark.parametrize("code", [Code.BUSY, Code.ENGINE_RESTARTED, Code.MODEL_LOADING])
async def test_what_passes_is_waited_for_and_nothing_is_heard_twice(code: Code) -> None:
    assert await said(Queue(code, code, None)) == Utterance(b"abcd", 22050)


async def test_patience_ends() -> None:
    queue = Queue(*[Code.BUSY] * 4, None)
    with pytest.raises(VoiceError) as caught:
        await said(queue)
    assert caught.value.code is Code.BUSY
    assert len(queue.asked) == 4


async def test_other_failures_are_told_at_once() -> None:
    queue = Queue(Code.NOT_FOUND, None)
    with pytest.raises(VoiceError):
        await said(queue)
    assert len(queue.asked) == 1


async def test_being_cancelled_silences_the_engine() -> None:
    stream, silenced = SpeechStream(REQUEST), asyncio.Event()
    stream.cancel = silenced.set

    class Slow(Queue):
        def speak(self, request: Speak, *, priority: Priority, engine: str = "") -> SpeechStream:
            return stream

    task = asyncio.ensure_future(said(Slow()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert silenced.is_set()


async def test_an_engine_that_is_not_here() -> None:
    async with Booth(Fleet([]), Priority.BATCH) as here:
        with pytest.raises(VoiceError) as caught:
            await here.utter(REQUEST, "omnivoice")
    assert caught.value.code is Code.NOT_INSTALLED


async def test_what_is_borrowed_is_kept_for_the_job_and_given_back() -> None:
    borrowed = [0, 0]

    class Counting(Queue):
        def batch_speaker(self, engine: str) -> Lender[SynthesisQueue]:
            return self

        @asynccontextmanager
        async def borrow(self) -> AsyncIterator[SynthesisQueue]:
            borrowed[0] += 1
            yield cast(SynthesisQueue, self)
            borrowed[1] += 1

    async with Booth(cast(Fleet, Counting(None, None)), Priority.BATCH) as here:
        for _ in range(2):
            await here.utter(REQUEST, "espeak-ng")
        assert borrowed == [1, 0]
    assert borrowed == [1, 1]


async def test_a_job_that_is_waited_for_needs_no_other_process(tmp_path: Path) -> None:
    request = Speak("hello there", "en-us/male-1")
    async with opened(tmp_path) as studio:
        fleet = studio.tools.fleet
        fleet.lanes.idle_s = 0.0
        live = set(fleet.pids())
        async with Booth(fleet, Priority.SYNCHRONOUS) as here:
            assert (await here.utter(request, "espeak-ng")).pcm
            assert set(fleet.pids()) == live
        async with Booth(fleet, Priority.BATCH) as here:
            assert (await here.utter(request, "espeak-ng")).pcm
            assert len(set(fleet.pids()) - live) == 1
        await until(lambda: set(fleet.pids()) == live)
