"""How numbers and times are written for people."""

import pytest

from server.pages.written import credits, day, day_label, moment, size


@pytest.mark.parametrize(
    ("units", "shown"),
    [(0, "0"), (1, "0.0001"), (25_000, "2.5"), (10_000_000, "1,000"), (12_005_000, "1,200.5"), (-25_000, "-2.5")],
)
def test_credits(units: int, shown: str) -> None:
    assert credits(units) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (250 << 20, "250 MiB"), (3 << 30, "3.0 GiB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


def test_times_are_utc() -> None:
    assert moment(0) == "1970-01-01 00:00"
    assert day(86_400 * 31) == "1970-02-01"
    assert day_label(31) == "Feb 1"
