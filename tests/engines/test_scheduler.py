"""Who is recognised when: with an engine that waits for the test's word, and with real children that fail."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from engines.base import Capabilities, Task
from engines.host import EngineHost
from engines.scheduler import Scheduler, SchedulerLimits, Superseded
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis, Priority
from tests import engines_scripted as scripted
from tests.engines.hosting import QUICK, Notes, hosting, until

FINAL, PARTIAL, SYNCHRONOUS, BATCH = Priority
LIMITS = SchedulerLimits(most_partials=1e9)  # no budget, unless a test is about it


@dataclass
class Clock:
    """Time that passes when a test says so."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Engine:
    """A host whose calls end when, and as, the test says."""

    batch: int = 8
    alive: bool = True
    resting: bool = False
    waking: bool = False
    calls: list[list[str]] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    spec = scripted.recognizer()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities("engine", Task.RECOGNIZE, languages=("en",), batch=self.batch)

    async def wait_alive(self) -> None:
        await until(lambda: self.alive)

    def wake(self) -> None:
        self.waking = self.waking or self.resting

    @property
    def loading(self) -> VoiceError:
        return VoiceError(Code.MODEL_LOADING, "it is coming", retry_after=LIMITS.retry_after_s)

    async def recognize(self, batch: Sequence[Decode], expected_s: float) -> list[Hypothesis]:
        self.calls.append([decode.prompt for decode in batch])
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(done)
        await done
        return [Hypothesis(decode.prompt.upper()) for decode in batch]

    async def finish(self, error: Exception | None = None) -> None:
        """End the call under way, and let the next one begin."""
        await until(lambda: bool(self.waiting))
        done = self.waiting.pop(0)
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(None)
        await settle()


