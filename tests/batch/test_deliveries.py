"""X2, the whole delivery: the schedule of Standard Webhooks in virtual time, and a real loop with a real receiver."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook as Verifier

from accounts.schema import webhook
from accounts.store import Store
from batch.addresses import Target
from batch.deliveries import SCHEDULE, Deliveries
from batch.dispatch import WEBHOOKS, LocalDispatch
from batch.outbox import Outbox, State, post
from batch.signing import WebhookSecrets
from batch.webhooks import Answer, Sender
from tests.batch.clocks import Clock
from tests.batch.receiver import Receiver, receiving
from tests.batch.rows import make_job, make_user

FIRST = (0, *SCHEDULE)


class Scripted(Sender):
    """Sends nothing, and says what it was told to."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(allow_private=True)
        self.sent: list[tuple[dict[str, str], bytes]] = []
        self._answers = answers

    async def post(self, target: Target, headers: dict[str, str], body: bytes) -> Answer:
        answer = self._answers[min(len(self.sent), len(self._answers) - 1)]
        self.sent.append((headers, body))
        return answer


class Post:
    """A store with one webhook in it, and what happens to it as time goes by."""

    def __init__(self, store: Store, user: int, clock: Clock) -> None:
        self.store, self.user, self.clock = store, user, clock
        self.outbox = Outbox(store, now=clock)
        self.secrets = WebhookSecrets(store, now=clock, random=os.urandom)

    async def add(self, webhook_id: str = "msg_1", url: str = "https://example.com/hook") -> None:
        job_id = await make_job(self.store, self.user)
        async with self.store.write() as connection:
            await post(connection, webhook_id=webhook_id, user_id=self.user, job_id=job_id, url=url,
                       body='{"status":"SUCCESS"}', now=self.clock())  # fmt: skip

    def deliveries(self, sender: Sender, chance: float = 0.5, dispatch: LocalDispatch | None = None) -> Deliveries:
        return Deliveries(
            self.outbox, self.secrets, sender, dispatch or LocalDispatch(), now=self.clock, chance=lambda: chance
        )

    async def row(self, webhook_id: str = "msg_1") -> tuple[str, float, int]:
        async with self.store.read() as connection:
            query = select(webhook.c.state, webhook.c.due_at, webhook.c.answer).where(webhook.c.id == webhook_id)
            row = (await connection.execute(query)).one()
            return row.state, row.due_at, row.answer

    async def attempts(self, deliveries: Deliveries) -> list[float]:
        """Let time go by until nothing is to be done any more; when the attempts were, from the first on."""
        times: list[float] = []
        began = self.clock.time
        while (await self.row())[0] == State.PENDING:
            self.clock.time = (await self.row())[1]
            for sent in await self.outbox.take(1, per_user=1):
                times.append(self.clock.time - began)
                await deliveries.attempt(sent)
        return times


@pytest.fixture
async def mail(store: Store) -> Post:
    made = Post(store, await make_user(store), Clock(time.time()))
    await made.add()
    return made


@pytest.mark.parametrize("status", [0, 302, 404, 500])
async def test_a_receiver_that_fails_is_tried_ten_times_over_three_days(mail: Post, status: int) -> None:
    sender = Scripted(Answer(status))
    times = await mail.attempts(mail.deliveries(sender))
    assert times == [sum(FIRST[: n + 1]) for n in range(10)]
    assert 3 * 86_400 < times[-1] < 4 * 86_400
    assert await mail.row() == (State.FAILED, mail.clock.time, status)
    assert len({headers["webhook-id"] for headers, _ in sender.sent}) == 1, "the same id, so that he can tell"
    assert len({headers["webhook-timestamp"] for headers, _ in sender.sent}) == 10, "the time of the attempt"
    assert {body for _, body in sender.sent} == {b'{"status":"SUCCESS"}'}


async def test_the_waits_are_shaken_so_that_not_all_come_at_once(mail: Post) -> None:
    chance = random.Random(3)
    for number in range(20):
        name = f"msg_{number + 2}"
        await mail.add(name)
    deliveries = Deliveries(
        mail.outbox, mail.secrets, Scripted(Answer(500)), LocalDispatch(), now=mail.clock, chance=chance.random
    )
    waits = []
    for sent in await mail.outbox.take(30, per_user=30):
        await deliveries.attempt(sent)
        waits.append((await mail.row(sent.id))[1] - mail.clock.time)
    assert len(set(waits)) == 21 and all(4.5 <= wait <= 5.5 for wait in waits)


async def test_success_ends_it_whenever_it_comes(mail: Post) -> None:
    assert len(await mail.attempts(mail.deliveries(Scripted(Answer(500), Answer(0), Answer(204))))) == 3
    assert (await mail.row())[0] == State.DELIVERED


async def test_gone_ends_it_at_once(mail: Post) -> None:
    assert await mail.attempts(mail.deliveries(Scripted(Answer(410)))) == [0]
    assert (await mail.row())[0] == State.GONE


