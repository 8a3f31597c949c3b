"""Real child processes: their calls, their faults (RELIABILITY.md, S7), their deaths, and what they leave (nothing)."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uvloop

from engines import wire
from engines.base import Capabilities, Task
from engines.frames import Frame, Kind
from engines.host import EngineHost
from engines.registry import EngineSpec
from engines.supervisor import HostLimits
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis, Speak, SpeechChunk
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, Notes, children, gone, hosting, nothing_left, until

SOUND = scripted.tone(1.0)
MEMORY = 300 << 20  # limit of a child in these tests; a sound one needs some 20 MiB
FELLING = ("hang", "segfault", "memory", "bytes")  # faults that cost the child its life
STAYING = ("raise", "nan", "long", "back", "surrogate", "few")  # faults it survives


async def hear(host: EngineHost, prompt: str = "") -> Hypothesis:
    (answer,) = await host.recognize([Decode(SOUND, word_timestamps=True, prompt=prompt)])
    return answer


def nice_of_session(pid: int) -> int | None:
    """None where sessions are not weighed."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])
    return None


def windows(count: int, level: float = 0.0) -> tuple[bytes, bytes]:
    samples = np.full((count, 576), level, np.float32)
    return samples.tobytes(), np.zeros((2, count, 128), np.float32).tobytes()


# -- calls -------------------------------------------------------------------------------------------


async def test_a_batch_is_answered_in_order() -> None:
    async with hosting(scripted.recognizer()) as host:
        seconds = [0.0, 0.35, 3.1, 0.95]
        answers = await host.recognize([Decode(scripted.tone(length)) for length in seconds])
        assert [answer.text for answer in answers] == [scripted.words_of(length) for length in seconds]
        assert host.capabilities.task is Task.RECOGNIZE
        assert (host.alive, host.generation) == (True, 1)
        assert host.pid in children()


async def test_calls_made_at_once_are_answered_each() -> None:
    async with hosting(scripted.recognizer()) as host:
        lengths = [0.1 * n for n in range(20)]
        answers = await asyncio.gather(*(host.recognize([Decode(scripted.tone(length))]) for length in lengths))
        assert [one.text for (one,) in answers] == [scripted.words_of(length) for length in lengths]


async def test_a_call_nobody_waits_for_harms_no_other() -> None:
    async with hosting(scripted.recognizer(latency_s=0.1)) as host:
        first = asyncio.ensure_future(hear(host))
        await asyncio.sleep(0)
        first.cancel()
        assert (await hear(host)).text == scripted.words_of(1.0)
        assert first.cancelled()


async def test_what_is_too_large_for_the_pipe_is_refused_before_it_is_sent() -> None:
    async with hosting(scripted.recognizer()) as host:
        with pytest.raises(VoiceError) as caught:
            await host.recognize([Decode(bytes(20_000_000))])
        assert caught.value.code is Code.TOO_LARGE
        assert (await hear(host)).text


async def test_the_detector_s_answer_and_state() -> None:
    async with hosting(scripted.detector()) as host:
        loud, state = windows(3, 0.5)
        probabilities, state = await host.detect(loud, state)
        assert np.frombuffer(probabilities, np.float32) == pytest.approx([0.97] * 3)
        quiet, _ = windows(3)
        probabilities, state = await host.detect(quiet, state)
        assert np.frombuffer(probabilities, np.float32) == pytest.approx([0.03] * 3)
        assert np.frombuffer(state, np.float32)[[0, 128, 256]].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("fault", ["nan", "long", "few"])
async def test_a_detector_s_garbage_is_an_error(fault: str) -> None:
    async with hosting(scripted.detector(fail=fault)) as host:
        with pytest.raises(VoiceError) as caught:
            await host.detect(*windows(2))
        assert caught.value.code is Code.ENGINE_FAILED


async def test_a_mix_is_taken_apart() -> None:
    async with hosting(scripted.separator()) as host:
        mix = bytes(range(1, 13))
        stems = await host.separate(mix, 44_100, 2)
        assert stems == {"vocals": b"\1\2\0\0\5\6\0\0\x09\x0a\0\0", "instrumental": b"\0\0\3\4\0\0\7\x08\0\0\x0b\x0c"}


async def test_stems_that_do_not_fit_the_mix_are_an_error() -> None:
    async with hosting(scripted.separator(fail="few")) as host:
        with pytest.raises(VoiceError) as caught:
            await host.separate(bytes(400), 44_100, 2)
        assert caught.value.code is Code.ENGINE_FAILED


