"""Moments as the documents show them."""

from protocol.moments import iso_moment


def test_a_moment_is_in_utc_and_cut_not_rounded() -> None:
    assert iso_moment(0) == "1970-01-01T00:00:00Z"
    assert iso_moment(1_700_000_000.9996) == "2023-11-14T22:13:20Z"
    assert iso_moment(1_700_000_000.25, milliseconds=True) == "2023-11-14T22:13:20.250Z"
