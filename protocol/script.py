"""Which language a text is in, as far as its letters tell: for a voice nobody chose.

Scripts that belong to one language (or mostly to one) name it; among those who share the Latin letters only Vietnamese
is told apart, by letters no other language has. Everything else is left open.
"""

import re

_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (language, re.compile(f"[{letters}]"))
    for language, letters in (
        ("vi", "ăđơưĂĐƠƯ\u1ea0-\u1ef9"),
        ("ja", "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"),
        ("ko", "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"),
        ("zh", "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"),
        ("uk", "іїєґІЇЄҐ"),
        ("ru", "\u0410-\u044fёЁ"),
        ("el", "\u0386-\u03ce\u1f00-\u1fff"),
        ("he", "\u05d0-\u05ea"),
        ("fa", "پچژگ"),
        ("ar", "\u0621-\u064a"),
        ("hi", "\u0905-\u0939"),
        ("bn", "\u0985-\u09b9"),
        ("ta", "\u0b85-\u0bb9"),
        ("te", "\u0c05-\u0c39"),
        ("th", "\u0e01-\u0e2e"),
    )
)
_SURE = frozenset({"vi", "ja", "uk", "fa"})  # letters that decide, however few there are among those they share


def guess_language(text: str) -> str | None:
    """An ISO 639-1 code, or None where the letters do not tell."""
    counts = {language: len(found) for language, letters in _SCRIPTS if (found := letters.findall(text))}
    if not counts:
        return None
    foreign = sum(1 for letter in text if letter.isalpha() and letter.isascii())
    language = max(counts, key=lambda language: (language in _SURE, counts[language]))
    # A name in another script does not make an English text Chinese; a Vietnamese word has a letter or two of its own.
    return language if language == "vi" or 4 * sum(counts.values()) > foreign else None
