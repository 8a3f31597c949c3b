"""Accounts: made once for each address, with credits; changed by admins; never without an admin."""

import asyncio

import pytest
from sqlalchemy import insert, text

from accounts.keys import Keys
from accounts.ledger import Ledger
from accounts.passwords import Hasher
from accounts.policy import Overrides, Policies, Policy
from accounts.schema import user as user_account
from accounts.sessions import WebSessions
from accounts.store import Store
from accounts.users import OWNER_EMAIL, Role, State, Users, rename
from protocol.errors import Code, VoiceError
from protocol.pricing import UNITS
from tests.accounts.conftest import Clock

PASSWORD = "correct horse"


class QuickHasher(Hasher):
    """Hashes of the least cost, where the cost is not the matter."""

    def __init__(self) -> None:
        super().__init__()
        self._argon2 = type(self._argon2)(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def policies(store: Store, clock: Clock) -> Policies:
    return Policies(store, now=clock, tick=clock)


@pytest.fixture
def users(store: Store, policies: Policies, clock: Clock) -> Users:
    return Users(store, policies, Ledger(clock), now=clock, hasher=QuickHasher())


async def _available(store: Store, user_id: int) -> int:
    async with store.read() as connection:
        ledger = Ledger(lambda: 0.0)
        assert (await ledger.audit(connection)).clean
        return (await ledger.balance(connection, user_id)).available


async def test_a_new_account_has_the_default_plan_and_credits(users: Users, store: Store, clock: Clock) -> None:
    user = await users.register(" Ann@Example.com ", PASSWORD, "Ann")
    assert (user.email, user.name, user.role, user.state) == ("ann@example.com", "Ann", Role.USER, State.ACTIVE)
    assert user.plan == "free" and user.created_at == clock.time and user.overrides == Overrides()
    assert await _available(store, user.id) == Policy().starting_credits * UNITS
    assert await users.get(user.id) == user == await users.by_email("ANN@example.com")


async def test_an_address_has_one_account(users: Users) -> None:
    answers = await asyncio.gather(
        *(users.register(email, PASSWORD) for email in ("ann@example.com", "ANN@example.com", " ann@EXAMPLE.com")),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, VoiceError)]
    assert [(e.code, e.facts["field"]) for e in refused] == [(Code.CONFLICT, "email")] * 2
    assert await users.count() == 1


async def test_what_is_wrong_with_a_registration_is_named_and_leaves_nothing(users: Users) -> None:
    for email, password, field in (("ann", PASSWORD, "email"), ("ann@example.com", "short", "password")):
        with pytest.raises(VoiceError) as caught:
            await users.register(email, password)
        assert caught.value.code is Code.BAD_REQUEST and caught.value.facts["field"] == field
    assert await users.count() == 0


async def test_an_account_without_credits_to_start_with_has_a_ledger_all_the_same(
    users: Users, policies: Policies, store: Store
) -> None:
    await policies.change({"starting_credits": 0})
    assert await _available(store, (await users.register("ann@example.com", PASSWORD)).id) == 0


async def test_who_knows_the_password_is_let_in_and_nobody_else(users: Users) -> None:
    user = await users.register("ann@example.com", PASSWORD)
    assert await users.authenticate("Ann@example.com ", PASSWORD) == user
    for email, password in (("ann@example.com", "wrong horse"), ("bob@example.com", PASSWORD), ("ann", PASSWORD),
                            ("ann@example.com", ""), ("\ud800@b", PASSWORD), ("a\x00@b", PASSWORD)):  # fmt: skip
        assert await users.authenticate(email, password) is None
    await users.set_state(user.id, State.DISABLED)
    assert await users.authenticate("ann@example.com", PASSWORD) is None


async def test_the_owner_has_no_password_until_one_is_set(users: Users) -> None:
    owner = await users.owner()
    for guess in ("", "owner", "nobody's password"):
        assert await users.authenticate(OWNER_EMAIL, guess) is None
    await users.set_password(owner.id, PASSWORD)
    assert await users.authenticate(OWNER_EMAIL, PASSWORD) == owner


async def test_a_hash_of_an_older_cost_is_made_anew_at_the_next_log_in(users: Users, store: Store) -> None:
    await users.register("ann@example.com", PASSWORD)
    users._hasher = Hasher()
    assert await users.authenticate("ann@example.com", PASSWORD)
    async with store.read() as connection:
        stored = (await connection.execute(text("SELECT password FROM user_account"))).scalar_one()
    assert "m=19456,t=2,p=1" in stored
    assert await users.authenticate("ann@example.com", PASSWORD)


async def test_an_account_gets_another_name(users: Users, store: Store) -> None:
    made = await users.register("ann@example.com", PASSWORD)
    await rename(store, made.id, " Ann\n ")
    assert (await users.get(made.id)).name == "Ann"
    with pytest.raises(VoiceError) as caught:
        await rename(store, 999, "Nobody")
    assert caught.value.code is Code.NOT_FOUND


