"""Conversations (D18), as the jobs of their turns: durable like them, and nobody's but their user's.

A conversation is a mark in the details of its jobs; what was said in it is what they came to. Only the latest turns are
remembered, so that a request stays bounded however long people talk.
"""

import json
import re
import secrets
from collections.abc import Callable

from sqlalchemy import select

from accounts.schema import job
from accounts.store import Store
from batch.jobs import Status
from protocol.errors import Code, VoiceError
from protocol.work import Outcome, Said

DETAIL = "conversation_id"  # of a job's details
KIND = "converse"
TURNS = 16  # of the user's, with their answers
CHARACTERS = 12_000  # of all that is remembered
_ID = re.compile(r"conv_[0-9a-f]{32}", re.ASCII)


class Conversations:
    """Those of a store. ``token`` makes what nobody can guess: 32 hexadecimal digits."""

    def __init__(self, store: Store, *, token: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self._store = store
        self._token = token

    def begin(self) -> str:
        """The id of a new one."""
        return f"conv_{self._token()}"

    async def remembered(self, user_id: int, conversation: str) -> tuple[Said, ...]:
        """What was said so far, oldest first. NOT_FOUND for a conversation this user never had."""
        rows = await self._turns(user_id, conversation) if _ID.fullmatch(conversation) else []
        if not rows:
            raise VoiceError(Code.NOT_FOUND, "There is no such conversation.", field=DETAIL)
        said: list[Said] = []
        left = CHARACTERS
        for outcome in (Outcome.model_validate_json(row) for row in rows if row):
            left -= len(outcome.source_text) + len(outcome.text)
            if left < 0:
                break
            said += [Said(role="assistant", text=outcome.text), Said(role="user", text=outcome.source_text)]
        return tuple(reversed(said))

    async def _turns(self, user_id: int, conversation: str) -> list[str]:
        """The outcomes of its latest jobs, newest first; "" of those that are not done."""
        mark = json.dumps({DETAIL: conversation})[1:-1]
        mine = (job.c.user_id == user_id) & (job.c.kind == KIND) & job.c.details.contains(mark, autoescape=True)
        alive = job.c.status != Status.CANCELLED
        query = select(job.c.outcome).where(mine, alive).order_by(job.c.created_at.desc()).limit(TURNS)
        async with self._store.read() as connection:
            return [str(outcome) for outcome in (await connection.execute(query)).scalars()]