async def test_a_nice_child_gives_way() -> None:
    """A child leads a session of its own, and Linux may weigh sessions before it weighs processes: both are lowered."""
    async with hosting(replace(scripted.separator(), nice=15)) as host:
        assert host.pid is not None
        assert os.getpriority(os.PRIO_PROCESS, host.pid) == 15
        assert nice_of_session(host.pid) in (None, 15)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has it")
async def test_a_child_does_not_interrupt_who_wakes_it() -> None:
    """The server's own process was put off for milliseconds whenever it handed a clause to an engine."""
    async with hosting(scripted.synthesizer()) as host:
        assert host.pid is not None
        assert os.sched_getscheduler(host.pid) == os.SCHED_BATCH


async def test_a_typed_error_of_the_engine_keeps_its_type() -> None:
    async with hosting(scripted.recognizer()) as host:
        with pytest.raises(VoiceError) as caught:
            await hear(host, "[[typed]]")
        assert caught.value.code is Code.UNSUPPORTED_MEDIA
        assert caught.value.facts == {"allowed": "that kind", "field": "audio"}


async def test_an_exception_s_text_stays_in_the_child(caplog: pytest.LogCaptureFixture) -> None:
    async with hosting(scripted.recognizer()) as host:
        with pytest.raises(VoiceError) as caught:
            await hear(host, "[[raise]]")
        assert "script" not in caught.value.message
    assert "RuntimeError at engines_scripted.py" in caplog.text
    assert "the script says so" not in caplog.text


# -- speech ------------------------------------------------------------------------------------------


async def read(stream: object) -> list[SpeechChunk]:
    return [chunk async for chunk in stream]  # type: ignore[attr-defined]


async def test_speech_with_its_words() -> None:
    async with hosting(scripted.synthesizer()) as host:
        chunks = await read(host.speak(Speak("one two  three", "low", words=True)))
        assert sum(len(chunk.pcm) for chunk in chunks) == 2 * 3 * round(0.3 * 22050)
        words = [word for chunk in chunks for word in chunk.words]
        assert [(word.offset, word.length, round(word.start, 2)) for word in words] == [
            (0, 3, 0),
            (4, 3, 0.3),
            (9, 5, 0.6),
        ]


async def test_closing_speech_stops_the_child_s_work() -> None:
    async with hosting(scripted.synthesizer(latency_s=0.02)) as host:
        stream = host.speak(Speak("word " * 200, "low"))
        await anext(stream)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        began = time.monotonic()
        assert await read(host.speak(Speak("next", "low")))
        assert time.monotonic() - began < 5.0  # the whole of it would take 12 s
        assert host.generation == 1


async def test_speech_runs_ahead_of_its_listener() -> None:
    """A listener paced to real time must not keep the synthesiser from the others."""
    async with hosting(scripted.synthesizer()) as host:
        slow = host.speak(Speak("a b c d", "low"))
        await anext(slow)
        assert await read(host.speak(Speak("e", "low")))
        assert sum(len(chunk.pcm) for chunk in await read(slow)) == 2 * 4 * 6615 - 2 * 2205


async def test_speech_that_fails_in_its_middle_gives_first_what_was_made() -> None:
    async with hosting(scripted.synthesizer()) as host:
        chunks = []
        with pytest.raises(VoiceError) as caught:
            async for chunk in host.speak(Speak("good [[raise]] never", "low")):
                chunks.append(chunk)
        assert caught.value.code is Code.ENGINE_FAILED
        assert sum(len(chunk.pcm) for chunk in chunks) == 2 * 6615
        assert await read(host.speak(Speak("good", "low")))


@pytest.mark.parametrize("fault", ["nan", "back", "few"])
async def test_garbage_in_speech_ends_it(fault: str) -> None:
    async with hosting(scripted.synthesizer()) as host:
        with pytest.raises(VoiceError) as caught:
            await read(host.speak(Speak(f"good [[{fault}]] never", "low", words=True)))
        assert caught.value.code is Code.ENGINE_FAILED
        assert await read(host.speak(Speak("good", "low")))
        assert host.generation == 1


