"""The page of a user's jobs names whatever he asked of any API."""

from typing import get_args

from protocol.work import Work
from server.pages.jobs import KINDS


def test_every_kind_of_work_has_a_name() -> None:
    """Without one the list would be an error, for as long as such a job is on it."""
    (union, *_) = get_args(Work)
    kinds = {model.model_fields["kind"].default for model in get_args(union)}
    assert "speak" in kinds
    assert kinds == set(KINDS)
    assert all(KINDS.values())
