"""Texts cut into parts."""

import re

import pytest

from batch.text_parts import parts, pieces

TEXTS = [
    "a b c " * 500, "x" * 999, "One two three. " * 200, "line\n" * 99, "a paragraph.\n\n" * 90, "字" * 777 + "。", "",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("most", [50, 120, 400])
def test_nothing_is_lost_and_no_part_is_too_long(text: str, most: int) -> None:
    cut = parts(text, most)
    assert all(0 < len(part) <= most for part in cut)
    assert re.sub(r"\s", "", "".join(cut)) == re.sub(r"\s", "", text)


def test_a_part_ends_where_a_reader_would_pause() -> None:
    assert parts("First sentence here. Second one goes on for a while. Third.", 40)[0] == "First sentence here."
    assert parts("one line of text\nanother line. x\nlast", 30) == ["one line of text", "another line. x\nlast"]


def test_pieces_keep_what_stands_between_lines() -> None:
    text = "Title\n\nFirst. Second.\n  indented"
    assert "".join(before + piece for before, piece in pieces(text, 100)) == text
