"""A long text cut into parts that a model can take, where a paragraph, a line or a sentence ends."""

import re

_ENDS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])"), re.compile(r"\s+"))


def parts(text: str, most: int) -> list[str]:
    """The text in parts of at most ``most`` characters, which together are all of it but the white space between."""
    cut: list[str] = []
    left = text.strip()
    while len(left) > most:
        at = _place(left[:most])
        cut.append(left[:at].strip())
        left = left[at:].strip()
    return [part for part in (*cut, left) if part]


def pieces(text: str, most: int) -> list[tuple[str, str]]:
    """What is to be translated piece by piece: each with what stands before it (line breaks, spaces), which is kept."""
    found: list[tuple[str, str]] = []
    before = ""
    for line in re.split(r"(\s*\n\s*)", text):
        if not line.strip():
            before += line
            continue
        for number, part in enumerate(parts(line, most)):
            found.append((before if number == 0 else " ", part))
            before = ""
    return found


def _place(text: str) -> int:
    """Where to cut: the last end of the best kind in the second half; right at the end when there is none."""
    for pattern in _ENDS:
        places = [match.end() for match in pattern.finditer(text) if match.end() > len(text) // 2]
        if places:
            return places[-1]
    return len(text)
