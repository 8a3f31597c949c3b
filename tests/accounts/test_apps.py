"""Apps and their JWTs: one form, one algorithm, one key each, and nothing else gets in (B2, E1)."""

import base64
import json
import random
from typing import Any
from uuid import UUID

import jwt
import pytest
from sqlalchemy import select, text

from accounts.apps import App, AppCaller, Apps
from accounts.keys import State
from accounts.schema import app_token
from accounts.store import Store
from protocol.errors import Code, VoiceError
from tests.accounts.conftest import Clock

_DAY = 86_400


@pytest.fixture
def apps(store: Store, clock: Clock) -> Apps:
    return Apps(store, now=clock)


def _part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode(errors="surrogatepass")).rstrip(b"=").decode()


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    _, claims, _ = token.split(".")
    return jwt.get_unverified_header(token), json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))


async def test_an_app_has_an_id_and_a_token_that_says_when_it_ends(apps: Apps, ann: int, clock: Clock) -> None:
    app, token = await apps.create(ann, "  call\ncentre ", _DAY)
    assert UUID(app.id) and app == App(app.id, ann, "callcentre", State.ACTIVE, clock.time)
    header, claims = _parts(token)
    assert header["alg"] == "HS256" and header["typ"] == "JWT" and header["kid"]
    assert claims == {"sub": app.id, "iat": clock.time, "exp": clock.time + _DAY}
    assert await apps.verify(token) == AppCaller(ann, app.id)
    assert await apps.of(ann) == [app]
    assert [entry.kid for entry in await apps.tokens(ann, app.id)] == [header["kid"]]


async def test_a_token_ends_with_its_time(apps: Apps, ann: int, clock: Clock) -> None:
    app, token = await apps.create(ann, "", 60)
    clock.time += 59
    assert await apps.verify(token)
    clock.time += 1
    assert await apps.verify(token) is None and await apps.tokens(ann, app.id) == []


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_clock_set_by_an_hour_ends_no_token_of_a_day(apps: Apps, ann: int, clock: Clock, jump: float) -> None:
    """R9: nor does one set back make a token come from the future."""
    _, token = await apps.create(ann, "", _DAY)
    clock.time += jump
    assert await apps.verify(token)


async def test_a_signature_by_anything_but_its_own_key_is_worth_nothing(apps: Apps, ann: int, bob: int) -> None:
    """JWT abuse: no algorithm, another one, another app's key, no key, the public parts as the key."""
    app, token = await apps.create(ann, "hers", _DAY)
    _, foreign = await apps.create(bob, "his", _DAY)
    header, claims = _parts(token)
    other, _ = _parts(foreign)
    first, second, signature = token.split(".")
    forged = [
        f"{_part({**header, 'alg': 'none'})}.{second}.",
        f"{_part({**header, 'alg': 'None'})}.{second}.{signature}",
        f"{_part({**header, 'alg': 'HS512'})}.{second}.{signature}",
        f"{_part({**header, 'alg': 'RS256'})}.{second}.{signature}",
        f"{_part({**header, 'alg': ['HS256']})}.{second}.{signature}",
        f"{_part({**header, 'b64': False, 'crit': ['b64']})}.{second}.{signature}",
        f"{_part({**header, 'kid': other['kid']})}.{second}.{signature}",
        f"{_part({**header, 'kid': None})}.{second}.{signature}",
        f"{_part({**header, 'kid': [header['kid']]})}.{second}.{signature}",
        f"{_part({'alg': 'HS256'})}.{second}.{signature}",
        f"{_part({**header, 'kid': '1 OR 1=1 --'})}.{second}.{signature}",
        f"{_part({**header, 'kid': '../../dev/null'})}.{second}.{signature}",
        f"{first}.{_part({**claims, 'exp': 9_999_999_999})}.{signature}",
        f"{first}.{second}.",
        f"{first}.{second}.{signature[:-4]}",
        f"{first}.{second}",
        jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": str(header["kid"])}),
        jwt.encode(claims, str(header["kid"]) * 2, algorithm="HS256", headers={"kid": str(header["kid"])}),
        jwt.encode(claims, b"\x00" * 32, algorithm="HS256", headers={"kid": str(header["kid"])}),
    ]
    for attempt in forged:
        assert await apps.verify(attempt) is None, attempt
    assert await apps.verify(token) == AppCaller(ann, app.id)


async def test_a_token_says_nothing_that_its_row_does_not(apps: Apps, ann: int, bob: int, store: Store) -> None:
    """Even who has a signing key cannot make a token of another app, of another time or of no time."""
    app, token = await apps.create(ann, "", _DAY)
    victim, _ = await apps.create(bob, "", _DAY)
    header, claims = _parts(token)
    kid = str(header["kid"])
    secret = await _secret(store, kid)
    assert await apps.verify(jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid}))
    changes: list[dict[str, Any]] = [{"sub": victim.id}, {"sub": [app.id]}, {"exp": 9_999_999_999}, {"exp": 0.5}]
    for changed in [*({**claims, **change} for change in changes), {"sub": app.id}, {"exp": claims["exp"]}]:
        assert await apps.verify(jwt.encode(changed, secret, algorithm="HS256", headers={"kid": kid})) is None
    assert await apps.verify(jwt.encode(claims, secret + b"0" * 64, algorithm="HS512", headers={"kid": kid})) is None


