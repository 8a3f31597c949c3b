"""What tells who somebody is, taken out of a text by its pattern, as it is written and as recognisers write what was
spelled out ("john dot smith at example dot com").

What has a check digit is checked, so that an order number is not taken for a card. Names of people and streets have no
pattern and stay; docs/texts.md says so.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Find:
    """Where something was found, and what kind of thing it is."""

    start: int
    end: int
    kind: str


_DIGIT = "zero|oh|one|two|three|four|five|six|seven|eight|nine|không|một|hai|ba|bốn|năm|sáu|bảy|tám|chín"
_DIGITS = rf"(?:(?:double|triple) )?(?:{_DIGIT})"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}"
_DOT, _AT = r"(?: (?:dot|chấm) )", r"(?: (?:at|a còng) )"
_TOP_DOMAIN = r"(?:com|org|net|edu|gov|io|vn|co|uk|de|fr|info|app|dev)"
_DOCUMENT = (
    r"(?:passport|id(?:entity)?(?: card)?|driver'?s licen[cs]e|social security|tax|cccd|cmnd|hộ chiếu"
    r"|căn cước(?: công dân)?|chứng minh nhân dân|mã số thuế)(?: (?:number|no\.?|code|số))?"
)
_BORN = r"(?:born(?: on)?|date of birth|birth ?date|birthday|dob|sinh ngày|ngày sinh)"
_NTH = r"\d{1,2}(?:st|nd|rd|th)?"
_IS = r"(?: is| was| là)?[ :#]{0,3}"
_DAY = (
    r"(?:\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}"
    rf"|(?:the )?{_NTH}(?: of)? [A-Za-z]{{3,9}},? \d{{4}}|[A-Za-z]{{3,9}} {_NTH},? \d{{4}})"
)
_TELEPHONE = (
    r"(?<![\w+.,/-])(?<!\d[ .])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,4}\)[ .-]?)?"
    r"\d{2,4}(?:[ .-]?\d{2,4}){1,4}(?![\w/]|[.,-]\d)"
)

_PATTERNS: tuple[tuple[str, str], ...] = (
    ("URL_WITH_PASSWORD", r"\b[a-z][a-z0-9+.-]{1,15}://[^\s/@:]{1,64}:[^\s/@]{1,64}@[^\s<>\"]{1,200}"),
    ("EMAIL", r"(?<![\w.+-])\w[\w.+-]{0,63}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w@-])"),
    ("EMAIL", rf"(?i)\b{_NAME}(?:{_DOT}{_NAME}){{0,4}}{_AT}{_NAME}(?:{_DOT}{_NAME}){{0,2}}{_DOT}{_TOP_DOMAIN}\b"),
    ("IBAN", r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?!\w)"),
    ("CARD", r"(?<![\w.-])\d(?:[ -]?\d){11,22}(?![\w-])"),
    ("MAC_ADDRESS", r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])"),
    ("IP_ADDRESS", r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)"),
    ("IP_ADDRESS", r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"),
    ("SSN", r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"),
    ("ID_NUMBER", rf"(?i)\b{_DOCUMENT}{_IS}(?P<value>[A-Z]{{0,3}}[- ]?\d[\d -]{{4,14}}\d)(?!\w)"),
    ("BIRTH_DATE", rf"(?i)\b{_BORN}{_IS}(?P<value>{_DAY})"),
    ("PHONE", _TELEPHONE),
    ("SPOKEN_NUMBER", rf"(?i)\b{_DIGITS}(?:[ ,-]{{1,2}}{_DIGITS}){{6,24}}\b"),
)  # fmt: skip
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)
_SHORTEST = 13  # characters of a card number or an account
_GROUP = re.compile(r"[^ -]+")
_PHONE_DIGITS = range(9, 16)
_SHORT_PHONE = re.compile(r"\d{3}[ .-]\d{4}")
_FIGURES = re.compile(  # of a date, of years, of an amount
    r"\d{4}[-.]\d{1,2}[-.]\d{1,2}|\d{1,2}[-.]\d{1,2}[-.]\d{4}|(?:(?:19|20)\d\d[ .-]?)+|[1-9]\d{1,2}([ .]\d{3})*[ .]000"
)


def redact(text: str) -> tuple[str, list[Find]]:
    """The text with each find's kind in its place ("[EMAIL]"), and where in the text as it was they are."""
    finds = find(text)
    pieces, at = [], 0
    for one in finds:
        pieces += [text[at : one.start], f"[{one.kind}]"]
        at = one.end
    return "".join([*pieces, text[at:]]), finds


def find(text: str) -> list[Find]:
    """All finds, in order, none inside another."""
    taken, found = bytearray(len(text)), []
    for kind, pattern in _COMPILED:
        for start, end in _matches(kind, pattern, text):
            if 1 not in taken[start:end]:
                taken[start:end] = b"\1" * (end - start)
                found.append(Find(start, end, kind))
    return sorted(found, key=lambda one: one.start)


def _matches(kind: str, pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    check = _CHECKS.get(kind)
    group = "value" if "value" in pattern.groupindex else 0
    for match in pattern.finditer(text):
        start, end = match.span(group)
        if check is None or check(match[group]):
            yield start, end
        elif kind in ("CARD", "IBAN"):
            yield from _within(match[group], start, check)


def _within(written: str, at: int, check: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """The longest run of groups that passes: another number, or a word, may stand beside it."""
    groups = [group.span() for group in _GROUP.finditer(written)]
    for count in range(len(groups) - 1, 0, -1):
        for first in range(len(groups) - count + 1):
            start, end = groups[first][0], groups[first + count - 1][1]
            if end - start - (count - 1) >= _SHORTEST and check(written[start:end]):
                yield at + start, at + end
                return


def _is_card(written: str) -> bool:
    digits = [int(character) for character in written if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_iban(written: str) -> bool:
    code = written.replace(" ", "")
    if not 15 <= len(code) <= 34 or not code[:2].isalpha():
        return False
    turned = code[4:] + code[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _is_ip(written: str) -> bool:
    try:
        ipaddress.ip_address(written)
    except ValueError:
        return False
    return any(character.isalnum() for character in written)


def _is_phone(written: str) -> bool:
    """Digits enough for one, and not figures of something else."""
    if _FIGURES.fullmatch(written):
        return False
    digits = sum(character.isdigit() for character in written)
    if digits in _PHONE_DIGITS:
        grouped = any(not character.isdigit() for character in written)
        return grouped or written[0] == "0" or digits == 10
    return bool(_SHORT_PHONE.fullmatch(written))


_CHECKS: Mapping[str, Callable[[str], bool]] = {
    "CARD": _is_card, "IBAN": _is_iban, "IP_ADDRESS": _is_ip, "PHONE": _is_phone,
}  # fmt: skip
