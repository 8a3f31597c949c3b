"""Orders: checked, priced, kept, waited for and told of; refused before they cost anything."""

import asyncio
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from accounts.policy import Plan, Policies
from accounts.store import Store
from batch.abilities import Abilities
from batch.artifacts import Artifacts
from batch.callers import Caller
from batch.disk import Watermark
from batch.dispatch import JOBS, LocalDispatch, job_done
from batch.jobs import Callback, Job, Status
from batch.service import Order, Service, check_length, fingerprint, idempotency_key, result_of, view
from batch.uploads import Uploads
from protocol.errors import Code, VoiceError
from protocol.job_view import State
from protocol.pricing import UNITS, Route
from protocol.work import Line, Speaking, Transcribing, VoiceNamed, Work
from tests.accounts.money import balance_of
from tests.batch.queueing import OUTCOME, Counter

HELLO = Speaking(lines=(Line(text="Hello.", voice=VoiceNamed()),))
CREDITS = 1000


class AnythingGoes:
    """Abilities without limit, but for one language."""

    async def check(self, _user_id: int, work: Work) -> None:
        if isinstance(work, Speaking) and work.style.language == "xx":
            raise VoiceError(Code.NOT_INSTALLED, "nobody speaks it")


class Shop:
    """A service, and what is behind it."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.counter = Counter(store)
        now, marks = self.counter.now, Watermark(0, 0, 0)
        self.uploads = Uploads(directory, store, now=now, choice=secrets.choice, watermark=marks)
        self.artifacts = Artifacts(directory, store, now=now, choice=secrets.choice, watermark=marks)
        self.dispatch = LocalDispatch()
        self.policies = Policies(store, now=now, tick=self.counter.tick)
        self.service = Service(
            self.counter.queue,
            self.counter.ledger,
            self.policies,
            cast(Abilities, AnythingGoes()),
            self.uploads,
            self.artifacts,
            self.dispatch,
            now=now,
        )

    async def caller(self, credits: int = CREDITS, **plan: Any) -> Caller:
        return Caller(await self.counter.person(credits * UNITS), Plan(**{"jobs": 0, **plan}))

    def upload(self) -> str:
        name, path = self.uploads.reserve()
        path.write_bytes(b"sound")
        return name

    async def finish(self) -> None:
        """Somebody does the next job."""
        claim = await self.counter.queue.claim("w")
        assert claim is not None and await self.counter.queue.start(claim)
        assert await self.counter.queue.finish(claim, OUTCOME)


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Shop:
    return Shop(store, tmp_path)


def order(work: Work = HELLO, quantity: float = 6, **more: Any) -> Order:
    return Order("studio", work, Route.STUDIO_TTS, quantity, **more)


async def refusal(shop: Shop, caller: Caller, asked: Order) -> VoiceError:
    """Why it is refused; nothing is left of it."""
    before = await balance_of(shop.counter.store, caller.user_id)
    with pytest.raises(VoiceError) as caught:
        await shop.service.submit(caller, asked)
    assert await balance_of(shop.counter.store, caller.user_id) == before
    return caught.value


async def test_an_order_is_a_job_at_a_price(shop: Shop) -> None:
    caller = await shop.caller()
    callback = Callback("https://example.com/", "vbee")
    with shop.dispatch.listening(JOBS) as ear:
        job = await shop.service.submit(caller, order(details={"a": 1}, callback=callback))
        assert await ear.wait(0)
    assert (job.status, job.work, job.details, job.callback) == (Status.QUEUED, HELLO, {"a": 1}, callback)
    assert job.price_units == round(6 * 1.2 * UNITS)
    assert await shop.service.balance(caller.user_id) == CREDITS - 7.2
    told = await shop.service.view(job)
    assert (told.state, told.credits, told.remaining, told.expired) == (State.QUEUED, 7.2, CREDITS - 7.2, False)


async def test_what_is_waited_for_goes_first(shop: Shop) -> None:
    caller = await shop.caller()
    await shop.service.submit(caller, order())
    job = await shop.service.submit(caller, order(waited=True))
    claim = await shop.counter.queue.claim("w")
    assert claim is not None and claim.job.id == job.id


async def test_an_upload_is_kept_with_its_job(shop: Shop) -> None:
    caller, name = await shop.caller(), shop.upload()
    work = Transcribing(upload=name, seconds=1)
    await shop.service.submit(caller, order(work))
    assert shop.uploads.path(name).read_bytes() == b"sound"
    with pytest.raises(VoiceError):
        await shop.service.submit(
            await shop.caller(credits=0), order(Transcribing(upload=(poor := shop.upload()), seconds=1))
        )
    with pytest.raises(VoiceError):
        shop.uploads.path(poor)


async def test_what_is_refused_costs_nothing(shop: Shop) -> None:
    caller = await shop.caller(text_chars=5)
    unspoken = HELLO.model_copy(update={"style": HELLO.style.model_copy(update={"language": "xx"})})
    assert (await refusal(shop, caller, order(unspoken))).code is Code.NOT_INSTALLED
    long = await refusal(shop, caller, order())
    assert long.code is Code.TEXT_TOO_LONG and long.facts["allowed"] == 5
    assert (await refusal(shop, await shop.caller(credits=7), order())).code is Code.INSUFFICIENT_CREDITS
    busy = await shop.caller(jobs=1)
    await shop.service.submit(busy, order())
    refused = await refusal(shop, busy, order())
    assert refused.code is Code.TOO_MANY_SESSIONS and refused.facts["retry_after"]


async def test_the_server_has_a_limit_for_all(shop: Shop) -> None:
    """A4: 5, unless an admin says otherwise."""
    await shop.policies.change({"server_jobs": 1})
    await shop.service.submit(await shop.caller(), order())
    assert (await refusal(shop, await shop.caller(), order())).code is Code.TOO_MANY_SESSIONS


async def test_the_same_request_again_is_the_same_job(shop: Shop) -> None:
    caller = await shop.caller()
    first, second = shop.upload(), shop.upload()
    made = await shop.service.submit(caller, order(Transcribing(upload=first, seconds=1), key="k", fingerprint=b"1"))
    again = await shop.service.submit(caller, order(Transcribing(upload=second, seconds=1), key="k", fingerprint=b"1"))
    assert again.id == made.id
    assert shop.uploads.path(first)
    with pytest.raises(VoiceError):
        shop.uploads.path(second)  # nobody needs it
    assert (await refusal(shop, caller, order(key="k", fingerprint=b"2"))).code is Code.CONFLICT


async def test_waiting(shop: Shop) -> None:
    caller = await shop.caller()
    job = await shop.service.submit(caller, order())
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        waiting = tasks.create_task(shop.service.wait(job))
        await shop.finish()
        shop.dispatch.announce(job_done(job.id))
        assert (await waiting).status is Status.COMPLETED


async def test_waiting_has_an_end(shop: Shop) -> None:
    job = await shop.service.submit(await shop.caller(), order())
    with pytest.raises(VoiceError) as caught:
        await shop.service.wait(job, 0.01)
    assert caught.value.code is Code.TIMEOUT and caught.value.facts["job_id"] == job.id


async def test_waiting_ends_with_the_server(shop: Shop) -> None:
    """The job does not; its client is told to ask for it."""
    job = await shop.service.submit(await shop.caller(), order())
    async with asyncio.timeout(10):
        shop.service.close()
        with pytest.raises(VoiceError) as caught:
            await shop.service.wait(job)
    assert caught.value.code is Code.SHUTTING_DOWN and caught.value.facts["job_id"] == job.id
    assert not (await shop.service.job(job.user_id, job.id, "studio")).finished


async def test_waiting_for_nobodys_job(shop: Shop) -> None:
    job = await shop.service.submit(await shop.caller(), order())
    with pytest.raises(VoiceError) as caught:
        await shop.service.wait(replace(job, user_id=0))
    assert caught.value.code is Code.NOT_FOUND


async def test_a_job_is_its_owners_and_its_dialects(shop: Shop) -> None:
    caller, other = await shop.caller(), await shop.caller()
    job = await shop.service.submit(caller, order())
    assert (await shop.service.job(caller.user_id, job.id, "studio")).id == job.id
    for user, name, dialect in (
        (other.user_id, job.id, "studio"),
        (caller.user_id, job.id, "vbee"),
        (caller.user_id, "nothing", "studio"),
        (caller.user_id, "a\0b", "studio"),
        (caller.user_id, "x" * 1000, "studio"),
    ):
        for ask in (shop.service.job, shop.service.cancel):
            with pytest.raises(VoiceError) as caught:
                await ask(user, name, dialect)
            assert caught.value.code is Code.NOT_FOUND


async def test_cancel(shop: Shop) -> None:
    """A24: nothing is paid, and nothing is kept; who waits is told."""
    caller, name = await shop.caller(), shop.upload()
    job = await shop.service.submit(caller, order(Transcribing(upload=name, seconds=1)))
    with shop.dispatch.listening(job_done(job.id)) as ear:
        cancelled = await shop.service.cancel(caller.user_id, job.id, "studio")
        assert await ear.wait(0)
    assert cancelled.status is Status.CANCELLED and view(cancelled).credits == 0
    assert await shop.service.balance(caller.user_id) == CREDITS
    with pytest.raises(VoiceError):
        shop.uploads.path(name)
    with pytest.raises(VoiceError) as caught:
        result_of(cancelled)
    assert caught.value.code is Code.CONFLICT


async def failed(shop: Shop) -> Job:
    caller = await shop.caller()
    job = await shop.service.submit(caller, order())
    claim = await shop.counter.queue.claim("w")
    assert claim is not None and await shop.counter.queue.start(claim)
    await shop.counter.queue.fail(claim, VoiceError(Code.UNSUPPORTED_MEDIA, "No sound."), retry=False)
    return await shop.service.job(caller.user_id, job.id, "studio")


async def test_a_failed_job_raises_what_it_failed_with(shop: Shop) -> None:
    job = await failed(shop)
    told = view(job)
    assert (told.state, told.error, told.error_code, told.credits) == (
        State.FAILED,
        "No sound.",
        "unsupported_media",
        0,
    )
    with pytest.raises(VoiceError) as caught:
        result_of(job)
    assert caught.value.code is Code.UNSUPPORTED_MEDIA


def test_length_is_counted_over_all_lines() -> None:
    work = Speaking(lines=(Line(text="abc", voice=VoiceNamed()), Line(text="de", voice=VoiceNamed())))
    check_length(work, 5)
    check_length(work, 0)
    with pytest.raises(VoiceError):
        check_length(work, 4)


@pytest.mark.parametrize("key", ["a", "x" * 200, "00000000-0000-4000-8000-000000000000"])
def test_idempotency_keys(key: str) -> None:
    assert idempotency_key(key) == key
    assert idempotency_key(None) is None


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "é", "\x7f"])
def test_what_is_no_idempotency_key(key: str) -> None:
    with pytest.raises(VoiceError) as caught:
        idempotency_key(key)
    assert caught.value.facts["field"] == "Idempotency-Key"


async def test_fingerprints(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 3_000_000)
    (tmp_path / "same").write_bytes(b"a" * 3_000_000)
    (tmp_path / "b").write_bytes(b"b")
    one = await fingerprint("/x", {"a": "1", "b": "2"}, {"f": tmp_path / "a"})
    assert one == await fingerprint("/x", {"b": "2", "a": "1"}, {"f": tmp_path / "same"})
    others = [
        await fingerprint("/y", {"a": "1", "b": "2"}, {"f": tmp_path / "a"}),
        await fingerprint("/x", {"a": "1", "b": "3"}, {"f": tmp_path / "a"}),
        await fingerprint("/x", {"a": "1", "b": "2"}, {"f": tmp_path / "b"}),
        await fingerprint("/x", {"a": "1", "b": "2"}, {}),
    ]
    assert len({one, *others}) == 5