async def _secret(store: Store, kid: str) -> bytes:
    async with store.read() as connection:
        query = select(app_token.c.secret).where(app_token.c.kid == kid)
        return bytes((await connection.execute(query)).scalar_one())


async def test_no_text_makes_it_fail(apps: Apps, ann: int) -> None:
    """F1: whatever comes as a token is somebody's or nobody's, and never an error."""
    _, token = await apps.create(ann, "", _DAY)
    first, second, signature = token.split(".")
    nested = "[" * 1400
    for odd in ("", ".", "..", "...", "a.b.c", "\x00.\x00.\x00", "é.é.é", "\ud800.a.b", f"{_part(nested)}.{second}.x",
                f"{first}.{_part(nested)}.{signature}", f"{_part('1')}.{second}.x", f"{_part('[]')}.{second}.x",
                f"{_part('NaN')}..", f"{first}.{second}.{signature}" + "A" * 3000, f"{first}.{second}.{signature}.x.y",
                f" {token}", f"{token} ", f"{token}=", f"{token[:-1]}{chr(ord(token[-1]) + 1)}"):  # fmt: skip
        assert await apps.verify(odd) is None, odd
    mutate = random.Random(7)
    for _ in range(300):
        letters = list(token)
        for _ in range(mutate.randint(1, 3)):
            letters[mutate.randrange(len(letters))] = chr(mutate.choice((0, 46, 61, 65, 97, 233, 0x1F600)))
        if (changed := "".join(letters)) != token:
            assert await apps.verify(changed) is None, changed


async def test_a_renewed_token_works_beside_the_old_one_until_that_is_withdrawn(apps: Apps, ann: int) -> None:
    app, old = await apps.create(ann, "", _DAY)
    new = await apps.renew(ann, app.id, 2 * _DAY)
    assert await apps.verify(old) == await apps.verify(new) == AppCaller(ann, app.id)
    kid = str(_parts(old)[0]["kid"])
    assert await apps.withdraw(ann, app.id, kid) == 1 and await apps.withdraw(ann, app.id, kid) == 0
    assert await apps.verify(old) is None and await apps.verify(new)
    assert await apps.withdraw(ann, app.id) == 1
    assert await apps.verify(new) is None and await apps.of(ann) == [app]


async def test_a_disabled_or_deleted_app_opens_nothing(apps: Apps, ann: int) -> None:
    app, token = await apps.create(ann, "", _DAY)
    await apps.set_state(ann, app.id, State.DISABLED)
    assert await apps.verify(token) is None
    await apps.set_state(ann, app.id, State.ACTIVE)
    assert await apps.verify(token)
    await apps.delete(ann, app.id)
    assert await apps.verify(token) is None and await apps.of(ann) == []


async def test_an_app_of_a_disabled_user_opens_nothing(apps: Apps, ann: int, store: Store) -> None:
    _, token = await apps.create(ann, "", _DAY)
    async with store.write() as connection:
        await connection.execute(text("UPDATE user_account SET state = 'disabled'"))
    assert await apps.verify(token) is None


async def test_nobody_can_touch_another_s_app(apps: Apps, ann: int, bob: int) -> None:
    app, token = await apps.create(ann, "", _DAY)
    for name in (app.id, "no such app", "\x00", "\ud800", ""):
        for attempt in (apps.renew(bob, name, _DAY), apps.withdraw(bob, name), apps.delete(bob, name),
                        apps.set_state(bob, name, State.DISABLED), apps.tokens(bob, name)):  # fmt: skip
            with pytest.raises(VoiceError) as caught:
                await attempt
            assert caught.value.code is Code.NOT_FOUND
    assert await apps.of(bob) == [] and await apps.verify(token)


async def test_lives_and_counts_have_limits(
    apps: Apps, ann: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for life in (0, -1, 59, 10**9):
        with pytest.raises(VoiceError) as caught:
            await apps.create(ann, "", life)
        assert caught.value.code is Code.BAD_REQUEST
    monkeypatch.setattr("accounts.apps._APPS_PER_USER", 1)
    monkeypatch.setattr("accounts.apps._TOKENS_PER_APP", 2)
    app, _ = await apps.create(ann, "", _DAY)
    await apps.renew(ann, app.id, 60)
    for attempt in (apps.create(ann, "", _DAY), apps.renew(ann, app.id, _DAY)):
        with pytest.raises(VoiceError) as caught:
            await attempt
        assert caught.value.code is Code.CONFLICT
    clock.time += 60
    assert await apps.renew(ann, app.id, _DAY), "an ended token makes room"