async def test_a_new_password_logs_everybody_out(users: Users, store: Store, clock: Clock) -> None:
    user = await users.register("ann@example.com", PASSWORD)
    sessions = WebSessions(store, now=clock)
    secret = await sessions.open(user.id)
    await users.set_password(user.id, "another horse")
    assert await sessions.find(secret) is None
    assert await users.authenticate("ann@example.com", PASSWORD) is None


async def test_the_owner_is_made_once_with_a_plan_without_limits(users: Users, store: Store) -> None:
    owner, again = await asyncio.gather(users.owner(), users.owner())
    assert owner == again and owner.role is Role.ADMIN and owner.plan == "owner"
    assert owner.limits(Policy()).requests_per_minute == 0
    assert await _available(store, owner.id) == 10**12 * UNITS


async def test_the_owner_of_an_old_database_gets_a_ledger(users: Users, store: Store) -> None:
    row = {"email": OWNER_EMAIL, "name": "", "role": "admin", "state": "active", "plan": "owner", "limits": "{}"}
    async with store.write() as connection:
        await connection.execute(insert(user_account).values(**row, created_at=1.0))
    owner = await users.owner()
    assert owner.created_at == 1 and await _available(store, owner.id) == 10**12 * UNITS


async def test_the_first_admin_is_the_owner(users: Users) -> None:
    admin = await users.register("ann@example.com", PASSWORD, role=Role.ADMIN)
    assert (await users.owner()).id == admin.id


async def test_a_disabled_account_is_shut_out_everywhere(users: Users, store: Store, clock: Clock) -> None:
    user = await users.register("ann@example.com", PASSWORD)
    sessions, keys = WebSessions(store, now=clock), Keys(store, now=clock, tick=clock)
    cookie, (key, _) = await sessions.open(user.id), await keys.create(user_id=user.id)
    await users.set_state(user.id, State.DISABLED)
    clock.time += 1
    assert await sessions.find(cookie) is None and await keys.verify(key) is None
    await users.set_state(user.id, State.ACTIVE)
    assert await sessions.find(cookie) is None and await keys.verify(key) is not None


async def test_there_is_always_an_active_admin(users: Users) -> None:
    owner = await users.owner()
    for attempt in (users.set_role(owner.id, Role.USER), users.set_state(owner.id, State.DISABLED)):
        with pytest.raises(VoiceError) as caught:
            await attempt
        assert caught.value.code is Code.CONFLICT
    second = await users.register("ann@example.com", PASSWORD)
    await users.set_role(second.id, Role.ADMIN)
    answers = await asyncio.gather(
        users.set_role(owner.id, Role.USER), users.set_state(second.id, State.DISABLED), return_exceptions=True
    )
    assert sum(isinstance(answer, VoiceError) for answer in answers) == 1


async def test_plans_and_limits_can_be_changed_for_one_account(users: Users, policies: Policies) -> None:
    user = await users.register("ann@example.com", PASSWORD)
    await users.set_plan(user.id, "pro")
    await users.set_limits(user.id, Overrides(jobs=9, voices=0))
    changed = await users.get(user.id)
    limits = changed.limits(await policies.current())
    assert (limits.jobs, limits.voices, limits.requests_per_minute) == (9, 0, 60)
    await users.set_limits(user.id, Overrides())
    assert (await users.get(user.id)).limits(Policy()) == Policy().plan("pro")
    with pytest.raises(VoiceError) as caught:
        await users.set_plan(user.id, "gold")
    assert caught.value.code is Code.BAD_REQUEST and "free, pro" in str(caught.value.facts["allowed"])


@pytest.mark.parametrize("user_id", [0, -1, 99, 2**31, 10**30])
async def test_an_account_that_is_not_there_is_not_found(users: Users, user_id: int) -> None:
    for attempt in (users.get(user_id), users.set_state(user_id, State.ACTIVE), users.set_plan(user_id, "pro"),
                    users.set_role(user_id, Role.ADMIN), users.set_limits(user_id, Overrides()),
                    users.set_password(user_id, PASSWORD)):  # fmt: skip
        with pytest.raises(VoiceError) as caught:
            await attempt
        assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(VoiceError) as caught:
        await users.by_email("nobody@example.com")
    assert caught.value.code is Code.NOT_FOUND


async def test_accounts_are_listed_by_page_and_found_by_what_is_in_their_names(users: Users) -> None:
    made = [await users.register(f"user{n}@example.com", PASSWORD, f"Number {n}_%") for n in range(5)]
    assert await users.page(limit=2) == made[:2] and await users.page(limit=9, offset=3) == made[3:]
    assert await users.page(search="USER3@") == [made[3]] and await users.page(search="number 4") == [made[4]]
    assert await users.page(search="_%") == made and await users.page(search="__") == []