async def test_a_receiver_that_asks_for_time_gets_it(mail: Post) -> None:
    sender = Scripted(Answer(429, 3600.0), Answer(503, 1.0), Answer(200))
    assert await mail.attempts(mail.deliveries(sender)) == [0, 3600, 3600 + 300]


async def test_an_address_that_is_forbidden_by_now_is_given_up(mail: Post) -> None:
    await mail.add("msg_inside", "http://10.0.0.1/")
    sender = Scripted(Answer(200))
    sender.allow_private = False
    for sent in await mail.outbox.take(9, per_user=9):
        await mail.deliveries(sender).attempt(sent)
    assert (await mail.row("msg_inside"))[0] == State.FAILED and (await mail.row())[0] == State.DELIVERED


# -- with a real receiver ----------------------------------------------------------------------------


@asynccontextmanager
async def delivering(mail: Post, sender: Sender, dispatch: LocalDispatch) -> AsyncIterator[Deliveries]:
    deliveries = mail.deliveries(sender, dispatch=dispatch)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(deliveries.run())
        try:
            yield deliveries
        finally:
            deliveries.stop()


async def state_becomes(mail: Post, webhook_id: str, state: State) -> None:
    while (await mail.row(webhook_id))[0] != state:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_what_is_delivered_verifies_and_comes_soon(mail: Post) -> None:
    dispatch, sender = LocalDispatch(), Sender(allow_private=True)
    async with receiving() as receiver, delivering(mail, sender, dispatch):
        await state_becomes(mail, "msg_1", State.PENDING)
        await mail.add("msg_2", receiver.url("/200"))
        dispatch.announce(WEBHOOKS)
        await receiver.hears(1)
        await state_becomes(mail, "msg_2", State.DELIVERED)
    secret = (await mail.secrets.of(mail.user)).current
    Verifier(secret).verify(receiver.heard[0].body, receiver.heard[0].headers)


async def test_one_receiver_that_never_answers_holds_up_nobody_else(store: Store, mail: Post) -> None:
    dispatch, sender = LocalDispatch(), Sender(allow_private=True, timeout_s=30)
    other = Post(store, await make_user(store), mail.clock)
    async with receiving() as receiver:
        for number in range(40):
            await mail.add(f"msg_slow_{number}", receiver.url("/never"))
        await other.add("msg_other", receiver.url("/200"))
        deliveries = mail.deliveries(sender, dispatch=dispatch)
        task = asyncio.create_task(deliveries.run())
        async with asyncio.timeout(20):
            await state_becomes(other, "msg_other", State.DELIVERED)
        assert sum(heard.path == "/never" for heard in receiver.heard) <= 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not [sent for sent in await mail.outbox.take(99, per_user=99) if sent.attempt != 1], "given back"


async def test_a_delivery_at_least_once_even_if_its_sender_dies_after_sending(mail: Post) -> None:
    """Killed between the receiver's 200 and our note of it: the lease runs out, and it is sent again, under its id."""
    async with receiving() as receiver:
        sender = Sender(allow_private=True)
        await mail.add("msg_2", receiver.url("/200"))
        sent = next(one for one in await mail.outbox.take(9, per_user=9) if one.id == "msg_2")
        assert await sender.post(Target(False, "127.0.0.1", receiver.port, "/200"), {"webhook-id": sent.id}, b"{}")
        mail.clock.time += 60
        again = next(one for one in await mail.outbox.take(9, per_user=9) if one.id == "msg_2")
        assert await mail.deliveries(sender).attempt(again) is State.DELIVERED
        assert [heard.headers["webhook-id"] for heard in receiver.heard] == ["msg_2", "msg_2"]


async def storm(mail: Post, count: int, seed: int) -> Receiver:
    """Webhooks to receivers that misbehave for a while and then come round; every one must arrive."""
    chance = random.Random(seed)
    sender = Sender(allow_private=True, timeout_s=0.2)
    async with receiving() as receiver:
        deliveries = mail.deliveries(sender)
        bad = ("/500", "/never", "/302", "/429-7", "/drip", "/endless-head", "/reset", "/garbage", "/404")
        for number in range(count):
            path = f"/hook{number}"
            receiver.changes[path] = [*chance.choices(bad, k=chance.randint(0, 3)), chance.choice(("/200", "/endless"))]
            await mail.add(f"msg_storm_{number}", receiver.url(path))
        async with asyncio.TaskGroup() as tasks:
            while await mail.outbox.pending():
                taken = await mail.outbox.take(20, per_user=20)
                async with asyncio.TaskGroup() as attempts:
                    for sent in taken:
                        attempts.create_task(deliveries.attempt(sent))
                mail.clock.time += 0 if taken else 3600
            assert tasks
    return receiver


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.nightly)])
async def test_every_webhook_arrives_although_its_receiver_fails_at_first(store: Store, count: int) -> None:
    mail = Post(store, await make_user(store), Clock(time.time()))
    receiver = await storm(mail, count, seed=count)
    async with store.read() as connection:
        assert set((await connection.scalars(select(webhook.c.state))).all()) == {State.DELIVERED}
    arrived = {heard.headers["webhook-id"] for heard in receiver.heard}
    assert arrived == {f"msg_storm_{number}" for number in range(count)}
