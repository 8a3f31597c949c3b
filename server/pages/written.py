"""Numbers and times as the pages write them."""

from datetime import UTC, datetime
from decimal import Decimal

from protocol.pricing import UNITS

_SIZES = ("bytes", "KiB", "MiB", "GiB")


def credits(units: int) -> str:
    """Units of the ledger as credits: "1,200.5"."""
    return f"{(Decimal(units) / UNITS).normalize():,f}"


def moment(at: float) -> str:
    """A time of day, UTC: "2026-11-03 14:05"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def day(at: float) -> str:
    """A day, UTC: "2026-11-03"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def day_label(number: int) -> str:
    """A day counted from 1970, for an axis: "Nov 3"."""
    date = datetime.fromtimestamp(number * 86_400, UTC)
    return f"{date:%b} {date.day}"


def size(count: int) -> str:
    """A number of bytes: "3.4 MiB"."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f} {_SIZES[unit]}" if unit == 0 or amount >= 100 else f"{amount:.1f} {_SIZES[unit]}"
