"""Charts say in words what they show, and draw it in proportion."""

import re
from xml.etree import ElementTree

from server.pages.charts import HEIGHT, WIDTH, Point, bars, gauge, line


def heights(svg: str) -> list[float]:
    return [float(value) for value in re.findall(r'class="bar"[^>]* height="([\d.]+)"', svg)]


def test_a_bar_is_as_high_as_its_value() -> None:
    svg = bars("Use", [Point("Nov 1", 0, "0 credits"), Point("Nov 2", 50, "50 credits"), Point("Nov 3", 100, "100")])
    none, half, whole = heights(svg)
    assert none == 0
    assert half * 2 == whole
    assert 0 < whole < HEIGHT


def test_a_chart_is_well_formed_and_reads_its_figures_aloud() -> None:
    svg = line("Balance", [Point("Nov 1", 10, "10 credits"), Point("Nov 2", 5, "5 credits")])
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Balance. Nov 1: 10 credits; Nov 2: 5 credits"


def test_nothing_to_draw_is_an_empty_chart() -> None:
    for chart in (bars("Use", []), line("Balance", [])):
        assert ElementTree.fromstring(chart).get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"


def test_words_of_users_cannot_become_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    for chart in (bars(hostile, [Point(hostile, 1, hostile)]), gauge(hostile, 1, 2, hostile)):
        assert "<script" not in chart
        ElementTree.fromstring(chart)


def test_a_gauge_says_how_near_the_limit_is() -> None:
    assert 'class="gauge low"' in gauge("Jobs", 1, 5, "1 of 5")
    assert 'class="gauge high"' in gauge("Jobs", 4, 5, "4 of 5")
    assert 'class="gauge full"' in gauge("Jobs", 7, 5, "7 of 5")
    assert 'width="0.0"' in gauge("Jobs", 7, 0, "7, no limit")
