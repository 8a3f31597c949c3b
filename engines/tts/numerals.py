"""Numbers and signs in words, for models that read letters only.

English and Vietnamese numbers are read in full ("2024", "3.5", "50%"), those of some other languages digit by digit;
where a language is not known here nothing is said of them, and a model does with the digits what it can.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LONGEST = 15  # digits of a number that is read as one

_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ENGLISH_SCALES = ("", "thousand", "million", "billion", "trillion")
_VIETNAMESE_SCALES = ("", "nghìn", "triệu", "tỷ", "nghìn tỷ")
_DIGITS: Mapping[str, str] = MappingProxyType(
    {
        "en": "zero one two three four five six seven eight nine",
        "vi": "không một hai ba bốn năm sáu bảy tám chín",
        "de": "null eins zwei drei vier fünf sechs sieben acht neun",
        "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
        "fr": "zéro un deux trois quatre cinq six sept huit neuf",
        "id": "nol satu dua tiga empat lima enam tujuh delapan sembilan",
        "it": "zero uno due tre quattro cinque sei sette otto nove",
        "nl": "nul een twee drie vier vijf zes zeven acht negen",
        "pl": "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć",
        "pt": "zero um dois três quatro cinco seis sete oito nove",
        "ru": "ноль один два три четыре пять шесть семь восемь девять",
        "sw": "sifuri moja mbili tatu nne tano sita saba nane tisa",
        "tr": "sıfır bir iki üç dört beş altı yedi sekiz dokuz",
    }
)
_ENGLISH = (*_DIGITS["en"].split(), *_TEENS.split())
_VIETNAMESE = _DIGITS["vi"].split()
SIGNS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {"%": "percent", "&": "and", "@": "at", "+": "plus", "=": "equals", "$": "dollars", "€": "euros"},
        "vi": {"%": "phần trăm", "&": "và", "@": "a còng", "+": "cộng", "=": "bằng", "$": "đô la", "€": "ơ rô"},
    }
)


def number_in_words(written: str, language: str) -> str | None:
    """What a ``NUMBER`` is read as; None where the language (ISO 639-1) is not known here."""
    digits = _DIGITS.get(language, "").split()
    if not digits:
        return None
    if language == "en":
        return _read(written, thousands=",", point=".", name="point", cardinal=_english, digits=digits)
    if language == "vi":
        return _read(written, thousands=".", point=",", name="phẩy", cardinal=_vietnamese, digits=digits)
    return _one_by_one(written, digits)


def _read(
    written: str, *, thousands: str, point: str, name: str, cardinal: Callable[[int], str], digits: list[str]
) -> str:
    if re.fullmatch(rf"\d{{1,3}}(?:\{thousands}\d{{3}})+(?:\{point}\d+)?", written):
        written = written.replace(thousands, "")
    whole, mark, fraction = written.partition(point)
    if not whole.isdecimal() or (mark and not fraction.isdecimal()):  # "1.2.3", a date, an address
        return " ".join(_whole(part, cardinal, digits) for part in re.split("[.,]", written))
    words = _whole(whole, cardinal, digits)
    return f"{words} {name} {_one_by_one(fraction, digits)}" if fraction else words


def _whole(written: str, cardinal: Callable[[int], str], digits: list[str]) -> str:
    as_one = len(written) <= _LONGEST and (written == "0" or not written.startswith("0"))
    return cardinal(int(written)) if as_one and written else _one_by_one(written, digits)


def _one_by_one(written: str, digits: list[str]) -> str:
    return " ".join(digits[int(digit)] for digit in written if digit.isdecimal())


def _english(number: int) -> str:
    if number < 20:
        return _ENGLISH[number]
    groups = [(number // 1000**place % 1000, scale) for place, scale in enumerate(_ENGLISH_SCALES)]
    return " ".join(f"{_english_hundreds(group)} {scale}".strip() for group, scale in reversed(groups) if group)


def _english_hundreds(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [_ENGLISH[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10 - 2])
        rest %= 10
    if rest:
        words.append(_ENGLISH[rest])
    return " ".join(words)


def _vietnamese(number: int) -> str:
    if number == 0:
        return _VIETNAMESE[0]
    groups = [(number // 1000**place % 1000, scale) for place, scale in enumerate(_VIETNAMESE_SCALES)]
    words: list[str] = []
    for group, scale in reversed(groups):
        if group:
            words.append(f"{_vietnamese_hundreds(group, full=bool(words))} {scale}".strip())
    return " ".join(words)


def _vietnamese_hundreds(number: int, *, full: bool) -> str:
    """Three digits; ``full`` says the noughts that begin them, as inside a longer number."""
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    words = [_VIETNAMESE[hundreds], "trăm"] if hundreds or full else []
    if tens == 1:
        words.append("mười")
    elif tens:
        words += [_VIETNAMESE[tens], "mươi"]
    elif ones and words:
        words.append("linh")
    if ones == 5 and tens:
        words.append("lăm")
    elif ones == 1 and tens > 1:
        words.append("mốt")
    elif ones:
        words.append(_VIETNAMESE[ones])
    return " ".join(words)
