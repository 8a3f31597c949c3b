"""A job as a dialect tells of it: what the queue knows, without the queue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from protocol.work import Outcome, Work


class State(StrEnum):
    """Where a job is (A22); the last three are for good."""

    QUEUED = "queued"
    PICKED = "picked"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Nothing will change any more."""
        return self in (State.COMPLETED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobView:
    """One job at one moment."""

    id: str
    state: State
    work: Work
    created_at: float
    progress: int = 0  # percent
    credits: float = 0.0  # what it costs; 0 once it has been given back
    remaining: float | None = None  # credits its owner has left, where that was looked up
    details: Mapping[str, Any] = field(default_factory=dict)  # what the dialect wanted to say again
    outcome: Outcome | None = None  # of a completed one
    error: str = ""  # of a failed one, for people
    error_code: str = ""  # and ``errors.Code``
    expired: bool = False  # its files are no longer kept
    finished_at: float | None = None
