"""Clocks that move when told to; the store is that of ``tests.databases``, on SQLite and on Postgres."""

import pytest


class Clock:
    """A time that stands still until it is set."""

    def __init__(self, time: float = 1_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()
