"""Any secret opens every dialect (X12): keys, tokens of keys, and apps' JWTs."""

import pytest

from accounts.apps import Apps
from accounts.identity import Identities, Identity
from accounts.keys import Keys
from accounts.store import Store
from accounts.tokens import Tokens
from tests.accounts.conftest import Clock


async def test_each_kind_of_secret_says_whose_it_is(store: Store, clock: Clock, ann: int, bob: int) -> None:
    keys, tokens, apps = (
        Keys(store, now=clock, tick=clock),
        Tokens(store, now=clock, tick=clock),
        Apps(store, now=clock),
    )
    identities = Identities(keys, tokens, apps)
    secret, key = await keys.create(user_id=ann)
    token = await tokens.mint(key.id, 60)
    app, jwt = await apps.create(bob, "", 60)
    assert await identities.verify(secret) == Identity(ann, key_id=key.id)
    assert await identities.verify(token.secret) == Identity(ann, key_id=key.id, token=True)
    assert await identities.verify(token.secret) is None, "a token is spent by asking"
    assert await identities.verify(jwt) == Identity(bob, app_id=app.id)


@pytest.mark.parametrize("secret", ["", "sk-ov-", "vt-", "vt-x", "a.b.c", "Bearer x", "\x00", "\ud800", "x" * 10_000])
async def test_anything_else_opens_nothing(store: Store, clock: Clock, secret: str) -> None:
    keys, tokens, apps = (
        Keys(store, now=clock, tick=clock),
        Tokens(store, now=clock, tick=clock),
        Apps(store, now=clock),
    )
    assert await Identities(keys, tokens, apps).verify(secret) is None
