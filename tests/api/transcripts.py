"""Transcripts in a server that does no jobs, as its workers would have made them: a test knows every word of them."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from accounts.ledger import Ledger
from batch.jobs import Submission
from batch.queue import Queue
from protocol.work import Outcome, Segment, SegmentWord, Transcribing
from server.accounts import Accounts
from tests.api.serving import Api, Person

_FIRST, _LAST = -1, 1000  # before whatever else waits there, and after it
MEETING = (
    ("Xin chào các bạn, chúng ta bắt đầu cuộc họp.", 0),
    ("The budget for March is twelve thousand dollars.", 1),
    ("你好，世界。", 0),
    ("Anna will send the report to the board by Friday.", 1),
)


def outcome(language: str = "en", lines: tuple[tuple[str, int], ...] = MEETING) -> Outcome:
    """What somebody who listened would say was said."""
    segments = []
    for number, (text, speaker) in enumerate(lines):
        start = 3.0 * number
        words = tuple(
            SegmentWord(word=word, start=start + 0.2 * place, end=start + 0.2 * place + 0.15, confidence=0.9)
            for place, word in enumerate(text.split())
        )
        segments.append(
            Segment(start=start, end=start + 2.5, text=text, speaker=speaker, confidence=0.9, words=words)
        )
    return Outcome(
        engine="scripted",
        seconds=3.0 * len(lines),
        text=" ".join(text for text, _ in lines),
        language=language,
        segments=tuple(segments),
        speakers=len({speaker for _, speaker in lines}),
    )


def keep(
    api: Api,
    person: Person,
    heard: Outcome | None,
    *,
    name: str = "meeting.mp3",
    at: float | None = None,
    seconds: float = 12.0,
) -> str:
    """The id of a transcription that came to this; None: it waits."""

    async def make(accounts: Accounts) -> str:
        now: Callable[[], float] = time.time if at is None else lambda: at
        queue = Queue(accounts.store, Ledger(now), now=now, new_id=lambda: str(uuid4()))
        details: dict[str, Any] = {"filename": name, "model": "large-v3-turbo", "duration_secs": seconds}
        work = Transcribing(upload="x" * 22, seconds=seconds, formats=())
        priority = _LAST if heard is None else _FIRST
        job = await queue.submit(Submission(person.user_id, "stt_ai", work, 10_000, details, priority=priority))
        if heard is not None:
            claim = await queue.claim("test", priority=_FIRST)
            assert claim is not None and claim.job.id == job.id and await queue.start(claim)
            assert await queue.finish(claim, heard)
        return job.id

    return api.within(make)
