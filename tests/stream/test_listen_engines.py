"""``/v1/stream`` over engines in real child processes: what they say, and what happens when one dies in mid-session."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engines.fleet import Fleet
from engines.registry import EngineSpec
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, nothing_left
from tests.server.serving import until
from tests.stream.hearing_server import House, client, ending, finals, house, message, stop

EARS = scripted.recognizer(batch=4)


@asynccontextmanager
async def served(recognizer: EngineSpec = EARS) -> AsyncIterator[tuple[House, Fleet]]:
    with nothing_left():
        fleet = Fleet([recognizer, scripted.detector()], limits=QUICK)
        try:
            await fleet.start()
            async with house(fleet=fleet) as running:
                yield running, fleet
        finally:
            await fleet.aclose()


def said(messages: list[dict[str, object]]) -> list[str]:
    """The finals, without the words that pre-roll and tail add or lose."""
    return [str(text).split()[0] for text in finals(messages)]


async def test_four_sessions_at_once() -> None:
    async with served() as (running, _):

        async def talk(utterances: int) -> list[str]:
            async with client(running, config={}) as socket:
                for _ in range(utterances):
                    audio = scripted.tone(1.0) + scripted.silence(0.8)
                    for at in range(0, len(audio), 640):
                        await socket.send(audio[at : at + 640])
                messages, code, _ = await stop(socket)
                assert code == 1000
                return said(messages)

        heard = await asyncio.gather(*(talk(number) for number in range(1, 5)))
        assert heard == [["alpha"] * number for number in range(1, 5)]


@pytest.mark.parametrize("victim", [0, 1], ids=["recogniser", "detector"])
async def test_a_killed_engine_costs_no_session(victim: int) -> None:
    """kill -9 in mid-session: the child is replaced, the open utterance and the next one are recognised."""
    async with served() as (running, fleet), client(running, config={"interim_results": False}) as socket:
        await socket.send(scripted.tone(1.0) + scripted.silence(0.8))
        assert (await message(socket))["text"].startswith("alpha")
        await socket.send(scripted.tone(0.5))
        before = fleet.pids()
        os.kill(before[victim], signal.SIGKILL)
        await socket.send(scripted.tone(0.5) + scripted.silence(0.8))
        assert (await message(socket))["text"].startswith("alpha bravo")
        await until(lambda: fleet.ready and len(fleet.pids()) == 2 and fleet.pids()[victim] != before[victim])
        await socket.send(scripted.tone(1.0))
        messages, code, _ = await stop(socket)
        assert said(messages) == ["alpha"] and code == 1000


@pytest.mark.parametrize("fault", ["raise", "segfault", "few"])
async def test_an_engine_that_always_fails_ends_the_session_with_a_typed_error(fault: str) -> None:
    """S7 as a client sees it: an error of its own, close code 1011, and the slot is free again."""
    async with served(scripted.recognizer(fail=fault)) as (running, _):
        async with client(running, config={"interim_results": False}) as socket:
            await socket.send(scripted.tone(1.0) + scripted.silence(0.8))
            messages, code, _ = await ending(socket)
        assert messages[-1]["code"] in ("engine_failed", "engine_restarted") and code == 1011
        await until(lambda: running.admission.taken == 0)


async def test_shutdown_with_real_engines() -> None:
    async with served() as (running, _), client(running, config={"interim_results": False}) as socket:
        await socket.send(scripted.tone(1.0))
        await until(lambda: any(one._audio_bytes == 32_000 for one in running.listening._streams))
        future = asyncio.ensure_future(ending(socket))
        await running.listening.drain(10.0)
        messages, code, _ = await future
        assert said(messages) == ["alpha"] and messages[-1]["is_final"] and code == 1012
