"""protocol.languages: names by code."""

from protocol.languages import LANGUAGES, language_name


def test_names() -> None:
    assert language_name("en") == "english"
    assert language_name("en-gb") == "english"
    assert language_name("xx") == "xx"
    assert all(name == name.lower() and name.strip() for name in LANGUAGES.values())
    assert len(set(LANGUAGES.values())) == len(LANGUAGES)
