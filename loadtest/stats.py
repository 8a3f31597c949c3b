"""Figures of many measurements: percentiles, and a row of a report."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value at or above ``share`` (0 to 1) of the sorted values; NaN when there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


@dataclass(frozen=True, slots=True)
class Summary:
    """How a quantity was distributed."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        """Summarise the values; all NaN when there are none."""
        return cls(len(values), *(percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)))


@dataclass(slots=True)
class Row:
    """One line of a report: what was run, and each figure by name (seconds, counts, ratios)."""

    scenario: str
    streams: int
    figures: dict[str, float] = field(default_factory=dict)
    target: str = ""
    met: bool | None = None

    def as_json(self) -> dict[str, object]:
        """The row as plain values; a figure that could not be taken is null."""
        row = asdict(self)
        row["figures"] = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in self.figures.items()}
        return row
