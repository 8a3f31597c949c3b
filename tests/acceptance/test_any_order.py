"""Clients that do anything in any order: every session ends in order or with a typed error, and the server lives on."""

import asyncio
import json
import random
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from loadtest.recordings import recordings
from loadtest.subject import Subject
from protocol.dialects import stt_ai
from protocol.errors import Code
from tests.acceptance.listening import bearer, hear
from tests.admission import admitted

SESSIONS = 24
STEPS = 30
FATAL = {code.value: close for code, (_, close) in stt_ai.ERRORS.items()} | {"bad_frame": 1002}

Step = Callable[[random.Random], str | bytes]


def listening_steps(pcm: bytes) -> list[Step]:
    """What a client of speech in may send, right or wrong."""

    def audio(rng: random.Random) -> bytes:
        at = rng.randrange(len(pcm))
        return pcm[at : at + rng.choice((0, 1, 2, 639, 640, 4097, 65_536))]

    def configure(rng: random.Random) -> str:
        keys: list[dict[str, object]] = [
            {"word_timestamps": True}, {"vad": {"min_silence_ms": rng.randint(100, 900)}}, {"events": True}, {},
            {"interim_results": False}, {"max_utterance_s": 1}, {"language": "vi"}, {"vad": {"threshold": 7}},
            {"vad": False},
        ]  # fmt: skip
        return json.dumps({"action": "configure", **rng.choice(keys)})

    return [audio, audio, audio, audio, configure, *plain("finalize", "keepalive", "mark"), *JUNK]


def speaking_steps() -> list[Step]:
    """What a client of speech out may send, right or wrong."""
    words = ["Hello", " there", ",", " my friend. ", "3.", "14 ", "\n", "🎉", "\ud83d", "", " " * 50, "ế", "a.b/c "]

    def text(rng: random.Random) -> str:
        return json.dumps({"text": "".join(rng.choices(words, k=rng.randint(0, 5))), "flush": rng.random() < 0.2})

    def mark(rng: random.Random) -> str:
        return json.dumps({"action": "mark", "name": str(rng.random())})

    return [text, text, text, mark, *plain("flush", "clear", "keepalive", "finalize"), *JUNK]


def plain(*actions: str) -> list[Step]:
    """Actions without anything else."""
    return [lambda _, action=action: json.dumps({"action": action}) for action in actions]  # type: ignore[misc]


JUNK: list[Step] = [lambda _: "{", lambda _: "[1]", lambda _: '{"action": {"a": 1}}', lambda _: "\x00"]


async def misbehave(address: str, key: str, steps: list[Step], seed: int) -> tuple[list[dict[str, object]], int | None]:
    """One session of random steps; what was said to it, and the close code. Some leave without a word."""
    rng = random.Random(seed)
    told: list[dict[str, object]] = []
    async with (
        asyncio.timeout(40),
        await admitted(address, additional_headers=bearer(key), compression=None) as socket,
    ):
        if rng.random() < 0.95:
            await socket.send(json.dumps(rng.choice(({}, {"language": "en"}, {"events": True, "pace": False}))))
        reading = asyncio.create_task(collect(socket, told))
        try:
            for _ in range(rng.randint(0, STEPS)):
                await socket.send(rng.choice(steps)(rng))
                if rng.random() < 0.1:
                    await asyncio.sleep(rng.random() / 10)
            if seed % 8 == 0:
                socket.transport.abort()
            await socket.send('{"action": "stop"}')
            await socket.send(rng.choice(steps)(rng))
        except ConnectionClosed:
            pass
        return told, await reading


async def collect(socket: ClientConnection, told: list[dict[str, object]]) -> int | None:
    """Read to the end; the close code."""
    try:
        while True:
            message = await socket.recv()
            if isinstance(message, str):
                told.append(json.loads(message))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


async def test_whatever_a_client_does_it_is_told_how_it_ended(live: Subject) -> None:
    (recording,) = recordings(1, utterances=2)
    listen, speak = listening_steps(recording.pcm), speaking_steps()
    plays = [(f"{live.ws}/v1/stream", listen, seed) for seed in range(SESSIONS)]
    plays += [(f"{live.ws}/v1/stream/tts", speak, seed) for seed in range(SESSIONS)]
    ends = await asyncio.gather(*(misbehave(address, live.key, steps, seed) for address, steps, seed in plays))
    ways: set[object] = set()
    for (address, _, seed), (told, code) in zip(plays, ends, strict=True):
        fatal = [one for one in told if one.get("fatal")]
        assert not [one for one in told if one.get("code") == Code.INTERNAL.value], (address, seed)
        if seed % 8 == 0:
            continue
        if fatal:
            assert fatal == [told[-1]] and code == FATAL[str(told[-1]["code"])], (address, seed, told[-1], code)
        else:
            assert told[-1].get("is_final") is True and code == 1000, (address, seed, told[-3:], code)
        ways.add(told[-1].get("code", "in order"))
    assert {"in order", "out_of_order"} <= ways, "the clients were not wild enough"
    after = await hear(live.ws, live.key, [recording.pcm], config={"language": "en"})
    assert after.check().text == " ".join(utterance.text for utterance in recording.utterances)
    assert live.process.is_running()
