"""Log-ins of the pages: a cookie made anew each time, a week long, its secret kept nowhere."""

import pytest
from sqlalchemy import text

from accounts.sessions import WebSessions
from accounts.store import Store
from tests.accounts.conftest import Clock

_DAY = 86_400.0


@pytest.fixture
def sessions(store: Store, clock: Clock) -> WebSessions:
    return WebSessions(store, now=clock)


async def test_a_cookie_says_who_it_is(sessions: WebSessions, ann: int, clock: Clock) -> None:
    secret = await sessions.open(ann)
    found = await sessions.find(secret)
    assert found is not None and found.user.id == ann and found.user.email == "ann@example.com"
    assert found.confirmed_at == clock.time and len(found.csrf) > 30


async def test_every_log_in_has_a_secret_and_a_csrf_token_of_its_own(sessions: WebSessions, ann: int) -> None:
    """X6: a cookie planted before the log-in is worth nothing after it."""
    first, second = await sessions.open(ann), await sessions.open(ann)
    one, two = await sessions.find(first), await sessions.find(second)
    assert first != second and one is not None and two is not None and one.csrf != two.csrf


async def test_what_is_no_cookie_of_ours_is_nobody(sessions: WebSessions, ann: int) -> None:
    secret = await sessions.open(ann)
    for other in ("", "ws-", secret[:-1], secret.swapcase(), "sk-ov-" + secret[3:], "é" * 41, "\x00", "\ud800"):
        assert await sessions.find(other) is None


async def test_the_secret_is_not_in_the_store(sessions: WebSessions, ann: int, store: Store) -> None:
    secret = await sessions.open(ann)
    async with store.read() as connection:
        row = (await connection.execute(text("SELECT * FROM web_session"))).one()
    assert secret.encode() not in b"".join(bytes(v) if isinstance(v, bytes) else str(v).encode() for v in row)


async def test_logging_out_ends_one_or_all(sessions: WebSessions, ann: int, bob: int) -> None:
    first, second, third, other = [await sessions.open(user) for user in (ann, ann, ann, bob)]
    await sessions.close(first)
    assert await sessions.find(first) is None and await sessions.find(second)
    await sessions.close("nothing")
    await sessions.close_all(ann)
    assert await sessions.find(second) is None and await sessions.find(third) is None
    assert await sessions.find(other)


async def test_giving_the_password_again_is_remembered(sessions: WebSessions, ann: int, clock: Clock) -> None:
    secret, other = await sessions.open(ann), await sessions.open(ann)
    clock.time += 1000
    await sessions.confirm(secret)
    confirmed, unconfirmed = await sessions.find(secret), await sessions.find(other)
    assert confirmed is not None and confirmed.confirmed_at == clock.time
    assert unconfirmed is not None and unconfirmed.confirmed_at == clock.time - 1000


async def test_a_cookie_ends_after_a_week_and_is_swept(
    sessions: WebSessions, ann: int, clock: Clock, store: Store
) -> None:
    secret = await sessions.open(ann)
    assert sessions.seconds == 7 * _DAY
    clock.time += 7 * _DAY - 1
    assert await sessions.find(secret)
    clock.time += 1
    assert await sessions.find(secret) is None
    await sessions.open(ann)
    async with store.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM web_session"))).scalar_one() == 1


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_clock_set_by_an_hour_logs_nobody_out(
    sessions: WebSessions, ann: int, clock: Clock, jump: float
) -> None:
    """R9."""
    secret = await sessions.open(ann)
    clock.time += jump
    await sessions.open(ann)
    assert await sessions.find(secret)


async def test_the_oldest_of_too_many_browsers_is_logged_out(
    sessions: WebSessions, ann: int, bob: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.sessions._PER_USER", 2)
    other = await sessions.open(bob)
    opened = []
    for _ in range(3):
        clock.time += 1
        opened.append(await sessions.open(ann))
    assert [bool(await sessions.find(secret)) for secret in (*opened, other)] == [False, True, True, True]
