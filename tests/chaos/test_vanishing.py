"""Row S1, promise P4: however a client dies, and in whatever it was doing, its session does not outlive it for long."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.clients import STAGES, on_stage, reset, spoken, transcript
from tests.chaos.conftest import Subject, warmed
from tests.chaos.network import Line, cable, shim
from tests.chaos.world import QUICK, ROOT, World, check_world, until, world

COUNT = 12  # of each kind: four in each stage
AT_ONCE_S = 2.0  # how long after a FIN or RST a session may live
QUICK_S = 10.0  # ... and after a silent death, with the deadlines of QUICK
PROMISED_S = 30.0  # ... with those everybody has (P4)


@asynccontextmanager
async def crowd(ws: str, count: int, prefix: Sequence[str] = ()) -> AsyncIterator[asyncio.subprocess.Process]:
    """So many clients in a process of their own, each on its stage."""
    process = await asyncio.create_subprocess_exec(
        *prefix, sys.executable, "-m", "tests.chaos.crowd", ws, str(count), cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        await process.wait()


async def gone(server: World, within: float) -> float:
    """Seconds until no session is left."""
    return await until(lambda: server.sessions() == 0, within, "sessions of dead clients end")


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_client_that_hangs_up_is_gone_at_once(subject: Subject, how: str) -> None:
    server = subject.world
    streams = await asyncio.gather(*(on_stage(server.ws, STAGES[n % len(STAGES)]) for n in range(COUNT)))
    assert server.sessions() == COUNT
    for stream in streams:
        if how == "rst":
            reset(stream)
        else:
            stream.transport.close()
    await gone(server, AT_ONCE_S)
    await asyncio.gather(*(stream.wait_closed() for stream in streams))
    await engines_are_free(server)


async def used_by(server: World, count: int) -> Subject:
    """A server that so many clients have used at once, twice: it has the memory it needs for them."""
    for _ in range(2):
        async with crowd(server.ws, count):
            pass
        await gone(server, AT_ONCE_S + count / 50)
    return await warmed(server)


async def engines_are_free(server: World) -> None:
    """Nobody's words are still being spoken or recognised: a newcomer is served at once."""
    async with asyncio.timeout(5):
        assert (await spoken(server.speaks, "Hello.")).complete
        assert (await transcript(server.hears)).complete


async def test_a_frozen_client_is_noticed(subject: Subject) -> None:
    """Its kernel goes on acknowledging; only the pings tell."""
    async with crowd(subject.world.ws, COUNT) as process:
        assert subject.world.sessions() == COUNT
        process.send_signal(signal.SIGSTOP)
        await gone(subject.world, QUICK_S)
    await engines_are_free(subject.world)


async def test_a_pulled_cable_is_noticed(tmp_path: Path) -> None:
    await pulled(tmp_path, COUNT, QUICK_S, QUICK)


async def pulled(data: Path, count: int, within: float, settings: Mapping[str, str] | None = None) -> None:
    """Pull the cable of so many clients: a real one in a network namespace, else that of a shim."""
    with cable() as line, world(data, settings, host="0.0.0.0" if line else "127.0.0.1") as server:
        subject = await used_by(server, count)
        if line is not None:
            async with crowd(f"ws://{line.near}:{server.port}", count, line.inside):
                assert server.sessions() == count
                line.pull()
                await gone(server, within)
        else:
            async with (
                shim(server.host, server.port, Line(), seed=1) as way,
                crowd(f"ws://127.0.0.1:{way.port}", count),
            ):
                assert server.sessions() == count
                way.silent = True
                await gone(server, within)
        await check_world(server, subject.before)
        await engines_are_free(server)


# -- nightly: with the deadlines everybody has ---------------------------------------------------------


@pytest.mark.nightly
async def test_250_frozen_clients_are_noticed_as_promised(tmp_path: Path) -> None:
    """Twice: after the first time the server has the memory that so many full buffers take."""
    with world(tmp_path) as server:
        await freeze(server, 250)
        subject = await warmed(server)
        await freeze(server, 250)
        await check_world(server, subject.before)


async def freeze(server: World, count: int) -> None:
    """So many clients stop in the middle of what they do."""
    async with crowd(server.ws, count) as process:
        await asyncio.sleep(25)  # long enough for pings to become rare, were they to
        assert server.sessions() >= count // 3 * 2  # those who said nothing have been sent away by now
        process.send_signal(signal.SIGSTOP)
        await gone(server, PROMISED_S)


@pytest.mark.nightly
async def test_250_pulled_cables_are_noticed_as_promised(tmp_path: Path) -> None:
    await pulled(tmp_path, 250, PROMISED_S)
