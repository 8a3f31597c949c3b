"""Every transaction of the queue dies before each of its statements (R4), and clocks that jump change nothing (R9)."""

import random
from collections.abc import Awaitable, Callable

import pytest

from accounts.store import Store
from batch.jobs import Claim
from batch.watcher import Swept
from protocol.errors import Code, VoiceError
from tests.accounts.money import findings
from tests.batch.queueing import OUTCOME, Counter, asking, calling_back, made
from tests.crashes import crash_everywhere

BROKEN = VoiceError(Code.ENGINE_FAILED, "The engine broke.")


@pytest.fixture
def counter(store: Store) -> Counter:
    return Counter(store)


async def claimed(counter: Counter, ada: int, *, started: bool) -> Claim:
    """A claim on a new job with a callback."""
    await counter.queue.submit(asking(ada, callback=calling_back()))
    claim = await counter.queue.claim("w")
    assert claim is not None
    assert not started or await counter.queue.start(claim)
    return claim


async def test_submitting_is_whole_or_nothing(counter: Counter) -> None:
    ada = await counter.person()
    asked = asking(ada, callback=calling_back(), idempotency_key="k")
    assert await crash_everywhere(counter.store, lambda: counter.queue.submit(asked)) > 8
    assert await findings(counter.store) == ()


async def test_claiming_is_whole_or_nothing(counter: Counter) -> None:
    await counter.queue.submit(asking(await counter.person()))
    await crash_everywhere(counter.store, lambda: counter.queue.claim("w"))


Act = Callable[[Counter, int, Claim], Awaitable[object]]
ACTS: dict[str, tuple[bool, Act]] = {
    "start": (False, lambda counter, ada, claim: counter.queue.start(claim)),
    "beat": (True, lambda counter, ada, claim: counter.queue.beat(claim, 0.5)),
    "finish": (True, lambda counter, ada, claim: counter.queue.finish(claim, OUTCOME, [made(claim.job, "tts_a.wav")])),
    "retry": (True, lambda counter, ada, claim: counter.queue.fail(claim, BROKEN, retry=True)),
    "fail": (True, lambda counter, ada, claim: counter.queue.fail(claim, BROKEN, retry=False)),
    "give back": (True, lambda counter, ada, claim: counter.queue.give_back(claim)),
    "cancel": (False, lambda counter, ada, claim: counter.queue.cancel(ada, claim.job.id)),
    "sweep": (True, lambda counter, ada, claim: swept(counter)),
}


async def swept(counter: Counter) -> None:
    """A watcher that has seen the beats stand still for a lease looks once more."""
    await counter.watcher.sweep()


@pytest.mark.parametrize("name", ACTS)
async def test_everything_else_is_whole_or_nothing(counter: Counter, name: str) -> None:
    ada = await counter.person()
    started, act = ACTS[name]
    claim = await claimed(counter, ada, started=started)
    for counter.tick.at in (0.0, 20.0, 40.0):  # for the sweep
        if counter.tick.at < 30:
            await counter.watcher.sweep()
    assert await crash_everywhere(counter.store, lambda: act(counter, ada, claim)) >= 2
    assert await findings(counter.store) == ()


STEPS: dict[int, Callable[[Counter, Claim], Awaitable[bool]]] = {
    2: lambda counter, claim: counter.queue.start(claim),
    3: lambda counter, claim: counter.queue.beat(claim, 0.5),
    4: lambda counter, claim: counter.queue.finish(claim, OUTCOME),
}


async def live_through(counter: Counter, jump: float) -> None:
    """Jobs from submit to finish, at each step of whose life in turn the time of day jumps."""
    ada = await counter.person()
    for jumping in range(5):
        job_ = await counter.queue.submit(asking(ada))
        claim: Claim | None = None
        for step in range(5):
            if step == jumping:
                counter.now.at += jump
            assert await counter.watcher.sweep() == Swept()
            counter.tick.at += 20
            if step == 1:
                claim = await counter.queue.claim("w")
                assert claim is not None and claim.job.id == job_.id
            elif claim is not None:
                assert await STEPS[step](counter, claim)
    assert await findings(counter.store) == ()


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0 * 366, -1.0])
async def test_a_clock_that_jumps_loses_nothing_and_runs_nothing_twice(counter: Counter, jump: float) -> None:
    """Leases are of the watcher's own, monotonic clock (R9)."""
    await live_through(counter, jump)


@pytest.mark.nightly
async def test_clocks_that_jump_anywhere(counter: Counter) -> None:
    chance = random.Random(9)
    for _ in range(40):
        await live_through(counter, chance.uniform(-1e7, 1e7))
