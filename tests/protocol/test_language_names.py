"""Names of languages and their codes, both ways (A35, A49)."""

import pytest

from protocol.language_names import language_code, language_name, language_names
from protocol.languages import LANGUAGES


def test_every_name_has_its_code_and_comes_back() -> None:
    assert len(language_names()) >= 70  # A35
    for code, name in LANGUAGES.items():
        assert language_code(name) == language_code(name.upper()) == language_code(code) == code
        assert language_name(code) == name


@pytest.mark.parametrize("name", ["vietnamese", "english", "chinese", "japanese", "korean", "french"])
def test_the_names_of_the_document(name: str) -> None:
    """A14's list."""
    code = language_code(name)
    assert code is not None and language_name(code) == name


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "auto"),
        ("  ", "auto"),
        ("auto", "auto"),
        ("Auto", "auto"),
        ("auto detect", "auto"),
        (" Vietnamese\n", "vi"),
        ("vi-VN", "vi"),
        ("zh_Hant_TW", "zh"),
        ("cmn-CN", "zh"),
        ("haitian  creole", "ht"),
        ("nb", "no"),
        ("jv", "jw"),
        ("klingon", None),
        ("xx", None),
        ("vi-", None),
        ("../etc/passwd", None),
        ("v" * 10_000, None),
    ],
)
def test_what_people_write(written: str, code: str | None) -> None:
    assert language_code(written) == code
