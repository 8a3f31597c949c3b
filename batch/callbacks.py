"""What a client is told when a job is over, in the words of the dialect it was asked for in.

``batch`` knows no dialect: the server gives it a function for each style.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from batch.jobs import Job

CallbackBody = Callable[[Job], Mapping[str, Any]]


class Callbacks:
    """The bodies of all styles; a style nobody knows (any more) gets a plain one, so that no job hangs by it."""

    def __init__(self, bodies: Mapping[str, CallbackBody] | None = None) -> None:
        self._bodies = dict(bodies or {})

    def body(self, job: Job) -> str:
        """The body of a finished job's callback, as JSON."""
        style = job.callback.style if job.callback is not None else ""
        return json.dumps(self._bodies.get(style, plain)(job), ensure_ascii=False)


def plain(job: Job) -> Mapping[str, Any]:
    """The fewest words: which job, and how it ended."""
    return {"event": f"job.{job.status}", "job_id": job.id, "status": job.status}