async def test_speech_of_a_child_that_dies() -> None:
    async with hosting(scripted.synthesizer()) as host:
        with pytest.raises(VoiceError) as caught:
            await read(host.speak(Speak("good [[segfault]]", "low")))
        assert caught.value.code is Code.ENGINE_RESTARTED
        with pytest.raises(VoiceError) as caught:
            await read(host.speak(Speak("too early", "low")))
        assert caught.value.code is Code.ENGINE_RESTARTED
        await host.wait_alive()
        assert await read(host.speak(Speak("good", "low")))


async def test_speech_that_hangs_and_was_closed_costs_the_child_its_life(tmp_path: Path) -> None:
    hung = tmp_path / "hung"
    async with hosting(scripted.synthesizer(once=str(hung))) as host:
        stream = host.speak(Speak("[[hang]]", "low"))
        await until(hung.exists)
        await stream.aclose()
        await until(lambda: host.generation == 2 and host.alive)


# -- faults (S7) -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FELLING)
async def test_a_child_that_cannot_go_on_is_replaced(fault: str) -> None:
    """Five times each; other calls go on, the caller gets a typed error in time, the new child comes within 5 s."""
    notes = Notes()
    limits = replace(QUICK, grace_s=0.5 if fault == "hang" else 20.0)
    async with hosting(scripted.recognizer(memory_bytes=MEMORY), notes, limits) as host:
        for count in range(1, 6):
            before = host.pid
            began = time.monotonic()
            with pytest.raises(VoiceError) as caught:
                await hear(host, f"[[{fault}]]")
            assert caught.value.code is Code.ENGINE_RESTARTED
            assert time.monotonic() - began < 5.0
            began = time.monotonic()
            assert (await hear(host)).text == scripted.words_of(1.0)
            assert time.monotonic() - began < 5.0
            assert host.generation == count + 1
            assert host.pid != before and before is not None and gone(before)
        assert len(notes.restarts) == 5
        words = {"hang": "hung", "segfault": "crashed", "memory": "outgrew its memory", "bytes": "garbage"}
        assert set(notes.restarts) == {words[fault]}


@pytest.mark.parametrize("fault", STAYING)
async def test_a_wrong_answer_is_one_error_and_no_more(fault: str) -> None:
    async with hosting(scripted.recognizer()) as host:
        for _ in range(5):
            with pytest.raises(VoiceError) as caught:
                await hear(host, f"[[{fault}]]")
            assert caught.value.code is Code.ENGINE_FAILED
            assert (await hear(host)).text == scripted.words_of(1.0)
        assert host.generation == 1


async def test_a_child_that_falls_silent_is_replaced() -> None:
    """Its interpreter is held, so it does not even say that it lives: no need to wait for the call's deadline."""
    notes = Notes()
    limits = replace(QUICK, grace_s=60.0)
    async with hosting(scripted.recognizer(), notes, limits) as host:
        with pytest.raises(VoiceError) as caught:
            await hear(host, "[[freeze]]")
        assert caught.value.code is Code.ENGINE_RESTARTED
        assert (await hear(host)).text
        assert notes.restarts == ["fell silent"]


async def test_a_stopped_child_is_replaced_though_nobody_calls_it() -> None:
    async with hosting(scripted.recognizer()) as host:
        assert host.pid is not None
        os.kill(host.pid, signal.SIGSTOP)
        await until(lambda: host.generation == 2 and host.alive)


async def test_a_long_call_that_was_announced_is_not_a_hang() -> None:
    async with hosting(scripted.recognizer()) as host:
        slow = Decode(SOUND, prompt="[[slow:1.5]]")
        with pytest.raises(VoiceError):
            await host.recognize([slow])
        await host.recognize([slow], expected_s=3.0)
        assert host.generation == 2


async def test_all_calls_under_way_hear_of_the_death() -> None:
    async with hosting(scripted.recognizer()) as host:
        prompts = ["[[segfault]]", "", ""]
        outcomes = await asyncio.gather(*(hear(host, prompt) for prompt in prompts), return_exceptions=True)
        assert [getattr(one, "code", None) for one in outcomes] == [Code.ENGINE_RESTARTED] * 3


