"""Ranges: those of RFC 9110 section 14.1.2, those to be ignored, and those nobody should send."""

import random

import pytest

from server.api.byte_ranges import ByteRange, Unsatisfiable, parse_range

SIZE = 10_000


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-499", 0, 499),
        ("bytes=500-999", 500, 999),
        ("bytes=-500", 9500, 9999),
        ("bytes=9500-", 9500, 9999),
        ("bytes=0-0", 0, 0),
        ("bytes=-1", 9999, 9999),
        ("bytes=0-", 0, 9999),
        ("bytes=0-99999", 0, 9999),
        ("bytes=-99999", 0, 9999),
        ("bytes=9999-9999", 9999, 9999),
        ("Bytes= 0-499 ", 0, 499),
        ("bytes=0-" + "9" * 18, 0, 9999),
    ],
)
def test_one_range_is_answered(header: str, first: int, last: int) -> None:
    assert parse_range(header, SIZE) == ByteRange(first, last)


NO_RANGE = ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=--5", "bytes=0x1-2", "bytes=1-2-3"]
UNLIKELY = ["lines=0-5", "0-5", "bytes 0-5", "bytes=0-5;q=1", "bytes=٣-٤", "bytes=" + "9" * 30 + "-", "bytes=0-1,3-4"]


@pytest.mark.parametrize("header", [*NO_RANGE, *UNLIKELY])
def test_what_is_no_range_or_several_is_ignored(header: str) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=" + "9" * 18 + "-"])
def test_nothing_of_the_file_is_416(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, SIZE)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_an_empty_file_has_no_range(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, 0)


@pytest.mark.parametrize("count", [17, 1000])
def test_a_thousand_ranges_are_416(count: int) -> None:
    """X8."""
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=" + ",".join(f"{at}-{at}" for at in range(count)), SIZE)


def test_anything_at_all_is_a_range_inside_the_file_or_a_refusal() -> None:
    """F1."""
    rng = random.Random(9)
    for _ in range(20_000):
        header = "bytes=" + "".join(rng.choice("0123456789-, =x") for _ in range(rng.randrange(24)))
        try:
            found = parse_range(header, SIZE)
        except Unsatisfiable:
            continue
        assert found is None or 0 <= found.first <= found.last < SIZE
