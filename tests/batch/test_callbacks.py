"""Each style has its own words for a finished job; a style nobody knows gets plain ones."""

import json
from dataclasses import replace

import pytest

from batch.callbacks import Callbacks
from batch.jobs import Callback, Job, Status
from tests.batch.queueing import SPEAK

JOB = Job(
    id="j", user_id=1, dialect="d", work=SPEAK, details={"voice": "Ngọc"}, status=Status.COMPLETED, priority=3,
    hold_id=1, price_units=5, attempt=1, failures=0, worker="w", progress=100, outcome=None, error=None,
    callback=Callback("https://example.com", "vbee"), created_at=0.0, started_at=0.0, finished_at=1.0,
)  # fmt: skip


def test_a_style_has_its_own_words() -> None:
    callbacks = Callbacks({"vbee": lambda job: {"request_id": job.id, "voice": job.details["voice"]}})
    assert callbacks.body(JOB) == '{"request_id": "j", "voice": "Ngọc"}'


@pytest.mark.parametrize("job", [JOB, replace(JOB, callback=None), replace(JOB, callback=Callback("x", "old"))])
def test_a_style_nobody_knows_gets_plain_words(job: Job) -> None:
    assert json.loads(Callbacks().body(job)) == {"event": "job.completed", "job_id": "j", "status": "completed"}
