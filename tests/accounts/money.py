"""People with credits, for tests of what costs some."""

from itertools import count

from sqlalchemy import insert

from accounts.audit import audit
from accounts.ledger import Balance, Ledger
from accounts.schema import user
from accounts.store import Store

_numbers = count(1)


async def person(store: Store, ledger: Ledger, units: int = 0) -> int:
    """A new user who was granted so many units."""
    row = {"name": "", "role": "user", "state": "active", "plan": "free", "limits": "{}", "created_at": 0.0}
    async with store.write() as connection:
        made = insert(user).values(email=f"{next(_numbers)}@example.com", **row).returning(user.c.id)
        user_id: int = (await connection.execute(made)).scalar_one()
        await ledger.open(connection, user_id)
        if units:
            await ledger.grant(connection, user_id, units, "to begin with")
    return user_id


async def balance_of(store: Store, user_id: int) -> Balance:
    """What they have now."""
    async with store.read() as connection:
        return await Ledger(lambda: 0.0).balance(connection, user_id)


async def findings(store: Store) -> tuple[str, ...]:
    """What the audit has to say; it should be nothing."""
    async with store.read() as connection:
        return (await audit(connection)).findings
