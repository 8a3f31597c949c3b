"""A queue, somebody with credits, and work to submit, for the tests of the batch half."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import select

from accounts.ledger import Ledger
from accounts.schema import job, webhook
from accounts.store import Store
from batch.artifacts import Artifact
from batch.callbacks import Callbacks
from batch.jobs import Callback, Job, Status, Submission
from batch.queue import Queue
from batch.watcher import Watcher
from protocol.work import Line, Outcome, Speaking, Transcribing, VoiceNamed, Work
from tests.accounts.money import person

_numbers = count(1)
PRICE = 100
SPEAK = Speaking(lines=(Line(text="Hello.", voice=VoiceNamed()),))
HEAR = Transcribing(upload="upload-1", seconds=3.0)
OUTCOME = Outcome(engine="scripted", seconds=1.5)


class Time:
    """A time that stands still until it is set."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def new_id() -> str:
    """Ids in the order they were made."""
    return f"id{next(_numbers):08d}"


@dataclass
class Counter:
    """A queue on a store, and whoever comes to it."""

    store: Store
    now: Time = field(default_factory=Time)
    tick: Time = field(default_factory=lambda: Time(0.0))

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.now)
        bodies: dict[str, Callable[[Job], Any]] = {"test": lambda over: {"id": over.id, "ended": over.status}}
        self.queue = Queue(self.store, self.ledger, now=self.now, new_id=new_id, callbacks=Callbacks(bodies))
        self.watcher = Watcher(self.queue, lease_s=30, tick=self.tick)

    async def person(self, units: int = 100 * PRICE) -> int:
        """A new user who has so much."""
        return await person(self.store, self.ledger, units)

    async def status(self, job_id: str) -> Status:
        """Where a job stands, whoever's it is."""
        async with self.store.read() as connection:
            return Status((await connection.execute(select(job.c.status).where(job.c.id == job_id))).scalar_one())

    async def told(self) -> list[tuple[str, str, str]]:
        """The webhooks that are to be sent: job, address, body."""
        async with self.store.read() as connection:
            rows = await connection.execute(select(webhook).order_by(webhook.c.id))
            return [(row.job_id, row.url, row.body) for row in rows]


def asking(user_id: int, work: Work = SPEAK, **more: Any) -> Submission:
    """A submission of a usual kind."""
    return Submission(**{"user_id": user_id, "dialect": "studio", "work": work, "price_units": PRICE, **more})


def calling_back(style: str = "test") -> Callback:
    """A callback to nowhere."""
    return Callback("https://example.com/hook", style)


def made(job_: Job, name: str) -> Artifact:
    """An artifact's row."""
    return Artifact(name, job_.id, job_.user_id, "audio", "audio/wav", 44, 1.0, 2.0)
