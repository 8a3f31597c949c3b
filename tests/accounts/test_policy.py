"""The policy: defaults of the documents, changed while the server runs, and never made wrong."""

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from accounts.policy import Plan, Policies, Policy
from accounts.store import Store, open_store
from protocol.errors import Code, VoiceError
from protocol.pricing import Route
from tests.accounts.conftest import Clock

PAID = ("pro", "enterprise", "owner")


@pytest.fixture
def policies(store: Store, clock: Clock) -> Policies:
    return Policies(store, now=clock, tick=clock)


async def test_the_defaults_are_the_documents(policies: Policies) -> None:
    policy = await policies.current()
    assert policy == Policy() and policy.default_plan == "free"
    assert policy.plan("free") == Plan(requests_per_minute=10, jobs=2, voices=3)  # A3, A4, A32
    assert (policy.plan("pro").requests_per_minute, policy.plan("pro").jobs) == (60, 5)  # D2
    assert (policy.plan("enterprise").requests_per_minute, policy.plan("enterprise").text_chars) == (300, 50_000)
    assert (policy.plan("free").minutes_per_month, policy.plan("free").recording_mb) == (600, 500)  # C3
    assert all((policy.plan(name).minutes_per_month, policy.plan(name).recording_mb) == (0, 2048) for name in PAID)
    assert policy.server_jobs == 5 and policy.upload.audio_mb == 50 and policy.upload.srt_cues == 500  # A4, A42, A55
    assert policy.stt_v2.beam_size == 5 and policy.stt_v2.vad_filter and policy.stt_v2.word_timestamps  # A46


async def test_a_change_touches_what_it_names_and_nothing_else(policies: Policies) -> None:
    changed = await policies.change({"plans": {"free": {"jobs": 4}}, "upload": {"video_mb": 500}})
    assert changed.plan("free") == Plan(jobs=4) and changed.upload.video_mb == 500 and changed.upload.audio_mb == 50
    assert changed.plan("pro") == Policy().plan("pro")
    changed = await policies.change({"plans": {"free": {"voices": 9}}})
    assert changed.plan("free") == Plan(jobs=4, voices=9)
    assert await policies.current() == changed


async def test_a_price_can_be_changed_alone(policies: Policies) -> None:
    changed = await policies.change({"prices": {"studio.stt": {"credits": "2999.5"}}})
    before = Policy().prices
    assert [route for route, price in changed.prices.routes() if price != before[route]] == [Route.STUDIO_STT]
    assert changed.prices[Route.STUDIO_STT].credits == Decimal("2999.5")


async def test_none_takes_a_setting_back_to_its_default(policies: Policies, store: Store) -> None:
    await policies.change({"server_jobs": 9, "plans": {"trial": {"jobs": 1}}, "stt_v2": {"beam_size": 7}})
    assert await policies.change({"server_jobs": None, "plans": {"trial": None}, "stt_v2": None}) == Policy()
    async with store.read() as connection:
        assert (await connection.execute(text("SELECT document FROM policy"))).scalar_one() == "{}"


async def test_a_new_plan_starts_from_the_free_one_and_a_plan_taken_away_falls_to_the_default(
    policies: Policies,
) -> None:
    changed = await policies.change({"plans": {"trial": {"jobs": 1}}, "default_plan": "trial"})
    assert changed.plan("trial") == Plan(jobs=1) == changed.plan("no such plan")


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"server_jobs": -1}, "server_jobs"),
        ({"server_jobs": "many"}, "server_jobs"),
        ({"plans": {"free": {"jobs": 1.5}}}, "plans.free.jobs"),
        ({"plans": {"free": 7}}, "plans.free"),
        ({"plans": {"free": {"jbos": 1}}}, "plans.free.jbos"),
        ({"plains": {"a": 1}}, "plains"),
        ({"plains": 1}, "plains"),
        ({"default_plan": "gold"}, "default_plan"),
        ({"prices": {"studio.stt": {"credits": -1}}}, "prices.studio.stt.credits"),
        ({"prices": {"studio.sst": {"credits": 1}}}, "prices.studio.sst"),
        ({"stt_v2": {"vad_threshold": 1.1}}, "stt_v2.vad_threshold"),
        ({"retention_hours": float("nan")}, "retention_hours"),
    ],
)
async def test_a_wrong_setting_is_named_and_changes_nothing(
    policies: Policies, patch: dict[str, object], field: str
) -> None:
    before = await policies.change({"server_jobs": 6})
    with pytest.raises(VoiceError) as caught:
        await policies.change(patch)
    assert caught.value.code is Code.BAD_REQUEST and caught.value.facts["field"] == field
    assert field in caught.value.message
    assert await policies.current() == before


async def test_a_change_elsewhere_shows_within_a_second(policies: Policies, store: Store, clock: Clock) -> None:
    assert (await policies.current()).server_jobs == 5
    await Policies(store, now=clock, tick=clock).change({"server_jobs": 7})
    clock.time += 1.0
    assert (await policies.current()).server_jobs == 7


async def test_two_admins_at_once_both_get_their_change(policies: Policies, store: Store, clock: Clock) -> None:
    other = Policies(store, now=clock, tick=clock)
    await asyncio.gather(policies.change({"server_jobs": 6}), other.change({"retention_hours": 48}))
    clock.time += 1.0
    policy = await policies.current()
    assert (policy.server_jobs, policy.retention_hours) == (6, 48)


async def test_another_process_sees_a_change(database_url: str, clock: Clock, repository: Path) -> None:
    store = await open_store(database_url)
    policies = Policies(store, now=clock, tick=clock)
    assert (await policies.current()).server_jobs == 5
    program = (
        "import asyncio, sys, time\n"
        "from accounts.policy import Policies\n"
        "from accounts.store import open_store\n"
        "async def main():\n"
        "    store = await open_store(sys.argv[1])\n"
        "    await Policies(store, now=time.time, tick=time.monotonic).change({'server_jobs': 8})\n"
        "    await store.aclose()\n"
        "asyncio.run(main())\n"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, database_url, cwd=repository)
    assert await child.wait() == 0
    clock.time += 1.0
    assert (await policies.current()).server_jobs == 8
    await store.aclose()


async def test_what_is_stored_is_only_what_was_changed(policies: Policies, store: Store) -> None:
    await policies.change({"plans": {"pro": {"jobs": 6}}})
    async with store.read() as connection:
        document = (await connection.execute(text("SELECT document FROM policy"))).scalar_one()
    assert json.loads(document) == {"plans": {"pro": {"jobs": 6}}}
