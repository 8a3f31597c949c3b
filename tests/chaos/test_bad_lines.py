"""Row S13: transcript and speech are the same on a bad line as on a clean one; a line that dies frees its session."""

import asyncio

import pytest

from tests.chaos.clients import CALL, CALL_CONFIG, Heard, configured, play, rest, spoken, transcript
from tests.chaos.conftest import Subject
from tests.chaos.network import Line, shim
from tests.chaos.world import World, until

COUNT = 3  # of each
FRAME, FRAME_S = 160, 0.02  # a telephone's
FASTER = 1.5  # than speech; 12 KB a second, of the 16 that the narrowest line carries
TEXT = "Over the hills and far away, the wind is blowing all the day."
GONE_S = 12.0
SEED = 20_261

BAD = {
    "latency": Line(latency_s=0.3, jitter_s=0.2),
    "bandwidth": Line(bytes_per_s=16_000),
    "slicer": Line(slices=(1, 7)),
    "all of these": Line(latency_s=0.3, jitter_s=0.2, bytes_per_s=16_000, slices=(1, 7)),
}
DYING = {"reset": Line(reset_after=30_000), "timeout": Line(silent_after=30_000)}


async def call(url: str) -> Heard:
    """A telephone call."""
    stream = await configured(url, CALL_CONFIG)
    async with asyncio.TaskGroup() as group:
        group.create_task(play(stream, CALL, size=FRAME, pace_s=FRAME_S / FASTER))
        heard = await rest(stream)
    return heard


async def same(server: World, line: Line, seed: int, clean: Heard, said: Heard) -> None:
    """One session of each kind over a line of its own."""
    async with shim(server.host, server.port, line, seed=seed) as way:
        ws = f"ws://127.0.0.1:{way.port}"
        heard, told = await asyncio.gather(call(f"{ws}/v1/stream"), spoken(f"{ws}/v1/stream/tts", TEXT, QUIETLY))
    assert heard.finals == clean.finals and heard.complete and heard.code == 1000, f"seed {seed}: {heard}"
    # espeak-ng hisses with a noise that is never twice the same, and silence is counted by its level: a sample or two.
    assert abs(len(told.sound) - len(said.sound)) < FRAME, f"seed {seed}"
    assert told.complete and words(told) == words(said), f"seed {seed}"
    starts = zip(told.messages, said.messages, strict=True)
    assert all(abs(one.get("start", 0.0) - other.get("start", 0.0)) < FRAME_S for one, other in starts), f"seed {seed}"


def words(told: Heard) -> list[tuple[object, ...]]:
    """What was said, and to which of the text's characters it belongs."""
    return [(one.get("word"), one.get("offset"), one.get("spoken")) for one in told.messages]


QUIETLY = {"pace": False, "format": "mulaw", "word_timestamps": True}


async def all_same(server: World, lines: dict[str, Line], count: int) -> None:
    """Every line so many times, all at once."""
    clean, said = await transcript(server.hears, size=FRAME), await spoken(server.speaks, TEXT, QUIETLY)
    assert len(clean.finals) == 3 and said.sound
    async with asyncio.TaskGroup() as group:
        for kind, line in enumerate(lines.values()):
            for number in range(count):
                group.create_task(same(server, line, SEED + 1000 * kind + number, clean, said))


async def test_nothing_is_lost_on_a_bad_line(subject: Subject) -> None:
    await all_same(subject.world, BAD, COUNT)


@pytest.mark.parametrize("name", DYING)
async def test_a_line_that_dies_frees_its_session(subject: Subject, name: str) -> None:
    """What had been said before it died was transcribed as ever."""
    await die(subject.world, DYING[name], COUNT)


async def die(server: World, line: Line, count: int) -> None:
    """So many lines that die in mid-call; the shim keeps silent ones open until the server has given up."""
    clean = (await transcript(server.hears, size=FRAME)).finals
    lasting = asyncio.Event()

    async def one(number: int) -> None:
        async with shim(server.host, server.port, line, seed=SEED + number) as way:
            heard = Heard()
            stream = await configured(f"ws://127.0.0.1:{way.port}/v1/stream", CALL_CONFIG)
            async with asyncio.TaskGroup() as group:
                group.create_task(play(stream, CALL, size=FRAME, pace_s=FRAME_S / FASTER))
                reading = group.create_task(rest(stream, heard, within=60))
                await lasting.wait()
                if not reading.done():
                    stream.transport.abort()
            assert heard.finals == clean[: len(heard.finals)] and 1 <= len(heard.finals) < 3
            assert not heard.complete

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
        await until(lambda: server.sessions() == count, 10, "all of them are calling")
        await until(lambda: server.sessions() == 0, GONE_S, "their sessions end")
        lasting.set()


@pytest.mark.nightly
async def test_nothing_is_lost_on_50_bad_lines_of_each_kind(subject: Subject) -> None:
    for _ in range(5):
        await all_same(subject.world, BAD, 10)


@pytest.mark.nightly
async def test_50_lines_that_die_free_their_sessions(subject: Subject) -> None:
    for line in DYING.values():
        for _ in range(5):
            await die(subject.world, line, 10)
