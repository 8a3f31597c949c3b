"""Counters that stand still for a lease are found; nothing else is."""

from protocol.stillness import Stillness


def test_a_counter_that_stands_still_for_a_lease_is_found_until_it_is_gone() -> None:
    stillness = Stillness[str, int](10)
    assert stillness.look({"a": 1, "b": 1}, 0) == []
    assert stillness.look({"a": 1, "b": 2}, 9) == []
    assert stillness.look({"a": 1, "b": 2}, 10) == ["a"]
    assert stillness.look({"a": 1, "b": 2}, 18) == ["a"]
    assert stillness.look({"b": 2}, 19) == ["b"]
    assert stillness.look({}, 20) == []


def test_one_that_moved_or_came_back_has_a_new_lease() -> None:
    stillness = Stillness[str, tuple[int, int]](10)
    stillness.look({"a": (1, 1)}, 0)
    stillness.look({"a": (2, 1)}, 9)
    assert stillness.look({"a": (2, 1)}, 18) == []
    stillness.look({}, 18.5)
    assert stillness.look({"a": (2, 1)}, 19) == []
    assert stillness.look({"a": (2, 1)}, 28) == []
    assert stillness.look({"a": (2, 1)}, 29) == ["a"]


def test_a_watcher_that_slept_for_a_lease_accuses_nobody() -> None:
    """A machine that was suspended stops its workers and its watcher alike."""
    stillness = Stillness[str, int](10)
    stillness.look({"a": 1}, 0)
    assert stillness.look({"a": 1}, 3600) == []
    assert stillness.look({"a": 1}, 3609) == []
    assert stillness.look({"a": 1}, 3610) == ["a"]
