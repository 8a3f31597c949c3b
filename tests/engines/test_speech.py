"""The stream between a synthesiser and its reader."""

import asyncio

import pytest

from engines import speech
from engines.speech import SpeechStream
from protocol.errors import Code, VoiceError
from protocol.requests import Speak, SpeechChunk

CHUNK = SpeechChunk(b"ab", 8000)
FAULT = VoiceError(Code.ENGINE_FAILED, "x")


def stream() -> SpeechStream:
    return SpeechStream(Speak("a", "v"))


async def test_chunks_then_the_end() -> None:
    it = stream()
    assert not it.emitted
    it.add(CHUNK)
    it.end()
    it.add(CHUNK)
    assert it.emitted
    assert [chunk async for chunk in it] == [CHUNK]


async def test_a_reader_that_waits_is_woken() -> None:
    it = stream()
    reading = asyncio.ensure_future(anext(it))
    await asyncio.sleep(0)
    it.add(CHUNK)
    assert await reading == CHUNK
    reading = asyncio.ensure_future(anext(it))
    await asyncio.sleep(0)
    it.fail(FAULT)
    with pytest.raises(VoiceError):
        await reading


async def test_a_failure_comes_after_what_was_made() -> None:
    it = stream()
    it.add(CHUNK)
    it.fail(FAULT)
    it.fail(VoiceError(Code.BUSY, "too late"))
    assert await anext(it) == CHUNK
    with pytest.raises(VoiceError) as caught:
        await anext(it)
    assert caught.value is FAULT


async def test_closing_cancels_once_and_drops_what_was_not_read() -> None:
    it, cancelled = stream(), []
    it.cancel = lambda: cancelled.append(1)
    it.add(CHUNK)
    await it.aclose()
    await it.aclose()
    assert cancelled == [1]
    assert [chunk async for chunk in it] == []


async def test_closing_what_is_over_cancels_nothing() -> None:
    it, cancelled = stream(), []
    it.cancel = lambda: cancelled.append(1)
    it.end()
    await it.aclose()
    assert cancelled == []


async def test_a_reader_that_gave_up_can_come_back() -> None:
    it = stream()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(it)
    it.add(CHUNK)
    assert await anext(it) == CHUNK


async def test_too_many_pieces_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "CHUNKS", 3)
    it = stream()
    for _ in range(5):
        it.add(CHUNK)
    with pytest.raises(VoiceError):
        async for chunk in it:
            assert chunk == CHUNK
