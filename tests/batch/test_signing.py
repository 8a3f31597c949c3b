"""Signatures, checked with the library that receivers use."""

import asyncio
import os
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from accounts.store import Store
from batch.signing import Secrets, WebhookSecrets, signature_headers
from tests.batch.clocks import Clock
from tests.batch.rows import make_user

BODY = '{"status":"SUCCESS","text":"Xin chào"}'


def secrets_of(store: Store, clock: Clock) -> WebhookSecrets:
    return WebhookSecrets(store, now=clock, random=os.urandom)


async def test_a_receiver_can_verify_a_webhook_with_the_usual_library(store: Store) -> None:
    secrets = await secrets_of(store, Clock()).of(await make_user(store))
    headers = signature_headers(secrets, "msg_1", BODY.encode(), time.time())
    assert Webhook(secrets.current).verify(BODY, headers) == {"status": "SUCCESS", "text": "Xin chào"}
    for changed in ({**headers, "webhook-id": "msg_2"}, {**headers, "webhook-timestamp": str(int(time.time()) + 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secrets.current).verify(BODY, changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets.current).verify(BODY + " ", headers)


def test_the_signature_is_the_one_the_library_makes() -> None:
    secret, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1614265330.9
    headers = signature_headers(Secrets(secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at)
    made = Webhook(secret).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(at, UTC), '{"test": 2432232314}')
    assert headers["webhook-signature"] == made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


async def test_each_user_has_a_secret_of_his_own_that_stays(store: Store) -> None:
    secrets, one, other = secrets_of(store, Clock()), await make_user(store), await make_user(store)
    first = await secrets.of(one)
    assert first.current.startswith("whsec_") and len(first.current) > 38
    assert await secrets.of(one) == first
    assert (await secrets.of(other)).current != first.current


async def test_of_many_who_need_the_first_secret_at_once_all_get_the_same(store: Store) -> None:
    """On Postgres the second insert was an IntegrityError, and its webhook waited for the next attempt."""
    secrets, user = secrets_of(store, Clock()), await make_user(store)
    assert len(set(await asyncio.gather(*(secrets.of(user) for _ in range(8))))) == 1


async def test_while_a_secret_is_changed_both_verify_for_a_day(store: Store) -> None:
    clock = Clock(time.time())
    secrets, user = secrets_of(store, clock), await make_user(store)
    old = await secrets.of(user)
    new = await secrets.renew(user)
    assert new.current != old.current
    headers = signature_headers(await secrets.of(user), "msg_1", BODY.encode(), clock.time)
    for secret in (old.current, new.current):
        Webhook(secret).verify(BODY, headers)
    clock.time += 24 * 3600
    assert await secrets.of(user) == Secrets(new.current)


async def test_a_secret_can_be_changed_before_there_is_one(store: Store) -> None:
    secrets, user = secrets_of(store, Clock()), await make_user(store)
    assert await secrets.renew(user) == await secrets.of(user)
