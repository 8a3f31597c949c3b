"""A phrase is made whole, and again when the engine was busy or fell."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from batch.pipelines import utterance
from batch.pipelines.utterance import Utterance, utter
from engines.fleet import Fleet
from engines.speech import SpeechStream
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak, SpeechChunk

REQUEST = Speak("hello", "voice")


class Engines:
    """A fleet whose answers are scripted: sound, or an error after some sound."""

    def __init__(self, *answers: Code | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Priority]] = []

    def speak(self, request: Speak, *, engine: str, priority: Priority) -> SpeechStream:
        self.asked.append((engine, priority))
        stream = SpeechStream(request)
        stream.add(SpeechChunk(b"ab", 22050))
        answer = self.answers.pop(0)
        if answer is None:
            stream.add(SpeechChunk(b"cd", 22050))
            stream.end()
        else:
            stream.fail(VoiceError(answer, "no"))
        return stream


@pytest.fixture(autouse=True)
async def at_once(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(utterance, "BACK_OFF_S", (0.0, 0.0, 0.0))
    yield


async def said(engines: Engines) -> Utterance:
    return await utter(cast(Fleet, engines), REQUEST, "espeak-ng", Priority.BATCH)


async def test_the_whole_of_it() -> None:
    engines = Engines(None)
    assert await said(engines) == Utterance(b"abcd", 22050)
    assert engines.asked == [("espeak-ng", Priority.BATCH)]


@pytest.mark.parametrize("code", [Code.BUSY, Code.ENGINE_RESTARTED, Code.MODEL_LOADING])
async def test_what_passes_is_waited_for_and_nothing_is_heard_twice(code: Code) -> None:
    assert await said(Engines(code, code, None)) == Utterance(b"abcd", 22050)


async def test_patience_ends() -> None:
    engines = Engines(*[Code.BUSY] * 4, None)
    with pytest.raises(VoiceError) as caught:
        await said(engines)
    assert caught.value.code is Code.BUSY
    assert len(engines.asked) == 4


async def test_other_failures_are_told_at_once() -> None:
    engines = Engines(Code.NOT_FOUND, None)
    with pytest.raises(VoiceError):
        await said(engines)
    assert len(engines.asked) == 1


async def test_being_cancelled_silences_the_engine() -> None:
    stream, silenced = SpeechStream(REQUEST), asyncio.Event()
    stream.cancel = silenced.set

    class Slow:
        def speak(self, request: Speak, *, engine: str, priority: Priority) -> SpeechStream:
            return stream

    task = asyncio.ensure_future(utter(cast(Fleet, Slow()), REQUEST, "e", Priority.BATCH))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert silenced.is_set()
