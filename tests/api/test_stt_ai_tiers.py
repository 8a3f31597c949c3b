"""Seed C's tiers (C3), earned by real requests: nobody with a key, the free plan, the plans that pay."""

import time
from pathlib import Path

import pytest

from accounts.house import VISITORS
from accounts.ledger import Balance
from accounts.policy import Overrides
from batch.queue import Queue
from server.accounts import Accounts
from tests.api.serving import Api, Person
from tests.api.test_stt_ai_transcribe import PATH, refusal, send

FIRST, SECOND, THIRD = "127.0.6.1", "127.0.6.2", "127.0.6.3"
PLAIN = {"language": "en", "diarize": "no"}
DAY_S = 86_400


@pytest.fixture(scope="module")
def sample(files: Path) -> bytes:
    return (files / "sample.wav").read_bytes()


def test_without_a_key_there_are_three_a_day_for_each_address(api: Api, ann: Person, sample: bytes) -> None:
    """C1, C3: they cost nobody anything, and nobody sees them."""
    with api.client(address=FIRST) as nobody:
        refusal(send(nobody, b"no sound" * 99), 400)  # which counts for nothing
        ids = []
        for path in (PATH, f"/c{PATH}", PATH):
            reply = nobody.post(path, files={"file": ("a.wav", sample)}, data=PLAIN, headers={"Idempotency-Key": "x"})
            assert reply.status_code == 200 and reply.json()["text"]
            assert reply.headers["x-credits-used"] == "0"
            ids.append(reply.headers["x-job-id"])
        assert len(set(ids)) == 3  # an Idempotency-Key would be anybody's
        reply = send(nobody, sample, **PLAIN)
        assert "3 jobs a day" in refusal(reply, 429)
        assert DAY_S - 600 < int(reply.headers["retry-after"]) <= DAY_S
        refusal(nobody.get(f"/api/v1/transcripts/{ids[0]}/"), 401)
    with api.client(ann) as mine:
        refusal(mine.get(f"/api/v1/transcripts/{ids[0]}/"), 404)
        assert mine.get(f"/api/v1/job/{ids[0]}").status_code == 404
    with api.client(address=SECOND) as another:
        assert send(another, sample, **PLAIN).status_code == 200

    async def spent(accounts: Accounts) -> Balance:
        house = await accounts.house.visitors()
        assert (await accounts.users.get(house)).email == VISITORS
        async with accounts.store.read() as connection:
            return await accounts.ledger.balance(connection, house)

    assert api.within(spent) == Balance(0)


def test_without_a_key_there_is_one_at_once(idle: Api, sample: bytes) -> None:
    """C3: also when the client has gone and its job has not."""
    idle.left(PATH, address=THIRD, files={"file": ("a.wav", sample)})
    with idle.client(address=THIRD) as nobody:
        reply = send(nobody, sample)
        assert "1 jobs at once" in refusal(reply, 429) and int(reply.headers["retry-after"]) >= 1
    _clear(idle)


def test_the_free_plan_has_two_at_once(idle: Api, sample: bytes) -> None:
    person = idle.person("free")
    for _ in range(2):
        idle.left(PATH, person=person, files={"file": ("a.wav", sample)})
    with idle.client(person) as client:
        reply = send(client, sample)
        refusal(reply, 429)
        assert int(reply.headers["retry-after"]) >= 1
        for one in client.get("/api/v1/transcripts/").json()["results"]:
            assert client.delete(f"/api/v1/transcripts/{one['id']}/").status_code == 204


def test_the_free_plan_has_so_many_minutes_a_month(idle: Api, sample: bytes) -> None:
    """600 by default; here one. What was cancelled does not count."""
    person = idle.person("free")

    async def less(accounts: Accounts) -> None:
        await accounts.users.set_limits(person.user_id, Overrides(minutes_per_month=1))

    idle.within(less)
    with idle.client(person) as client:
        for _ in range(2):
            idle.left(PATH, person=person, files={"file": ("a.wav", sample)})
            reply = send(client, sample)
            assert "1 minutes of recordings a month" in refusal(reply, 429)
            assert 1 <= int(reply.headers["retry-after"]) <= 31 * DAY_S
            one = client.get("/api/v1/transcripts/").json()["results"][0]["id"]
            assert client.delete(f"/api/v1/transcripts/{one}/").status_code == 204


def test_requests_a_minute(idle: Api) -> None:
    """Work on texts costs nothing, so this is what limits it: by the plan, and by the address."""
    for person in (idle.person("free"), None):
        with idle.client(person, address="127.0.6.4") as client:
            for _ in range(10):
                refusal(client.post("/v1/summarize", json={}), 400)
            reply = client.post("/v1/summarize", json={})
            refusal(reply, 429)
            assert 1 <= int(reply.headers["retry-after"]) <= 60


def _clear(idle: Api) -> None:
    """Nobody can cancel a visitor's job, and nobody here does any."""

    async def cancel(accounts: Accounts) -> None:
        queue = Queue(accounts.store, accounts.ledger, now=time.time, new_id=str)
        house = await accounts.house.visitors()
        for one in await queue.page(house):
            await queue.cancel(house, one.id)

    idle.within(cancel)
