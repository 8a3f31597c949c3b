"""Seed C's account API (C22): the account, its keys, what was used, and questions about a transcript."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from protocol.checking import Plain, Wrong
from protocol.dialects.stt_ai.fields import Fields
from protocol.moments import iso_moment
from protocol.pricing import format_credits
from protocol.texts import QUESTION_CHARACTERS, Answered

Body = dict[str, Any]
DAYS = 30
_DAY_S = 86_400
_SESSION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)


def _name(value: str) -> str:
    if not value.strip():
        raise Wrong("a name that is not empty")
    return value.strip()


def _session_id(value: str) -> str:
    if not _SESSION_ID.fullmatch(value):
        raise Wrong("1 to 64 letters, digits and marks of _ . : -")
    return value


SessionId = Annotated[str, AfterValidator(_session_id)]


class AccountChange(Fields):
    """What can be changed of an account; everything else is left as it is."""

    name: Annotated[Plain, AfterValidator(_name)] | None = Field(None, max_length=100, description="Your name.")


class NewKey(Fields):
    """A key to be made."""

    name: Plain = Field("", max_length=100, description="What it is for.")


class Question(Fields):
    """A question about a transcript."""

    question: Plain = Field(min_length=1, max_length=QUESTION_CHARACTERS, description="What is asked.")
    session_id: SessionId | None = Field(None, description="A conversation's: later questions may lean on earlier.")


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Limits(_Reply):
    """What the plan allows; 0 = no limit."""

    requests_per_minute: int
    jobs_at_once: int
    file_mb: int
    minutes_per_month: int


class AccountReply(_Reply):
    """The account. No mail is ever sent, so there is nothing to prefer about it."""

    id: int
    email: str
    name: str
    plan: str
    credits: float
    minutes_used: int = Field(description="Of this month (UTC), each begun one whole.")
    limits: Limits
    email_preferences: dict[str, bool]
    created_at: str


class KeyRow(_Reply):
    """An API key, without its secret."""

    id: int
    name: str
    prefix: str
    last4: str
    status: Literal["active", "disabled"]
    created_at: str


class MadeKey(KeyRow):
    """A new key; ``key`` is shown this once."""

    key: str


class AnswerSource(_Reply):
    """A segment an answer rests on; ``segment_order`` is its place in the transcript, from 0."""

    segment_order: int
    text: str
    score: float


class Answer(_Reply):
    """The answer to a question about a transcript."""

    answer: str
    sources: list[AnswerSource]
    session_id: str
    model: str


class UsageDay(_Reply):
    """What was used on a day (UTC)."""

    date: str
    credits: float = Field(description="Spent by any API.")
    transcriptions: int
    minutes: float = Field(description="Of sound that was transcribed.")


class Usage(_Reply):
    """The last thirty days, oldest first."""

    days: list[UsageDay]
    total_credits: float
    total_transcriptions: int
    total_minutes: float


def key_row(id: int, name: str, secret_prefix: str, last4: str, status: str, created_at: float) -> Body:
    """A key in the list."""
    values = {"id": id, "name": name, "prefix": secret_prefix, "last4": last4, "status": status}
    return KeyRow.model_validate(values | {"created_at": iso_moment(created_at)}).model_dump()


def answer(answered: Answered, session_id: str) -> Body:
    """The reply to a question."""
    sources = [
        AnswerSource(segment_order=one.index, text=one.text, score=round(one.score, 4)) for one in answered.sources
    ]
    made = Answer(answer=answered.text, sources=sources, session_id=session_id, model=answered.model)
    return made.model_dump()


def usage(today: int, spent: Mapping[int, int], sent: Sequence[tuple[float, float]]) -> Body:
    """Thirty days up to ``today`` (counted from 1970): units spent on each, and recordings (when, seconds)."""
    days = []
    for number in range(today - DAYS + 1, today + 1):
        of_day = [seconds for at, seconds in sent if int(at // _DAY_S) == number]
        days.append(
            UsageDay(
                date=_date(number).isoformat(),
                credits=format_credits(spent.get(number, 0)),
                transcriptions=len(of_day),
                minutes=round(sum(of_day) / 60, 2),
            )
        )
    return Usage(
        days=days,
        total_credits=round(sum(one.credits for one in days), 4),
        total_transcriptions=sum(one.transcriptions for one in days),
        total_minutes=round(sum(one.minutes for one in days), 2),
    ).model_dump()


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * _DAY_S, UTC).date()
