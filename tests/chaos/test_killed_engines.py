"""Row S7 over the live socket: an engine's process is killed under the sessions it serves."""

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from loadtest.recordings import CHECKPOINT, record
from tests.chaos.clients import CALL, CALL_CONFIG, Heard, configured, play, rest, spoken, transcript
from tests.chaos.conftest import warmed
from tests.chaos.world import Census, World, check_world, until, world
from tests.checkpoints.nano_whisper.held_out import held_out_sentences

ROLES = ("recognizer", "detector", "synthesizer")
ROUNDS = 5
HEARING, SPEAKING = 4, 3
REPLACED_S = 5.0
REAPERS = 2
PATIENCE_S = 20.0  # for real models, whose libraries take their time on a busy machine
TEXT = "One, two, three, four, five, six, seven, eight, nine, ten. " * 3


@dataclass(frozen=True, slots=True)
class Part:
    """What the sessions of a test say and are told."""

    sound: bytes
    config: dict[str, object]
    size: int
    pace_s: float


SCRIPTED = Part(CALL, {**CALL_CONFIG, "prompt": "[[slow:0.01]]"}, 800, 0.01)  # ten times as fast as speech


async def hear(server: World, part: Part, started: asyncio.Semaphore) -> Heard:
    """A session of speech in; ``started`` when half of it is said."""
    stream = await admitted(server.hears, dict(part.config))
    half = len(part.sound) // 2 // part.size * part.size

    async def say() -> None:
        await play_on(stream, part.sound[:half], part)
        started.release()
        await play(stream, part.sound[half:], size=part.size, pace_s=part.pace_s)

    async with asyncio.TaskGroup() as group:
        group.create_task(say())
        return await rest(stream)


async def admitted(url: str, config: dict[str, object]) -> ClientConnection:
    """A stream; whoever is told that the server is busy comes again. It is for a while, after finals had to wait."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while True:
        try:
            return await configured(url, config)
        except InvalidStatus as refused:
            if refused.response.status_code != 503 or loop.time() > deadline:
                raise
        await asyncio.sleep(0.2)


async def play_on(stream: ClientConnection, sound: bytes, part: Part) -> None:
    """As ``play``, without an end."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for at in range(0, len(sound), part.size):
        await stream.send(sound[at : at + part.size])
        due += part.pace_s
        await asyncio.sleep(max(0.0, due - loop.time()))


async def listen(server: World, started: asyncio.Semaphore) -> Heard:
    """A session of speech out; ``started`` when its sound has begun."""
    stream = await configured(server.speaks, {"pace": True, "format": "mulaw"})
    for word in TEXT.split(" "):
        await stream.send(json.dumps({"text": word + " "}))
    heard = Heard()
    heard.add(await stream.recv())
    started.release()
    await stream.send('{"action": "flush"}')
    while not heard.sound:
        heard.add(await stream.recv())
    # It has heard enough when it would have to wait for the whole text at the pace of speech.
    await stream.send('{"action": "clear"}')
    await stream.send('{"text": "And that is all."}')
    await stream.send('{"action": "stop"}')
    return await rest(stream, heard)


async def killed(server: World, role: str, part: Part, clean: list[dict[str, object]], patience_s: float) -> None:
    """Kill one engine in the middle of some sessions of each kind, and see each of them end as it should."""
    before = server.total("voxline_engine_restarts_total")
    started = asyncio.Semaphore(0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        hearing = [group.create_task(hear(server, part, started)) for _ in range(HEARING)]
        speaking = [group.create_task(listen(server, started)) for _ in range(SPEAKING)]
        for _ in range(HEARING + SPEAKING):
            await started.acquire()
        victim = server.engine(role)
        assert victim is not None, f"there is no {role}"
        victim.kill()
        await replaced(server, role, victim, before, patience_s)
    for task in hearing:
        heard = task.result()
        if heard.complete:
            assert heard.finals == clean and heard.code == 1000
        else:
            assert (heard.error, heard.code) == ("engine_restarted", 1011), heard.messages[-1:]
    for task in speaking:
        heard = task.result()
        if heard.complete:
            done = [message["spoken"] for message in heard.messages if message.get("event") == "done"]
            assert done[-1] == "And that is all." and heard.code == 1000
        else:
            assert (heard.error, heard.code) == ("engine_restarted", 1011), heard.messages[-1:]


async def replaced(server: World, role: str, victim: psutil.Process, before: float, patience_s: float) -> None:
    """Another process is there and warm, and the server calls itself ready."""

    def there() -> bool:
        child = server.engine(role)
        ready = server.get("/readyz")[0] == 200
        return ready and child is not None and child.pid != victim.pid and len(server.tree) == 5

    await until(lambda: server.total("voxline_engine_restarts_total") > before, REPLACED_S, "the death is noticed")
    await until(there, patience_s, f"another {role}")


def reaping(before: Census) -> Census:
    """The threads that wait for the dead are kept for the next ones."""
    return replace(before, threads=before.threads + REAPERS)


@pytest.mark.parametrize("role", ROLES)
async def test_a_killed_engine_costs_no_session(standing: World, role: str) -> None:
    server, subject = standing, await warmed(standing)
    clean = (await transcript(server.hears)).finals
    assert len(clean) == 3
    for _ in range(ROUNDS):
        await killed(server, role, SCRIPTED, clean, REPLACED_S)
    assert (await transcript(server.hears)).finals == clean and (await spoken(server.speaks, "Hello.")).complete
    await check_world(server, reaping(subject.before), errors=subject.errors)


async def test_real_engines_are_replaced_in_mid_sentence(tmp_path: Path) -> None:
    """The demonstration recogniser, Silero and espeak-ng: the transcript is that of a quiet day."""
    recording = record(held_out_sentences("en", 2, seed=7))
    part = Part(recording.pcm, {"language": "en"}, 3200, 0.03)  # three times as fast as speech
    with world(tmp_path, {"whisper_model": str(CHECKPOINT), "synthesizers": "2"}, real=True) as server:
        clean = (await transcript(server.hears, part.sound, part.config)).finals
        assert len(clean) == 2
        subject = await warmed(server)
        for role in ROLES:
            await killed(server, role, part, clean, PATIENCE_S)
        await check_world(server, reaping(subject.before), within=PATIENCE_S)