async def settle() -> None:
    """Let everything that can go on, go on."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def scheduling(
    *engines: Engine, limits: SchedulerLimits = LIMITS, notes: Notes | None = None, clock: Clock | None = None
) -> AsyncIterator[Scheduler]:
    hosts = cast(list[EngineHost], list(engines))
    scheduler = Scheduler(hosts, observer=notes, now=clock or Clock(), limits=limits)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(scheduler.run())
        yield scheduler
        running.cancel()


def ask(
    scheduler: Scheduler, name: str, priority: Priority = FINAL, session: str = "", seconds: float = 1.0
) -> asyncio.Future[Hypothesis]:
    decode = Decode(bytes(int(seconds * 32_000)), prompt=name)
    supersede = priority is PARTIAL
    return asyncio.ensure_future(
        scheduler.recognize(decode, priority=priority, session=session or name, supersede=supersede)
    )


async def test_what_is_ready_together_shares_a_call_by_priority() -> None:
    engine, notes = Engine(batch=3), Notes()
    async with scheduling(engine, notes=notes) as scheduler:
        first = ask(scheduler, "first")
        await settle()
        names = [("b", BATCH), ("p1", PARTIAL), ("s", SYNCHRONOUS), ("f1", FINAL), ("p2", PARTIAL)]
        names += [("f2", FINAL), ("f3", FINAL), ("f4", FINAL)]
        others = [ask(scheduler, name, priority) for name, priority in names]
        await settle()
        for _ in range(6):
            await engine.finish()
        assert engine.calls == [["first"], ["f1", "f2", "f3"], ["f4"], ["p1", "p2"], ["s"], ["b"]]
        assert [one.result().text for one in [first, *others]] == ["FIRST", *(name.upper() for name, _ in names)]
        assert [batch for _, _, batch in notes.works] == [1, 3, 1, 2, 1, 1]
        assert [priority for _, priority in notes.waits][:2] == ["final", "final"]


async def test_a_newer_partial_takes_the_place_of_the_one_not_begun() -> None:
    engine = Engine(batch=1)
    async with scheduling(engine) as scheduler:
        begun = ask(scheduler, "a1", PARTIAL, "a")
        await settle()
        older, other, newer = ask(scheduler, "a2", PARTIAL, "a"), ask(scheduler, "b1", PARTIAL, "b"), None
        await settle()
        newer = ask(scheduler, "a3", PARTIAL, "a")
        await settle()
        assert isinstance(older.exception(), Superseded)
        for _ in range(3):
            await engine.finish()
        assert engine.calls == [["a1"], ["a3"], ["b1"]]
        assert [one.result().text for one in (begun, newer, other)] == ["A1", "A3", "B1"]


async def test_a_request_nobody_waits_for_is_not_begun() -> None:
    engine = Engine(batch=1)
    async with scheduling(engine) as scheduler:
        first, second, third = (ask(scheduler, name) for name in ("first", "second", "third"))
        await settle()
        second.cancel()
        first.cancel()  # under way: its answer goes nowhere
        await settle()
        await engine.finish()
        await engine.finish()
        assert engine.calls == [["first"], ["third"]]
        assert third.result().text == "THIRD"


async def test_calls_of_partials_are_short() -> None:
    """A final that comes just then has to wait for the call, and one of many partials would take long."""
    engine, clock = Engine(), Clock()
    limits = replace(LIMITS, slice_s=0.3)
    async with scheduling(engine, limits=limits, clock=clock) as scheduler:
        one = ask(scheduler, "first", PARTIAL)
        await settle()
        clock.at += 0.2  # 0.1 s for a second of sound, and as much for a request
        await engine.finish()
        rest = [ask(scheduler, f"p{n}", PARTIAL, seconds=0.25) for n in range(4)]
        await settle()
        await engine.finish()
        await engine.finish()
        assert [len(call) for call in engine.calls] == [1, 2, 2]
        await asyncio.gather(one, *rest)


async def test_finals_share_a_call_as_long_as_the_next_one_need_not_wait_long() -> None:
    engine, clock = Engine(), Clock()
    async with scheduling(engine, limits=replace(LIMITS, final_slice_s=1.0), clock=clock) as scheduler:
        one = ask(scheduler, "first")
        await settle()
        clock.at += 0.2  # 0.1 s for a second of sound, and as much for a request
        await engine.finish()
        rest = [ask(scheduler, f"f{n}", seconds=seconds) for n, seconds in enumerate((20.0, 1.0, 1.0, 3.0, 3.0))]
        await settle()
        for _ in range(3):
            await engine.finish()
        assert engine.calls == [["first"], ["f1", "f2", "f3"], ["f4"], ["f0"]]
        await asyncio.gather(one, *rest)


async def test_partials_wait_for_their_share_and_finals_do_not() -> None:
    engine, clock = Engine(batch=1), Clock()
    async with scheduling(engine, limits=SchedulerLimits(most_partials=0.5, slice_s=0.02), clock=clock) as scheduler:
        partial = ask(scheduler, "p1", PARTIAL, "a")
        await settle()
        clock.at += 0.06
        await engine.finish()
        await partial
        partial = ask(scheduler, "p2", PARTIAL, "a")
        await settle()
        assert len(engine.calls) == 1  # 0.04 s in debt at half the time: 0.08 s
        final = ask(scheduler, "f", FINAL, "b")
        await settle()
        await engine.finish()
        assert final.done()
        clock.at += 0.1
        await until(lambda: len(engine.calls) == 3)  # nobody asks for anything: it comes to it by itself
        await engine.finish()
        assert (await partial).text == "P2"
        assert engine.calls == [["p1"], ["f"], ["p2"]]


async def test_several_processes_work_at_once_and_a_dead_one_holds_nobody_up() -> None:
    engines = Engine(batch=1), Engine(batch=1)
    async with scheduling(*engines) as scheduler:
        answers = [ask(scheduler, name) for name in "ab"]
        await settle()
        assert [engine.calls for engine in engines] == [[["a"]], [["b"]]]
        await engines[0].finish()
        engines[0].alive = False
        answers += [ask(scheduler, name) for name in "cd"]
        await engines[1].finish()
        if len(engines[0].calls) == 2:  # it was asked before it died
            await engines[0].finish()
        for _ in range(3 - len(engines[0].calls)):
            await engines[1].finish()
        engines[0].alive = True
        assert [one.text for one in await asyncio.gather(*answers)] == ["A", "B", "C", "D"]


# -- faults ------------------------------------------------------------------------------------------

RESTARTED = VoiceError(Code.ENGINE_RESTARTED, "x")
FAILED = VoiceError(Code.ENGINE_FAILED, "x")
TOO_LARGE = VoiceError(Code.TOO_LARGE, "together they are")


async def test_a_request_is_tried_once_more_when_the_engine_died() -> None:
    engine = Engine()
    async with scheduling(engine) as scheduler:
        one = ask(scheduler, "a")
        await engine.finish(RESTARTED)
        await engine.finish()
        assert one.result().text == "A"
        two = ask(scheduler, "b")
        await engine.finish(RESTARTED)
        await engine.finish(RESTARTED)
        assert two.exception() is RESTARTED
        assert engine.calls == [["a"], ["a"], ["b"], ["b"]]


async def test_a_request_the_engine_cannot_answer_is_not_tried_again() -> None:
    engine = Engine()
    async with scheduling(engine) as scheduler:
        one = ask(scheduler, "a")
        await engine.finish(FAILED)
        assert one.exception() is FAILED
        two = ask(scheduler, "b")
        await engine.finish(RuntimeError("a bug"))
        assert getattr(two.exception(), "code", None) is Code.INTERNAL
        assert engine.calls == [["a"], ["b"]]


@pytest.mark.parametrize("error", [RESTARTED, FAILED, TOO_LARGE])
async def test_one_bad_request_of_a_batch_does_not_cost_the_others_their_answer(error: VoiceError) -> None:
    engine = Engine()
    async with scheduling(engine) as scheduler:
        first = ask(scheduler, "first")
        await settle()
        batch = [ask(scheduler, name) for name in ("a", "bad", "c")]
        await settle()
        await engine.finish()
        await engine.finish(error)
        await engine.finish()
        await engine.finish(error)
        await engine.finish()
        assert engine.calls == [["first"], ["a", "bad", "c"], ["a"], ["bad"], ["c"]]
        assert [one.exception() or one.result().text for one in batch] == ["A", error, "C"]
        assert first.done()


async def test_stopping_tells_everybody() -> None:
    engine = Engine(batch=1)
    async with scheduling(engine) as scheduler:
        answers = [ask(scheduler, name) for name in "abc"]
        await settle()
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert [getattr(one, "code", None) for one in outcomes] == [Code.SHUTTING_DOWN] * 3
    with pytest.raises(VoiceError) as caught:
        await ask(scheduler, "late")
    assert caught.value.code is Code.SHUTTING_DOWN


# -- load and admission ------------------------------------------------------------------------------


def refused(scheduler: Scheduler) -> bool:
    try:
        scheduler.admit()
    except VoiceError as error:
        assert error.code in (Code.BUSY, Code.MODEL_LOADING)
        assert error.facts["retry_after"] == LIMITS.retry_after_s
        return True
    return False


async def busy_for(seconds: float, share: float, scheduler: Scheduler, engine: Engine, clock: Clock) -> None:
    """Finals of one second of sound, one a second, each of which takes ``share`` of it."""
    for _ in range(round(seconds)):
        one = ask(scheduler, "f")
        await settle()
        clock.at += share
        await engine.finish()
        await one
        clock.at += 1 - share


async def test_load_is_what_was_measured_lately() -> None:
    engine, clock = Engine(), Clock()
    async with scheduling(engine, clock=clock) as scheduler:
        assert scheduler.load().utilisation == scheduler.load().queue_delay == scheduler.load().realtime_factor == 0.0
        await busy_for(60, 0.3, scheduler, engine, clock)
        load = scheduler.load()
        assert load.utilisation == pytest.approx(0.3, abs=0.05)
        assert load.realtime_factor == pytest.approx(0.3, abs=0.01)
        assert load.queue_delay == 0.0
        clock.at += 120
        assert scheduler.load().utilisation < 0.01


async def test_sessions_are_refused_when_finals_take_the_engine_s_time() -> None:
    engine, clock = Engine(), Clock()
    async with scheduling(engine, clock=clock) as scheduler:
        await busy_for(60, 0.5, scheduler, engine, clock)
        assert not refused(scheduler)
        await busy_for(60, 0.95, scheduler, engine, clock)
        assert refused(scheduler)
        clock.at += 60
        assert not refused(scheduler)


async def test_sessions_are_refused_while_finals_wait() -> None:
    engine, clock = Engine(batch=1), Clock()
    async with scheduling(engine, clock=clock) as scheduler:
        answers = [ask(scheduler, name) for name in "ab"]
        await settle()
        assert not refused(scheduler)
        clock.at += 1.5
        assert refused(scheduler)
        assert scheduler.load().queue_delay == pytest.approx(1.5)
        for _ in answers:
            await engine.finish()
        clock.at += 60
        assert not refused(scheduler)


async def test_a_rush_of_sessions_counts_before_its_first_word() -> None:
    """Load is measured late: a hundred sessions that come in the same second would all see an idle engine."""
    engine, clock = Engine(), Clock()
    async with scheduling(engine, clock=clock) as scheduler:
        await busy_for(3, 0.2, scheduler, engine, clock)
        admitted = sum(not refused(scheduler) for _ in range(200))
        assert 5 < admitted < 50
        clock.at += 60  # they said nothing
        assert not refused(scheduler)


async def test_who_has_left_is_expected_to_ask_for_nothing() -> None:
    """A few sessions that were refused at once, for a language nobody knows, made the server full for everybody."""
    engine, clock = Engine(), Clock()
    async with scheduling(engine, clock=clock) as scheduler:
        await busy_for(3, 0.2, scheduler, engine, clock)
        for _ in range(200):
            seat = scheduler.admit()
            clock.at += 0.001
            seat.leave()
            seat.leave()
        assert sum(not refused(scheduler) for _ in range(200)) > 5


async def test_sessions_are_refused_when_the_engine_stays_away() -> None:
    engine, clock = Engine(), Clock()
    async with scheduling(engine, clock=clock) as scheduler:
        engine.alive = False
        assert not refused(scheduler)  # it will be back in a moment
        clock.at += 6
        assert refused(scheduler)
        engine.alive = True
        assert not refused(scheduler)


async def test_the_queue_is_bounded() -> None:
    engine = Engine(batch=1)
    async with scheduling(engine, limits=replace(LIMITS, queue=2)) as scheduler:
        answers = [ask(scheduler, name) for name in "a"]
        await settle()
        answers += [ask(scheduler, name) for name in "bc"]
        await settle()
        with pytest.raises(VoiceError) as caught:
            await ask(scheduler, "d")
        assert caught.value.code is Code.BUSY
        for _ in answers:
            await engine.finish()


# -- with real children ------------------------------------------------------------------------------


async def test_other_sessions_live_through_the_worst() -> None:
    """S7: one session's every request fells, or fools, the engine; five others get all their answers."""
    notes = Notes()
    async with hosting(scripted.recognizer(memory_bytes=300 << 20), notes, QUICK) as host:
        scheduler = Scheduler([host])

        async def good(number: int) -> None:
            for turn in range(10):
                seconds = 0.3 * (1 + (number + turn) % 4) + 0.05
                decode = Decode(scripted.tone(seconds))
                answer = await scheduler.recognize(decode, priority=FINAL, session=str(number))
                assert answer.text == scripted.words_of(seconds)

        async def bad() -> None:
            for fault in ("segfault", "raise", "exit", "long", "bytes"):
                decode = Decode(scripted.tone(1.0), prompt=f"[[{fault}]]", word_timestamps=True)
                with pytest.raises(VoiceError) as caught:
                    await scheduler.recognize(decode, priority=FINAL, session="bad")
                assert caught.value.code in (Code.ENGINE_FAILED, Code.ENGINE_RESTARTED)

        async with asyncio.TaskGroup() as group:
            running = group.create_task(scheduler.run())
            async with asyncio.TaskGroup() as sessions:
                sessions.create_task(bad())
                for number in range(5):
                    sessions.create_task(good(number))
            running.cancel()
        assert 3 <= len(notes.restarts) <= 9  # a batch, then alone


async def test_a_hundred_sessions_on_a_null_engine() -> None:
    async with hosting(scripted.recognizer("null")) as host:
        notes = Notes()
        scheduler = Scheduler([host], observer=notes)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(scheduler.run())
            answers = await asyncio.gather(*(ask(scheduler, str(n), seconds=n / 100) for n in range(1, 101)))
            running.cancel()
        assert [one.text for one in answers] == [""] * 100
        assert sum(batch for _, _, batch in notes.works) == 100
        assert len(notes.works) < 30
