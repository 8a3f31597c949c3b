"""Clauses of several sessions made in one call of an engine that gains from it, each with an end of its own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.fleet import Fleet
from engines.speech import SpeechStream
from protocol.errors import Code, VoiceError
from protocol.requests import Diffusion, Priority, Speak
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, nothing_left


@asynccontextmanager
async def choir(notes: Path, **options: str) -> AsyncIterator[Fleet]:
    """A fleet of one engine that makes four clauses together, busy with a first one."""
    with nothing_left():
        engine = scripted.synthesizer().with_options(batch=4, notes=str(notes), latency_s=0.01, **options)
        fleet = Fleet([engine], limits=QUICK)
        try:
            await fleet.start()
            yield fleet
        finally:
            await fleet.aclose()


async def heard(stream: SpeechStream) -> bytes | Code:
    try:
        return b"".join([chunk.pcm async for chunk in stream])
    except VoiceError as error:
        return error.code


def calls(notes: Path) -> list[int]:
    """How many clauses were made together, call by call; those made alone are not written down."""
    return [int(line) for line in notes.read_text().split()] if notes.exists() else []


async def test_what_waits_is_made_together_and_sounds_as_it_does_alone(tmp_path: Path) -> None:
    texts = ["one", "two three", "four five six", "seven", "eight nine"]
    async with choir(tmp_path / "notes") as fleet:
        alone = [await heard(fleet.speak(Speak(text, "low"))) for text in texts]
        assert calls(tmp_path / "notes") == []
        first = fleet.speak(Speak("the first", "low"))
        streams = [fleet.speak(Speak(text, "low")) for text in texts]
        among = await asyncio.gather(*map(heard, streams))
        assert among == alone and isinstance(await heard(first), bytes)
        assert calls(tmp_path / "notes") == [4]  # and the fifth after them, alone


async def test_only_alike_ones_are(tmp_path: Path) -> None:
    async with choir(tmp_path / "notes") as fleet:
        first = fleet.speak(Speak("the first", "low"))
        quick = Diffusion(num_step=8)
        streams = [fleet.speak(Speak(text, "low", diffusion=quick)) for text in ("a", "b")]
        streams += [fleet.speak(Speak("c", "low")), fleet.speak(Speak("d", "low"), priority=Priority.BATCH)]
        assert all(isinstance(sound, bytes) for sound in await asyncio.gather(*map(heard, [first, *streams])))
        assert calls(tmp_path / "notes") == [2]


async def test_an_error_and_a_closed_one_are_nobody_else_s(tmp_path: Path) -> None:
    async with choir(tmp_path / "notes") as fleet:
        first = fleet.speak(Speak("the first", "low"))
        wrong = fleet.speak(Speak("one [[typed]]", "low"))
        given_up = fleet.speak(Speak("word " * 50, "low"))
        right = fleet.speak(Speak("one two", "low"))
        await heard(first)
        await anext(given_up)
        await given_up.aclose()
        assert await heard(wrong) is Code.UNSUPPORTED_MEDIA
        assert isinstance(await heard(right), bytes)
        assert calls(tmp_path / "notes") == [3]
        assert isinstance(await heard(fleet.speak(Speak("again", "low"))), bytes)


@pytest.mark.parametrize("fault", ["raise", "exit"])
async def test_what_fells_the_call_costs_no_clause(tmp_path: Path, fault: str) -> None:
    once = tmp_path / "once"
    async with choir(tmp_path / "notes", once=str(once)) as fleet:
        first = fleet.speak(Speak("the first", "low"))
        streams = [fleet.speak(Speak(f"[[{fault}]]", "low")) for _ in range(3)]
        answers = await asyncio.gather(*map(heard, [first, *streams]))
        assert all(isinstance(one, bytes) for one in answers)  # made again, each alone
        assert calls(tmp_path / "notes") == [3]


async def test_a_killed_process_is_an_error_to_those_who_had_heard_something(tmp_path: Path) -> None:
    async with choir(tmp_path / "notes") as fleet:
        first = fleet.speak(Speak("the first", "low"))
        streams = [fleet.speak(Speak(text, "low")) for text in ("a", "b", "c")]
        await heard(first)
        os.kill(fleet.pids()[0], signal.SIGKILL)
        answers = await asyncio.gather(*map(heard, streams))
        assert all(isinstance(one, bytes) or one is Code.ENGINE_RESTARTED for one in answers)
