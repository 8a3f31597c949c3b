"""Moments as JSON has them."""

from datetime import UTC, datetime


def iso_moment(at: float, *, milliseconds: bool = False) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the second or, where a document shows them, the millisecond."""
    moment = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if milliseconds else "seconds") + "Z"
