"""Languages as a choice on a page."""

from collections.abc import Iterable

from protocol.languages import language_name


def language_choices(codes: Iterable[str]) -> list[tuple[str, str]]:
    """Each code with its name, by the name; "auto" first."""
    named = sorted((language_name(code).capitalize(), code) for code in set(codes))
    return [("auto", "Find out"), *((code, name) for name, code in named)]
