"""Conversations (D18): remembered by their jobs, for nobody but their user, and never more of them than is bearable."""

import json

import pytest
from sqlalchemy import update

from accounts.schema import job
from accounts.store import Store
from batch.conversations import CHARACTERS, DETAIL, KIND, TURNS, Conversations
from batch.jobs import Status
from protocol.errors import Code, VoiceError
from protocol.work import Outcome, Said
from tests.batch.rows import make_job, make_user


async def turn(
    store: Store,
    user_id: int,
    conversation: str,
    number: int,
    said: str,
    answer: str,
    status: Status = Status.COMPLETED,
) -> None:
    """A job of that conversation."""
    outcome = Outcome(source_text=said, text=answer).model_dump_json() if status is Status.COMPLETED else ""
    details = json.dumps({"task": "voice_chat", DETAIL: conversation, "voice": "af_bella"})
    values = {"kind": KIND, "details": details, "outcome": outcome, "status": status, "created_at": float(number)}
    made = await make_job(store, user_id)
    async with store.write() as connection:
        await connection.execute(update(job).where(job.c.id == made).values(**values))


async def test_what_was_said_in_order(store: Store) -> None:
    talks, somebody, other = Conversations(store), await make_user(store), await make_user(store)
    mine, another = talks.begin(), talks.begin()
    assert mine != another
    await turn(store, somebody, mine, 1, "one", "first")
    await turn(store, somebody, another, 2, "elsewhere", "elsewhere")
    await turn(store, somebody, mine, 3, "lost", "", Status.FAILED)
    await turn(store, somebody, mine, 4, "two", "second")
    await turn(store, other, another, 5, "not mine", "not mine")
    assert await talks.remembered(somebody, mine) == (
        Said(role="user", text="one"),
        Said(role="assistant", text="first"),
        Said(role="user", text="two"),
        Said(role="assistant", text="second"),
    )
    for user_id, conversation in ((other, mine), (somebody, talks.begin()), (somebody, "conv_%"), (somebody, "")):
        with pytest.raises(VoiceError) as caught:
            await talks.remembered(user_id, conversation)
        assert caught.value.code is Code.NOT_FOUND and caught.value.facts["field"] == DETAIL


async def test_a_conversation_whose_first_turn_failed_goes_on(store: Store) -> None:
    talks, somebody = Conversations(store), await make_user(store)
    conversation = talks.begin()
    await turn(store, somebody, conversation, 1, "", "", Status.FAILED)
    assert await talks.remembered(somebody, conversation) == ()


async def test_only_the_latest_of_a_long_one(store: Store) -> None:
    talks, somebody = Conversations(store), await make_user(store)
    many, long = talks.begin(), talks.begin()
    for number in range(TURNS + 3):
        await turn(store, somebody, many, number, f"said {number}", "answered")
        await turn(store, somebody, long, number, "a" * (CHARACTERS // 4), "b")
    said = await talks.remembered(somebody, many)
    assert len(said) == 2 * TURNS and said[0].text == "said 3" and said[-2].text == f"said {TURNS + 2}"
    assert sum(len(one.text) for one in await talks.remembered(somebody, long)) <= CHARACTERS
