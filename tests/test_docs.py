"""The documents' tables are the code's own: they are compared here, and written by running this file as a program."""

import re
import sys
from pathlib import Path

import pytest

from protocol.dialects import stt_ai, tts_ai, vbee_batch
from protocol.dialects.studio import errors as studio_errors
from protocol.errors import Code
from protocol.pricing import PriceTable, Rounding, Unit, source
from server.settings import settings_table

ROOT = Path(__file__).resolve().parent.parent


def errors_table() -> str:
    """Every error of a live session: its code, HTTP status and close code."""
    rows = ["| code | HTTP status | close code |", "|---|---|---|"]
    rows += [f"| `{code.value}` | {stt_ai.ERRORS[code][0]} | {stt_ai.ERRORS[code][1]} |" for code in Code]
    return "\n".join(rows)


def prices_table() -> str:
    """Every route: what it costs unless an admin changes it, and where that is from."""
    rounding = {Rounding.EXACT: "", Rounding.STARTED: ", each begun", Rounding.NEAREST: ", to the nearest"}
    rows = ["| route | credits | for each | from |", "|---|---|---|---|"]
    for route, price in PriceTable().routes():
        portion = "minute" if (price.unit, price.per) == (Unit.SECONDS, 60) else f"{price.per} {price.unit}"
        portion = "turn" if (price.unit, price.per) == (Unit.TURNS, 1) else portion
        rows.append(f"| `{route}` | {price.credits:f} | {portion}{rounding[price.rounding]} | {source(route)} |")
    return "\n".join(rows)


def studio_errors_table() -> str:
    """Every error of seed A's API."""
    rows = ["| code | status |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{code.value}` | {studio_errors.ERRORS[code]} |" for code in Code)])


def vbee_errors_table() -> str:
    """Every error of seed B's API."""
    rows = ["| error_code | status |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{code.name}` | {vbee_batch.ERRORS[code]} |" for code in Code)])


def stt_errors_table() -> str:
    """Every error of seed C's API."""
    rows = ["| what | status |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{code.value}` | {stt_ai.ERRORS[code][0]} |" for code in Code)])


def tts_errors_table() -> str:
    """Every error of seed D's API: what happened, its status, and the code of the nine."""
    rows = ["| what | status | code |", "|---|---|---|"]
    told = ((code.value, *tts_ai.ERRORS[code]) for code in Code)
    return "\n".join([*rows, *(f"| `{what}` | {status} | `{code}` |" for what, status, code in told)])


TABLES = {
    ("docs/stt-api.md", "stt-errors"): stt_errors_table,
    ("docs/tts-api.md", "tts-errors"): tts_errors_table,
    ("docs/studio-api.md", "studio-errors"): studio_errors_table,
    ("docs/vbee-api.md", "vbee-errors"): vbee_errors_table,
    ("README.md", "settings"): settings_table,
    ("docs/streaming.md", "errors"): errors_table,
    ("docs/billing.md", "prices"): prices_table,
}


def parts(document: str, name: str) -> tuple[str, str, str]:
    """What stands before, in and after the marked place of a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.fullmatch(rf"(.*<!-- {name} -->\n)(.*)(<!-- /{name} -->.*)", text, re.DOTALL)
    assert found, f"{document} has no place for {name}"
    return found[1], found[2], found[3]


@pytest.mark.parametrize(("document", "name"), TABLES)
def test_the_tables_in_the_documents_are_the_codes(document: str, name: str) -> None:
    """`python -m tests.test_docs` writes them anew."""
    assert parts(document, name)[1].strip() == TABLES[document, name]().strip()


def links() -> list[tuple[str, str]]:
    """Every relative link of the documents."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [
        (str(document.relative_to(ROOT)), link)
        for document in documents
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("document", "link"), links())
def test_links_lead_somewhere(document: str, link: str) -> None:
    assert (ROOT / document).parent.joinpath(link).exists(), f"{document} links to {link}"


def named() -> list[str]:
    """Every path of this repository that the README names."""
    packages = "tests|protocol|engines|stream|batch|accounts|server|docs"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return sorted(set(re.findall(rf"`((?:{packages})/[\w/.]+)`", readme)))


@pytest.mark.parametrize("path", named())
def test_the_files_the_readme_names_are_there(path: str) -> None:
    assert (ROOT / path).exists()


if __name__ == "__main__":
    for (document, name), table in TABLES.items():
        before, _, after = parts(document, name)
        (ROOT / document).write_text(f"{before}{table()}\n{after}", encoding="utf-8")
    sys.stdout.write("written\n")
