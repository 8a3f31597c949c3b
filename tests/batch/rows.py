"""Rows that other rows need: a user, and a job of his with its hold."""

from itertools import count

from sqlalchemy import insert

from accounts.schema import hold, job, user
from accounts.store import Store

_numbers = count(1)


async def make_user(store: Store) -> int:
    """A user's id."""
    values = {"email": f"user{next(_numbers)}@example.com", "name": "", "role": "user", "state": "active"}
    async with store.write() as connection:
        made = await connection.execute(insert(user).values(**values, plan="free", limits="{}", created_at=0.0))
        assert made.inserted_primary_key is not None
        return int(made.inserted_primary_key[0])


async def make_job(store: Store, user_id: int) -> str:
    """The id of a completed job."""
    job_id = f"job{next(_numbers)}"
    async with store.write() as connection:
        held = await connection.execute(
            insert(hold).values(
                user_id=user_id, subject=f"job:{job_id}", amount=0, captured=0, state="captured", created_at=0.0
            )
        )
        assert held.inserted_primary_key is not None
        given = {"id": job_id, "user_id": user_id, "status": "completed", "hold_id": held.inserted_primary_key[0]}
        blank = {column.name: column.type.python_type() for column in job.columns if not column.nullable}
        await connection.execute(insert(job).values(**{**blank, **given}))
    return job_id
