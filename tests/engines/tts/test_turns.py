"""Two threads that take turns: values in order, work that waits and can be stopped, errors where they are seen."""

import threading
from collections.abc import Callable, Iterator

import pytest

from engines.tts.turns import Stopped, turns

Put = Callable[[int], None]


def close(numbers: Iterator[int]) -> None:
    getattr(numbers, "close")()  # noqa: B009


def test_values_come_in_order_and_the_work_waits_for_each_to_be_taken() -> None:
    done: list[int] = []

    def work(put: Put) -> None:
        for number in range(3):
            done.append(number)
            put(number)

    numbers = turns(work, "work")
    assert next(numbers) == 0 and done == [0]
    assert list(numbers) == [1, 2] and done == [0, 1, 2]


def test_work_without_values_just_ends() -> None:
    assert list(turns(lambda put: None, "work")) == []


def test_closing_stops_the_work_where_it_waits() -> None:
    seen: list[str] = []

    def work(put: Put) -> None:
        try:
            put(1)
            seen.append("went on")
        except Stopped:
            seen.append("stopped")
            raise

    threads = threading.active_count()
    numbers = turns(work, "work")
    assert next(numbers) == 1
    close(numbers)
    assert seen == ["stopped"] and threading.active_count() == threads


def test_an_error_comes_out_where_the_values_do() -> None:
    def work(put: Put) -> None:
        put(1)
        raise ValueError("bad")

    numbers = turns(work, "work")
    assert next(numbers) == 1
    with pytest.raises(ValueError, match="bad"):
        next(numbers)
