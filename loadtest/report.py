"""A report of a run: a table to read, JSON to keep, a picture to look at."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtest.stats import Row


@dataclass(slots=True)
class Report:
    """All rows of a run, in order."""

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Take a row in and show it at once: long runs should not be silent."""
        self.rows.append(row)
        Console().print(
            f"  {row.scenario} x{row.streams}: " + ", ".join(f"{k} {shown(k, v)}" for k, v in row.figures.items())
        )

    def table(self) -> Table:
        """The rows as a table; one line a figure, so that it fits any terminal."""
        table = Table("scenario", "streams", title="Voxline load test")
        for name in ("figure", "value", "target", "met"):
            table.add_column(name, no_wrap=True)
        for row in self.rows:
            for index, (name, value) in enumerate(row.figures.items()):
                first = index == 0
                met = "" if row.met is None or not first else ("yes" if row.met else "NO")
                table.add_row(
                    row.scenario if first else "", str(row.streams) if first else "", name, shown(name, value),
                    row.target if first else "", met,
                )  # fmt: skip
        return table

    def save(self, directory: Path) -> list[Path]:
        """Write results.json and results.png into ``directory``; returns their paths."""
        directory.mkdir(parents=True, exist_ok=True)
        document = {
            "taken": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()},
            "rows": [row.as_json() for row in self.rows],
        }
        path = directory / "results.json"
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        return [path, picture(self.rows, directory / "results.png")]


def shown(name: str, value: float) -> str:
    """A figure with the unit its name ends in: ``_s`` seconds, ``_us``, ``_kib``, ``_pct`` or a plain number."""
    if isinstance(value, float) and math.isnan(value):
        return "-"
    if name.endswith("_s"):
        return f"{value * 1000:.1f} ms" if value < 10 else f"{value:.1f} s"
    for suffix, unit in (("_us", "us"), ("_kib", "KiB"), ("_pct", "%"), ("_x", "x")):
        if name.endswith(suffix):
            return f"{value:.2f} {unit}"
    return f"{value:.4g}"


def picture(rows: Sequence[Row], path: Path) -> Path:
    """Latencies of every scenario as bars: median, 95th percentile and the worst, in milliseconds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = [
        (f"{row.scenario} x{row.streams}\n{name.removesuffix('_p95_s')}", row.figures, name.removesuffix("_p95_s"))
        for row in rows
        for name in row.figures
        if name.endswith("_p95_s") and not math.isnan(row.figures[name])
    ]
    figure, axes = pyplot.subplots(figsize=(10, 0.6 * len(bars) + 1.5), layout="constrained")
    for at, (_, figures, stem) in enumerate(bars):
        for share, colour in (("worst", "#d7dde5"), ("p95", "#7ea6d8"), ("p50", "#1f5fa8")):
            value = figures.get(f"{stem}_{share}_s", math.nan)
            axes.barh(at, value * 1000, color=colour, label=share if at == 0 else None, height=0.7)
    axes.set_yticks(range(len(bars)), [label for label, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds")
    axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.3)
    if bars:
        axes.legend(loc="lower right")
    axes.set_title("What a caller waits for")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
