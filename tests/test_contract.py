"""Every numbered line of the contract has a test that shows it, and docs/contract.md says which."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"\| ([ABCDEX]\d+) \| (.+?) \| (.+) \|")
LINES = {
    "A": [*range(1, 27), *range(31, 63)],
    "B": range(1, 17),
    "C": range(1, 24),
    "D": range(1, 24),
    "E": range(1, 13),
    "X": range(1, 15),
}
EVERY_LINE = [f"{letter}{number}" for letter, numbers in LINES.items() for number in numbers]


@cache
def shown() -> dict[str, list[str]]:
    """The tests of each line."""
    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    rows = [ROW.fullmatch(line) for line in text.splitlines()]
    found = [(row[1], re.findall(r"`([^`]+)`", row[3])) for row in rows if row]
    assert len(dict(found)) == len(found), "a line has two rows"
    return dict(found)


@cache
def names_in(path: str) -> set[str]:
    """The names of the tests in a file; none where there is no such file."""
    if not (ROOT / path).is_file():
        return set()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("line", EVERY_LINE)
def test_a_line_is_shown_by_tests_that_there_are(line: str) -> None:
    tests = shown().get(line, [])
    assert tests, f"{line} has no test in docs/contract.md"
    for test in tests:
        path, _, name = test.partition("::")
        assert path.startswith("tests/") and name.startswith("test_"), f"{line}: {test} is no path::test"
        assert name in names_in(path), f"{line}: there is no {test}"


def test_there_are_no_other_lines() -> None:
    assert list(shown()) == EVERY_LINE