# -- life --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (EngineSpec("x", Task.RECOGNIZE, "tests.engines_scripted:nothing", install="do this"), Code.ENGINE_FAILED),
        (EngineSpec("x", Task.RECOGNIZE, "no.such.module:x", install="do this"), Code.ENGINE_FAILED),
        (EngineSpec("x", Task.RECOGNIZE, "os:_exit"), Code.ENGINE_FAILED),
    ],
)
async def test_an_engine_that_cannot_be_built(spec: EngineSpec, code: Code) -> None:
    with nothing_left():
        host = EngineHost(spec, limits=QUICK)
        with pytest.raises(VoiceError) as caught:
            await host.start()
        assert caught.value.code is code
        assert caught.value.facts.get("install", spec.install) == spec.install
        with pytest.raises(VoiceError):
            _ = host.capabilities
        await host.aclose()


async def test_an_engine_that_takes_too_long_to_build() -> None:
    with nothing_left():
        host = EngineHost(scripted.recognizer(warm_s=60), limits=HostLimits(start_s=0.5))
        with pytest.raises(VoiceError) as caught:
            await host.start()
        assert caught.value.code is Code.MODEL_LOADING


async def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    with nothing_left():
        host = EngineHost(scripted.recognizer(warm_s=60), limits=QUICK)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await host.start()


async def test_nor_does_one_that_is_cancelled_in_any_of_its_first_turns() -> None:
    """There is no moment at which a process is there that nobody knows of."""
    for turns in range(10):
        with nothing_left():
            start = asyncio.ensure_future(EngineHost(scripted.recognizer(warm_s=60), limits=QUICK).start())
            for _ in range(turns):
                await asyncio.sleep(0)
            start.cancel()
            with pytest.raises(asyncio.CancelledError):
                await start
            await asyncio.sleep(0)  # a pipe that never had a process is closed in the next turn


async def test_closing_in_the_middle_of_a_call() -> None:
    with nothing_left():
        host = EngineHost(scripted.recognizer(), limits=HostLimits(stop_s=0.2))
        await host.start()
        call = asyncio.ensure_future(hear(host, "[[hang]]"))
        await asyncio.sleep(0)
        await host.aclose()
        with pytest.raises(VoiceError) as caught:
            await call
        assert caught.value.code is Code.SHUTTING_DOWN
        with pytest.raises(VoiceError) as caught:
            await hear(host)
        assert caught.value.code is Code.SHUTTING_DOWN


async def test_closing_while_a_child_is_being_replaced(tmp_path: Path) -> None:
    """The second child takes a minute to load; the server does not wait for it to stop."""
    with nothing_left():
        host = EngineHost(scripted.recognizer(once=str(tmp_path / "x")), limits=HostLimits(check_s=0.05))
        await host.start()
        host.spec.options["warm_s"] = 60  # type: ignore[index]
        with pytest.raises(VoiceError):
            await hear(host, "[[exit]]")
        await until(lambda: host.generation == 2)
        began = time.monotonic()
        await host.aclose()
        assert time.monotonic() - began < 5.0


async def test_children_that_never_start_again_are_tried_ever_more_rarely() -> None:
    limits = replace(QUICK, back_off_s=(0.0, 0.05, 30.0), wait_s=0.3)
    async with hosting(scripted.recognizer(), limits=limits) as host:
        host.spec.options["warm_s"] = "not a number"  # type: ignore[index]
        with pytest.raises(VoiceError):
            await hear(host, "[[exit]]")
        await until(lambda: host.generation == 3)
        with pytest.raises(VoiceError) as caught:
            await hear(host)
        assert caught.value.code is Code.ENGINE_RESTARTED
        assert not host.alive


async def test_signals_meant_for_the_server_do_not_touch_the_child() -> None:
    async with hosting(scripted.recognizer()) as host:
        assert host.pid is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(host.pid, number)
        assert (await hear(host)).text
        assert host.generation == 1


async def test_a_child_holds_its_own_pipe_and_no_other() -> None:
    def sockets(pid: int) -> set[str]:
        links = Path(f"/proc/{pid}/fd").iterdir()
        return {target for link in links if (target := os.readlink(link)).startswith("socket:")}

    async with hosting(scripted.recognizer()) as one, hosting(scripted.detector()) as other:
        assert one.pid is not None and other.pid is not None
        standard = {os.readlink(f"/proc/{one.pid}/fd/{number}") for number in (0, 1, 2)}
        mine, its = sockets(one.pid) - standard, sockets(other.pid) - standard
        assert len(mine) == len(its) == 1
        assert mine.isdisjoint(its)


