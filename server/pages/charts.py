"""Charts as SVG, drawn on the server: numbers in, markup out. No script, no inline style, readable without colour.

Each is an image to a screen reader, with its figures in the title and, mark by mark, in tooltips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 28


@dataclass(frozen=True, slots=True)
class Point:
    """One mark: ``label`` on the axis ("Nov 3"), a value not below 0, and how it is written ("1,200 credits")."""

    label: str
    value: float
    shown: str


def bars(title: str, points: Sequence[Point]) -> Markup:
    """A bar for each point; an amount a day."""
    top = _ceiling(points)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(points))
    marks = []
    for index, point in enumerate(points):
        height = _length(point.value, top)
        x, y = _LEFT + index * step + step * 0.15, HEIGHT - _BOTTOM - height
        marks.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{step * 0.7:.1f}" height="{height:.1f}" rx="2">'
            f"<title>{escape(point.label)}: {escape(point.shown)}</title></rect>"
        )
    return _chart(title, points, top, step, "".join(marks))


def line(title: str, points: Sequence[Point]) -> Markup:
    """A line through the points with the area below it; a level over time."""
    top = _ceiling(points)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(points))
    places = [
        (_LEFT + (index + 0.5) * step, HEIGHT - _BOTTOM - _length(point.value, top))
        for index, point in enumerate(points)
    ]
    path = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(places))
    floor = HEIGHT - _BOTTOM
    area = f"{path} L{places[-1][0]:.1f} {floor} L{places[0][0]:.1f} {floor} Z" if places else ""
    dots = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3">'
        f"<title>{escape(point.label)}: {escape(point.shown)}</title></circle>"
        for (x, y), point in zip(places, points, strict=True)
    )
    marks = f'<path class="area" d="{area}"/><path class="line" d="{path}"/>{dots}' if places else ""
    return _chart(title, points, top, step, marks)


def gauge(title: str, used: float, limit: float, shown: str) -> Markup:
    """How much of a limit is taken; 0 as limit means none, and nothing is filled."""
    share = min(1.0, used / limit) if limit else 0.0
    state = "full" if share >= 1 else "high" if share >= 0.8 else "low"
    return Markup(
        f'<svg class="gauge {state}" viewBox="0 0 200 12" role="img" aria-label="{escape(title)}: {escape(shown)}">'
        f'<rect class="track" width="200" height="12" rx="6"/>'
        f'<rect class="fill" width="{200 * share:.1f}" height="12" rx="6"/></svg>'
    )


def _chart(title: str, points: Sequence[Point], top: float, step: float, marks: str) -> Markup:
    every = max(1, -(-len(points) // 8))  # about eight labels fit
    labels = "".join(
        f'<text class="tick{" every-other" if number % 2 else ""}" x="{_LEFT + (number * every + 0.5) * step:.1f}" '
        f'y="{HEIGHT - 8}" text-anchor="middle">{escape(point.label)}</text>'
        for number, point in enumerate(points[::every])
    )
    rules = ""
    for share in (0.0, 0.5, 1.0):
        y = HEIGHT - _BOTTOM - _length(top * share, top)
        rules += f'<line class="rule" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        rules += f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(top * share)}</text>'
    told = f"{title}. " + "; ".join(f"{point.label}: {point.shown}" for point in points if point.value)
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">'
        f"{rules}{marks}{labels}</svg>"
    )


def _ceiling(points: Sequence[Point]) -> float:
    """A round number that no point exceeds."""
    most = max((point.value for point in points), default=0.0)
    if most <= 0:
        return 1.0
    unit = 10.0 ** (len(str(int(most))) - 1) if most >= 1 else 0.1
    return next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= most)


def _length(value: float, top: float) -> float:
    return (HEIGHT - _TOP - _BOTTOM) * max(0.0, value) / top


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
