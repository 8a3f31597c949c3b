"""Rows S11 and S12: thousands of sessions, and one that lasts for hours, cost no more than one short one."""

import asyncio
import json
import time

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from protocol.session import Limits
from tests.chaos.clients import CALL, Heard, spoken, transcript
from tests.chaos.conftest import Subject
from tests.chaos.world import World, check_world
from tests.engines_scripted import silence, tone
from tests.stream.hearing_server import client, finals, house, message

AT_ONCE = 20
SLOPE = 1024  # bytes a session
NOISE = 6 << 20  # by which the allocator's own holdings come and go

# -- S11 -----------------------------------------------------------------------------------------------


async def churn(server: World, sessions: int) -> None:
    """So many sessions, some at once: 3 s of audio and stop; each tenth is spoken to instead."""
    numbers = iter(range(sessions))

    async def some() -> None:
        for number in numbers:
            if number % 10:
                heard = await admitted(server)
                assert [final["text"] for final in heard.finals] == ["alpha bravo charlie delta", "alpha"]
            else:
                assert (await spoken(server.speaks, "Good morning.")).complete

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


async def admitted(server: World) -> Heard:
    """A session; one that is refused because too many come at once tries again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await transcript(server.hears, CALL[:24_000], size=4800)
            except InvalidStatus as refused:
                assert refused.response.status_code == 503 and int(refused.response.headers["retry-after"]) > 0
                await asyncio.sleep(0.2)


async def leaves_nothing(subject: Subject, warm: int, sessions: int) -> None:
    server = subject.world
    await churn(server, warm)
    before = await asyncio.to_thread(server.census)
    await churn(server, sessions)
    await check_world(server, subject.before, errors=subject.errors)
    grown = (await asyncio.to_thread(server.census)).resident - before.resident
    assert grown < sessions * SLOPE + NOISE, f"{grown / sessions:.0f} bytes a session"


async def test_300_sessions_leave_nothing(subject: Subject) -> None:
    await leaves_nothing(subject, 100, 300)


@pytest.mark.nightly
async def test_20000_sessions_leave_nothing(subject: Subject) -> None:
    await leaves_nothing(subject, 2000, 20_000)


# -- S12 -----------------------------------------------------------------------------------------------

RATE = 44_100  # resampled, by a ratio that leaves no sample whole
PERIOD_S = 12.8  # a whole number of windows and of samples at either rate
SPEECH_S = 2.0
EXACT_S = 0.020


async def lasts(hours: float) -> None:
    """A session over a socket, hours of audio as fast as it is taken, with the flood limits lifted."""
    unlimited = Limits(audio_burst=1e9, audio_rate=1e9, messages=1e9, session=1e9)
    periods = round(hours * 3600 / PERIOD_S)
    period = tone(SPEECH_S, 440.0, RATE) + silence(PERIOD_S - SPEECH_S, RATE)
    starts: list[float] = []
    ends: list[float] = []
    resident: list[int] = []

    async with house(limits=unlimited) as served:
        config = {"sample_rate": RATE, "interim_results": False, "language": "en"}
        async with client(served, config=config) as socket:

            async def play() -> None:
                for _ in range(periods):
                    for at in range(0, len(period), 176_400):
                        await socket.send(period[at : at + 176_400])
                await socket.send(json.dumps({"action": "stop"}))

            async with asyncio.TaskGroup() as group:
                group.create_task(play())
                while True:
                    told = await message(socket, 60)
                    if finals([told]):
                        starts.append(told["start"] - len(starts) * PERIOD_S)
                        ends.append(told["end"] - len(ends) * PERIOD_S)
                        served.recogniser.asked.clear()  # it remembers all it heard
                        resident.append(psutil.Process().memory_info().rss)
                    if told.get("is_final"):
                        break
    assert len(starts) == periods
    # Where speech begins and ends is known to a window; that it stays the same place is what may not drift.
    assert max(starts) - min(starts) <= EXACT_S and max(ends) - min(ends) <= EXACT_S
    warm = resident[len(resident) // 5 :]
    assert max(warm) - warm[0] < 2 * NOISE, f"{(max(warm) - warm[0]) >> 20} MiB in {hours:g} h"


async def test_a_session_of_20_minutes_is_flat_and_exact() -> None:
    await lasts(1 / 3)


@pytest.mark.nightly
async def test_a_session_of_3_hours_is_flat_and_exact() -> None:
    began = time.monotonic()
    await lasts(3.0)
    assert time.monotonic() - began < 1200
