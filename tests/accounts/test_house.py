"""The account of those who come without a key."""

import pytest

from accounts.house import VISITORS, House
from accounts.ledger import Balance, Ledger
from accounts.names import clean_email
from accounts.store import Store
from protocol.errors import VoiceError
from tests.accounts.conftest import Clock
from tests.accounts.money import balance_of


async def test_it_is_made_when_it_is_needed_and_once(store: Store, clock: Clock) -> None:
    house, other = (House(store, Ledger(clock), now=clock) for _ in range(2))
    assert await house.known() is None
    made = await house.visitors()
    assert await other.visitors() == await other.known() == await house.visitors() == made
    assert await balance_of(store, made) == Balance(0)


def test_nobody_can_register_as_it() -> None:
    with pytest.raises(VoiceError):
        clean_email(VISITORS)