@pytest.mark.parametrize("fault", ["raise", "nan"])
async def test_a_child_that_fails_every_call_is_replaced(fault: str) -> None:
    """It was alive, it beat, it answered in time, and no answer was any good: that used to go on for ever."""
    notes = Notes()
    async with hosting(scripted.recognizer(), notes) as host:
        for _ in range(QUICK.bad_answers - 1):
            with pytest.raises(VoiceError):
                await hear(host, f"[[{fault}]]")
        assert (await hear(host)).text  # one good answer, and the count begins anew
        for _ in range(QUICK.bad_answers):
            assert host.generation == 1
            with pytest.raises(VoiceError) as caught:
                await hear(host, f"[[{fault}]]")
            assert caught.value.code is Code.ENGINE_FAILED
        assert (await hear(host)).text
        assert (host.generation, notes.restarts) == (2, ["failed every call"])


async def test_typed_errors_are_answers() -> None:
    async with hosting(scripted.recognizer()) as host:
        for _ in range(2 * QUICK.bad_answers):
            with pytest.raises(VoiceError):
                await hear(host, "[[typed]]")
        assert (await hear(host)).text and host.generation == 1


@pytest.mark.parametrize("fault", ["raise", "few"])
async def test_a_synthesiser_that_fails_every_call_is_replaced(fault: str) -> None:
    notes = Notes()
    async with hosting(scripted.synthesizer(), notes) as host:
        for _ in range(QUICK.bad_answers):
            with pytest.raises(VoiceError):
                await read(host.speak(Speak(f"[[{fault}]]", "low")))
        await until(lambda: host.generation == 2 and host.alive)
        assert await read(host.speak(Speak("sound", "low")))
        assert notes.restarts == ["failed every call"]


async def test_good_speech_ends_the_back_off() -> None:
    """Only recognisers' good answers counted: the seventh fall of a synthesiser, months apart, took 30 s to mend."""
    limits = replace(QUICK, back_off_s=(0.0, 600.0))
    async with hosting(scripted.synthesizer(), limits=limits) as host:
        for generation in (2, 3):
            with pytest.raises(VoiceError):
                await read(host.speak(Speak("[[exit]]", "low")))
            await until(lambda generation=generation: host.generation == generation and host.alive)  # type: ignore[misc]
            assert await read(host.speak(Speak("sound", "low")))


async def test_a_child_that_falls_right_behind_its_first_word_never_counts_as_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """READY and the end of the pipe in one turn of the loop: calls went to nobody until their deadline."""

    class Remains:
        pid = 0

        def kill(self, why: str) -> None: ...

        async def reap(self, patience_s: float) -> int:
            return -11

    async def launched(
        spec: EngineSpec, beat_s: float, on_frame: Callable[[Frame], None], on_lost: Callable[[str], None]
    ) -> Remains:
        def turn() -> None:
            head = json.loads(json.dumps(wire.pack_capabilities(Capabilities("brief", Task.RECOGNIZE))))
            on_frame(Frame(Kind.READY, 0, head))
            on_lost("crashed")

        asyncio.get_running_loop().call_soon(turn)
        return Remains()

    monkeypatch.setattr("engines.supervisor.launch", launched)
    host = EngineHost(scripted.recognizer(), limits=QUICK)
    with pytest.raises(VoiceError) as caught:
        await host.start()
    assert caught.value.code is Code.ENGINE_FAILED
    assert not host.alive


PARENT = """
import asyncio
from engines.host import EngineHost
from tests import engines_scripted as scripted

async def main():
    host = EngineHost(scripted.recognizer())
    await host.start()
    print(host.pid, flush=True)
    {call}
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("call", ["idle", "busy"])
async def test_a_child_dies_with_its_parent(call: str, repository: Path) -> None:
    """Killed outright, the parent can tell nobody; a child in a call that never ends must go all the same."""
    hang = "from protocol.requests import Decode\n    task = asyncio.ensure_future("
    hang += "host.recognize([Decode(bytes(100), prompt='[[hang]]')]))\n    await asyncio.sleep(0)"
    script = PARENT.format(call=hang if call == "busy" else "pass")
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=repository, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    await parent.wait()
    await until(lambda: gone(child))


def test_the_same_on_uvloop() -> None:
    async def main() -> None:
        async with hosting(scripted.recognizer()) as host:
            with pytest.raises(VoiceError):
                await hear(host, "[[segfault]]")
            assert (await hear(host)).text == scripted.words_of(1.0)

    uvloop.run(main())
