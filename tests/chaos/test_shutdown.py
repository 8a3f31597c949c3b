"""Row S9, promise P7: SIGTERM in the middle of everything. (Fifty in mid-sentence: ``tests/server/test_drain.py``.)"""

import asyncio
import json
import signal
from pathlib import Path

import psutil
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from tests.chaos.clients import LONG_TEXT, Heard, configured, opening, rest
from tests.chaos.world import World, until, world
from tests.engines_scripted import tone

EACH = 10  # of five kinds: fifty
SLOW = "[[slow:0.1]]"  # a recogniser that takes its time, so that newcomers come while others wait
STUCK = "[[slow:60]]"
DRAINED_S, EXIT_S, AT_ONCE_S = 20.0, 25.0, 5.0


async def spoken_to(server: World) -> ClientConnection:
    """Minutes of speech are on their way, at the pace of playback."""
    stream = await configured(server.speaks, {"format": "mulaw"})
    await stream.send(json.dumps({"text": LONG_TEXT[:400]}))
    while not isinstance(await stream.recv(), bytes):
        pass
    return stream


async def in_mid_speech(server: World, prompt: str) -> ClientConnection:
    """Three words were said, and nothing yet says that they are over."""
    stream = await configured(server.hears, {"prompt": prompt, "interim_results": False, "events": True})
    await stream.send(tone(0.9))
    while "event" not in json.loads(await stream.recv()):
        pass
    return stream


async def refused(server: World) -> int | None:
    """What a newcomer is told once the server no longer calls itself ready; None when nobody listens any more."""
    try:
        await until(lambda: server.get("/readyz")[0] == 503, 10, "the server says that it is going down")
        stream = await opening(server.hears)
    except InvalidStatus as error:
        assert int(error.response.headers["retry-after"]) > 0
        return error.response.status_code
    except OSError:
        return None
    await stream.close()
    return 101


async def test_everybody_gets_a_last_word(tmp_path: Path) -> None:
    with world(tmp_path) as server:
        family, loop = server.tree, asyncio.get_running_loop()
        kinds = {
            "mid-speech": [in_mid_speech(server, SLOW) for _ in range(EACH)],
            "mid-playback": [spoken_to(server) for _ in range(EACH)],
            "listened to, silent": [configured(server.hears, {}) for _ in range(EACH)],
            "spoken to, silent": [configured(server.speaks, {}) for _ in range(EACH)],
            "not configured": [opening(server.hears).__aenter__() for _ in range(EACH)],
        }
        streams = {kind: await asyncio.gather(*coming) for kind, coming in kinds.items()}
        assert server.sessions() == 5 * EACH
        began = loop.time()
        server.end(signal.SIGTERM)
        everyone = [stream for group in streams.values() for stream in group]
        told, newcomer = await asyncio.gather(asyncio.gather(*map(rest, everyone)), refused(server))
        assert loop.time() - began < DRAINED_S
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        assert loop.time() - began < EXIT_S
        assert newcomer in (503, None)
        assert {heard.code for heard in told} == {1012}
        heard = {kind: told[index * EACH : (index + 1) * EACH] for index, kind in enumerate(streams)}
        assert all([final["text"] for final in one.finals] == ["alpha bravo charlie"] for one in heard["mid-speech"])
        assert all(one.complete for kind, group in heard.items() if kind != "not configured" for one in group)
        assert all(one.error == "shutting_down" for one in heard["not configured"])
        assert all(all_of_it(one) for one in heard["mid-playback"])
        assert not server.errors()
        assert not psutil.wait_procs(family, timeout=AT_ONCE_S)[1]


def all_of_it(heard: Heard) -> bool:
    """The text was spoken to its end, as far as it was given."""
    done = [message["spoken"] for message in heard.messages if message.get("event") == "done"]
    return " ".join(done).split() == LONG_TEXT[:400].split()


async def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    """Transcripts that will not come for a minute; the engines go with their server all the same."""
    with world(tmp_path) as server:
        family, loop = server.tree, asyncio.get_running_loop()
        streams = await asyncio.gather(*(in_mid_speech(server, STUCK) for _ in range(3)))
        server.end(signal.SIGTERM)
        await until(lambda: server.get("/readyz")[0] == 503, 10, "the server drains")
        began = loop.time()
        server.end(signal.SIGINT)
        heard = await asyncio.gather(*map(rest, streams))
        assert await asyncio.to_thread(server.process.wait, 30) == 1, "it was cut short, and says so"
        assert loop.time() - began < AT_ONCE_S
        assert {one.code for one in heard} <= {1012, 1006} and not any(one.finals for one in heard)
        assert not psutil.wait_procs(family, timeout=AT_ONCE_S)[1]


async def test_a_killed_server_leaves_no_engine_behind(tmp_path: Path) -> None:
    with world(tmp_path) as server:
        family = server.tree
        streams = [await spoken_to(server), await in_mid_speech(server, STUCK)]
        server.end(signal.SIGKILL)
        assert not psutil.wait_procs(family[1:], timeout=AT_ONCE_S)[1]
        assert {one.code for one in await asyncio.gather(*map(rest, streams))} == {1006}
