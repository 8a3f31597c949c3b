"""Jobs of lost workers are found by beats that stand still, and nobody else's are touched."""

import pytest

from accounts.ledger import Balance
from accounts.store import Store
from batch.jobs import MAX_FAILURES, Status
from batch.watcher import Swept, Watcher
from tests.accounts.money import balance_of, findings
from tests.batch.queueing import OUTCOME, PRICE, Counter, asking, calling_back


@pytest.fixture
def counter(store: Store) -> Counter:
    return Counter(store)


async def test_a_worker_that_stops_beating_loses_its_job(counter: Counter) -> None:
    ada = await counter.person()
    lost, kept = [await counter.queue.submit(asking(ada)) for _ in range(2)]
    one, other = await counter.queue.claim("w1"), await counter.queue.claim("w2")
    assert one is not None and other is not None and one.job.id == lost.id
    assert await counter.queue.start(one) and await counter.queue.start(other)
    seen = []
    for counter.tick.at in (0, 10, 20, 30):
        assert await counter.queue.beat(other, 0.1)
        seen.append(await counter.watcher.sweep())
    assert seen == [Swept(), Swept(), Swept(), Swept(queued=(lost.id,))]
    assert await counter.status(kept.id) is Status.PROCESSING
    again = await counter.queue.claim("w3")
    assert again is not None and (again.job.id, again.attempt) == (lost.id, 2)
    assert not await counter.queue.finish(one, OUTCOME)


async def test_a_job_that_was_picked_and_never_begun_is_found_too(counter: Counter) -> None:
    job_ = await counter.queue.submit(asking(await counter.person()))
    await counter.queue.claim("w")
    for counter.tick.at in (0, 20, 30):
        swept = await counter.watcher.sweep()
    assert swept.queued == (job_.id,)


async def test_the_third_lost_worker_is_the_last(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada, callback=calling_back()))
    endings = []
    for _ in range(MAX_FAILURES):
        claim = await counter.queue.claim("w")
        assert claim is not None and await counter.queue.start(claim)
        for _ in range(3):
            swept = await counter.watcher.sweep()
            counter.tick.at += 15
        endings.append(swept)
    assert endings == [Swept(queued=(job_.id,))] * (MAX_FAILURES - 1) + [Swept(failed=(job_.id,))]
    failed = await counter.queue.get(ada, job_.id)
    assert failed.error is not None and failed.error.message == "The worker was lost, again and again."
    assert await balance_of(counter.store, ada) == Balance(100 * PRICE)
    assert len(await counter.told()) == 1
    assert await findings(counter.store) == ()


async def test_of_two_watchers_one_takes_it_and_a_beat_in_between_saves_it(counter: Counter) -> None:
    ada = await counter.person()
    job_ = await counter.queue.submit(asking(ada))
    claim = await counter.queue.claim("w")
    assert claim is not None
    second = Watcher(counter.queue, lease_s=30, tick=counter.tick)
    for counter.tick.at in (0, 20):
        await counter.watcher.sweep()
        await second.sweep()
    counter.tick.at = 30
    assert (await counter.watcher.sweep()).queued == (job_.id,)
    assert await second.sweep() == Swept()
    again = await counter.queue.claim("w")
    assert again is not None
    counter.tick.at = 55
    assert await counter.watcher.sweep() == await second.sweep() == Swept()
    assert await counter.queue.beat(again, 0.1)
    counter.tick.at = 80
    assert await counter.watcher.sweep() == await second.sweep() == Swept()
