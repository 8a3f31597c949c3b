"""The batcher: order, independence of lanes, what it spares the detector, and what it survives."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise

import numpy as np
import pytest

from engines.vad import batch
from engines.vad.batch import BACKLOG, WINDOW, Lane, VadBatcher
from engines.vad.silero import SileroVad, factory
from protocol.errors import Code, VoiceError
from tests.checkpoints.nano_whisper.held_out import speak

LOUD = (np.random.default_rng(0).standard_normal(WINDOW) * 1000).astype("<i2").tobytes()
SILENT = bytes(2 * WINDOW)
Detect = Callable[[bytes, bytes], Awaitable[tuple[bytes, bytes]]]


def count(windows: bytes) -> int:
    return len(windows) // (4 * 576)


class Adding:
    """A detector whose probability counts a stream's windows: state in, state plus one out."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.faults: list[Exception] = []

    async def __call__(self, windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        self.calls.append(count(windows))
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        after = np.frombuffer(state, np.float32).reshape(2, -1, 128).copy()
        given: list[float] = []
        for start in range(0, count(windows), after.shape[1]):
            some = min(after.shape[1], count(windows) - start)
            after[:, :some] += 1
            given += (after[0, :some, 0] / 1000).tolist()
        return np.array(given, np.float32).tobytes(), after.tobytes()


@contextlib.asynccontextmanager
async def running(detect: Detect) -> AsyncIterator[VadBatcher]:
    batcher = VadBatcher(detect, now=time.monotonic)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(batcher.run())
        yield batcher
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


async def test_every_window_is_answered_in_order() -> None:
    async with running(Adding()) as batcher:
        answers: dict[int, list[float]] = {n: [] for n in range(5)}
        lanes = [batcher.open(answers[n].append) for n in range(5)]
        for _ in range(20):
            for lane in random.Random(0).sample(lanes, 5):
                lane.push(LOUD)
        await until(lambda: all(len(given) == 20 for given in answers.values()))
        for given in answers.values():
            assert given == pytest.approx([n / 1000 for n in range(1, 21)])


async def test_windows_that_come_during_a_call_share_the_next() -> None:
    detector = Adding()
    async with running(detector) as batcher:
        answered: list[float] = []
        lanes = [batcher.open(answered.append) for _ in range(12)]
        detector.gate.clear()
        lanes[0].push(LOUD)
        await until(lambda: len(detector.calls) == 1)
        for lane in lanes:
            lane.push(LOUD)
        detector.gate.set()
        await until(lambda: len(answered) == 13)
    assert detector.calls == [1, 12]


async def test_lanes_out_of_step_are_waited_for_but_not_long() -> None:
    detector = Adding()
    async with running(detector) as batcher:
        answered: list[float] = []
        busy, idle = batcher.open(answered.append), batcher.open(answered.append)
        busy.push(LOUD)
        idle.push(LOUD)
        await until(lambda: len(answered) == 2)
        began = time.monotonic()
        busy.push(LOUD)  # the other lane stays away: the tick ends the wait
        await until(lambda: len(answered) == 3)
        assert time.monotonic() - began < 1.0


def judged(vad: SileroVad) -> Detect:
    async def detect(windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        await asyncio.sleep(0)
        return vad.detect(windows, state)

    return detect


def windows_of(*sounds: np.ndarray) -> list[bytes]:
    pcm = (np.concatenate(sounds) * 32767).astype("<i2").tobytes()
    return [pcm[start : start + 2 * WINDOW] for start in range(0, len(pcm) - 2 * WINDOW + 1, 2 * WINDOW)]


async def heard(vad: SileroVad, streams: list[list[bytes]], seed: int) -> list[list[float]]:
    """Probabilities of streams pushed in a random interleaving."""
    answers: list[list[float]] = [[] for _ in streams]
    rng = random.Random(seed)
    async with running(judged(vad)) as batcher:
        lanes = [batcher.open(given.append) for given in answers]
        left = [list(reversed(stream)) for stream in streams]
        while any(left):
            n = rng.choice([n for n, stream in enumerate(left) if stream])
            lanes[n].push(left[n].pop())
            if rng.random() < 0.3:
                await asyncio.sleep(0)
        await until(lambda: all(len(a) == len(s) for a, s in zip(answers, streams, strict=True)))
    return answers


async def test_interleaved_streams_equal_each_alone_bit_for_bit() -> None:
    vad = factory({})
    quiet = np.zeros(20 * WINDOW, np.float32)
    streams = [windows_of(speak("turn the light off", voice)[:12000], quiet) for voice in ("en-us", "vi", "en-us+f3")]
    together = await heard(vad, streams, seed=1)
    for stream, given in zip(streams, together, strict=True):
        assert (await heard(vad, [stream], seed=2))[0] == given


async def test_settled_silence_costs_no_call_and_moves_no_decision() -> None:
    vad = factory({})
    sentence, silence = speak("open the door", "en-us"), np.zeros(4 * 16000, np.float32)
    hiss = np.random.default_rng(0).uniform(-1, 1, 4 * 16000).astype(np.float32) * 12 / 32768
    stream = windows_of(silence, sentence, hiss, sentence, silence)
    calls = 0

    async def counted(windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        nonlocal calls
        calls += count(windows)
        return vad.detect(windows, state)

    given: list[float] = []
    async with running(counted) as batcher:
        lane = batcher.open(given.append)
        for window in stream:
            lane.push(window)
        await until(lambda: len(given) == len(stream))
    plain = ungated(vad, stream)
    assert calls < 0.5 * len(stream)
    assert max(given[:100]) < 0.1
    for threshold in (0.3, 0.5, 0.7):
        ours, theirs = edges(given, threshold), edges(plain, threshold)
        assert len(ours) == len(theirs)
        assert all(abs(a - b) <= 2 for a, b in zip(ours, theirs, strict=True))


def ungated(vad: SileroVad, stream: list[bytes]) -> list[float]:
    """Probabilities with a call for every window."""
    state, context, given = bytes(1024), np.zeros(64, np.float32), []
    for window in stream:
        new = np.frombuffer(window, "<i2").astype(np.float32) / 32768
        answer, state = vad.detect(np.concatenate([context, new]).tobytes(), state)
        context[:] = new[-64:]
        given.append(float(np.frombuffer(answer, np.float32)[0]))
    return given


def edges(given: list[float], threshold: float) -> list[int]:
    """Where speech begins and ends; gaps of up to ten windows belong to it."""
    speech = [index for index, probability in enumerate(given) if probability >= threshold]
    gaps = [(a, b) for a, b in pairwise(speech) if b - a > 10]
    return [speech[0], *(edge for gap in gaps for edge in gap), speech[-1]]


async def test_a_detector_that_is_replaced_goes_on_where_the_last_one_was() -> None:
    detector = Adding()
    async with running(detector) as batcher:
        given: list[float] = []
        lane = batcher.open(given.append)
        lane.push(LOUD)
        await until(lambda: len(given) == 1)
        detector.faults = [VoiceError(Code.ENGINE_RESTARTED, "crashed"), VoiceError(Code.ENGINE_FAILED, "odd")]
        lane.push(LOUD)
        lane.push(LOUD)
        await until(lambda: len(given) == 3)
    assert given == pytest.approx([0.001, 0.002, 0.003])


@pytest.mark.parametrize("answer", [(b"", b""), (bytes(4), bytes(4)), (np.float32("nan").tobytes(), bytes(1024))])
async def test_nonsense_is_asked_again(answer: tuple[bytes, bytes]) -> None:
    answers = [answer]
    sensible = Adding()

    async def detect(windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        return answers.pop() if answers else await sensible(windows, state)

    async with running(detect) as batcher:
        given: list[float] = []
        batcher.open(given.append).push(LOUD)
        await until(lambda: len(given) == 1)
    assert given == pytest.approx([0.001])


async def test_a_detector_that_is_gone_fails_the_lanes_that_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_GIVE_UP_S", 0.05)

    async def gone(windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        raise VoiceError(Code.ENGINE_RESTARTED, "being replaced")

    async with running(gone) as batcher:
        errors: list[VoiceError] = []
        lane = batcher.open(lambda probability: pytest.fail("answered"), errors.append)
        lane.push(LOUD)
        await until(lambda: bool(errors))
        assert lane.closed
        assert errors[0].code is Code.ENGINE_RESTARTED


async def test_a_server_that_stops_is_not_waited_for() -> None:
    detector = Adding()
    detector.faults = [VoiceError(Code.SHUTTING_DOWN, "stopping")]
    async with running(detector) as batcher:
        errors: list[VoiceError] = []
        batcher.open(lambda probability: None, errors.append).push(LOUD)
        await until(lambda: bool(errors))
        assert errors[0].code is Code.SHUTTING_DOWN
        assert len(detector.calls) == 1


async def test_a_lane_closed_in_mid_call_hears_nothing_and_its_place_starts_afresh() -> None:
    detector = Adding()
    async with running(detector) as batcher:
        others: list[float] = []
        closing = batcher.open(lambda probability: pytest.fail("answered"))
        staying = batcher.open(others.append)
        detector.gate.clear()
        closing.push(LOUD)
        staying.push(LOUD)
        await until(lambda: bool(detector.calls))
        closing.close()
        closing.close()
        closing.push(LOUD)  # too late, and no matter
        early = batcher.open(others.append)
        assert early.slot != closing.slot  # the call under way will still write there
        detector.gate.set()
        await until(lambda: len(others) == 1)
        fresh: list[float] = []
        late = batcher.open(fresh.append)
        assert late.slot == closing.slot
        late.push(LOUD)
        await until(lambda: len(fresh) == 1)
        assert fresh == pytest.approx([0.001])


async def test_one_sessions_bug_does_not_silence_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def bug(probability: float) -> None:
        raise RuntimeError("a bug")

    async with running(Adding()) as batcher:
        errors: list[VoiceError] = []
        given: list[float] = []
        broken, sound = batcher.open(bug, errors.append), batcher.open(given.append)
        for _ in range(3):
            broken.push(LOUD)
            sound.push(LOUD)
        await until(lambda: len(given) == 3)
        assert [error.code for error in errors] == [Code.INTERNAL]
        assert broken.closed
    assert "callback failed" in caplog.text


async def test_a_lane_far_behind_says_so_and_catches_up() -> None:
    detector = Adding()
    async with running(detector) as batcher:
        given: list[float] = []
        lane = batcher.open(given.append)
        detector.gate.clear()
        lane.push(LOUD)
        await until(lambda: bool(detector.calls))
        for _ in range(BACKLOG):
            lane.push(LOUD)
        assert lane.backlog == BACKLOG
        with pytest.raises(VoiceError) as caught:
            lane.push(LOUD)
        assert caught.value.code is Code.TOO_FAST
        detector.gate.set()
        await lane.room()
        assert lane.backlog <= BACKLOG // 2
        await until(lambda: len(given) == BACKLOG + 1)
        assert given == sorted(given)


async def test_a_window_of_another_size_is_a_bug_of_the_caller() -> None:
    async with running(Adding()) as batcher:
        lane = batcher.open(lambda probability: None)
        with pytest.raises(ValueError, match="1024 bytes"):
            lane.push(b"\0\0")


async def test_many_lanes_come_and_go() -> None:
    async with running(Adding()) as batcher:
        given: list[float] = []
        for _ in range(3):
            lanes: list[Lane] = [batcher.open(given.append) for _ in range(100)]
            for lane in lanes:
                lane.push(SILENT)
            expected = len(given) + 100
            await until(lambda expected=expected: len(given) == expected)  # type: ignore[misc]
            for lane in lanes:
                lane.close()
        assert given == pytest.approx([0.001] * 300)
        assert len(batcher._free) == 128  # every place is free again, and there are no more than 100 lanes need


async def test_patient_lanes_share_a_call_when_the_first_of_them_is_due() -> None:
    detector = Adding()
    async with running(detector) as batcher:
        given: list[float] = []
        lanes = [batcher.open(given.append) for _ in range(4)]
        for lane in lanes:
            lane.patience = 3
        for _ in range(2):
            for lane in lanes:
                lane.push(LOUD)
        await asyncio.sleep(0)
        assert batcher._timer is None  # nothing is due, so nothing will wake anybody
        lanes[0].push(LOUD)
        await until(lambda: len(given) == 9)
    assert detector.calls == [9]


async def test_a_lane_in_a_hurry_is_judged_at_once() -> None:
    """A finalize must not wait for windows that may never come."""
    detector = Adding()
    async with running(detector) as batcher:
        given: list[float] = []
        lane, other = batcher.open(given.append), batcher.open(given.append)
        lane.patience = other.patience = 4
        lane.push(LOUD)
        other.push(LOUD)
        assert batcher._timer is None
        lane.patience = 0
        await until(lambda: len(given) == 2)
    assert detector.calls == [2]


async def test_gathered_windows_equal_single_ones_bit_for_bit() -> None:
    vad = factory({})
    hiss = np.random.default_rng(0).uniform(-1, 1, 2 * 16000).astype(np.float32) * 12 / 32768
    streams = [
        windows_of(speak("turn the light off", voice)[:12000], np.zeros(24000, np.float32), hiss, speak("yes", voice))
        for voice in ("en-us", "vi", "en-us+f3", "de")
    ]
    rng = random.Random(5)
    answers: list[list[float]] = [[] for _ in streams]
    async with running(judged(vad)) as batcher:
        lanes = [batcher.open(given.append) for given in answers]
        for index in range(max(map(len, streams))):
            for lane, stream in zip(lanes, streams, strict=True):
                lane.patience = rng.randint(1, 4)
                if index < len(stream):
                    lane.push(stream[index])
            await asyncio.sleep(0)
        for lane in lanes:
            lane.patience = 0
        await until(lambda: all(len(a) == len(s) for a, s in zip(answers, streams, strict=True)))
    for stream, given in zip(streams, answers, strict=True):
        assert (await heard(vad, [stream], seed=2))[0] == given


async def test_many_lanes_do_not_gather() -> None:
    """Calls are full without it, and one that is long delays whoever is due."""
    detector = Adding()
    async with running(detector) as batcher:
        given: list[float] = []
        lanes = [batcher.open(given.append) for _ in range(batch._GATHERED_A_CALL)]
        for lane in lanes:
            lane.patience = 1
            lane.push(LOUD)
        await until(lambda: len(given) == len(lanes))
        for lane in lanes:
            lane.patience = 4
            lane.push(LOUD)
        await until(lambda: len(given) == 2 * len(lanes))
