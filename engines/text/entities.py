"""Names, dates, amounts and addresses in a text, by how they are written.

Names are runs of capitalised words. What kind of name it is, is said only where the text says it: a title before a
person, "Ltd" after a company; otherwise it is a "name".
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from engines.text.tongues import STOPWORDS

_MOST = 100
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_SCALE = r"(?: ?(?:million|billion|thousand|trillion|triệu|tỷ|nghìn|[kKmMbB]n?)\b)?"
_CURRENCY = r"(?:dollars?|euros?|pounds?|USD|EUR|GBP|VND|VNĐ|đồng|yen)"
_FIGURE = r"\d{1,3}(?:[.,]\d{3}){1,5}(?:[.,]\d{1,2})?|\d{1,15}(?:[.,]\d{1,2})?"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("email", re.compile(r"(?<![\w.+-])\w[\w.+-]{0,63}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w@-])")),
    ("url", re.compile(r"\bhttps?://[^\s<>\"]{1,300}[\w/]|\bwww\.(?:[\w-]{1,63}\.){1,6}[a-z]{2,24}\b")),
    ("money", re.compile(rf"[$€£¥₫]\s?(?:{_FIGURE}){_SCALE}|\b(?:{_FIGURE}){_SCALE} ?{_CURRENCY}\b")),
    ("percent", re.compile(r"\b\d{1,9}(?:[.,]\d{1,3})? ?(?:%|percent\b|per cent\b|phần trăm\b)")),
    ("date", re.compile(
        rf"\b{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?\b|\b{_MONTH} \d{{4}}\b"
        rf"|\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? \d{{4}})?\b|\b(?:next |last |this )?{_DAY}\b"
        r"|\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b|\b(?:ngày \d{1,2} tháng \d{1,2}(?: năm \d{4})?)"
        r"|\bQ[1-4](?: \d{4})?\b|\b(?:19|20)\d\d\b"
        r"|\b(?:January|February|April|August|September|October|November|December)\b"
    )),
    ("time", re.compile(
        r"\b\d{1,2}:\d{2}(?: ?[ap]\.?m\b)?|\b\d{1,2} ?(?:[ap]\.m\.|[ap]m\b|o'clock\b)|\b\d{1,2} giờ(?: \d{1,2})?\b"
    )),
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_][\w’'-]*|&")
_TITLES = frozenset(("mr", "mrs", "ms", "miss", "dr", "prof", "professor", "president", "sir", "ông", "bà"))
_LINKS = frozenset(("of", "de", "van", "von", "der", "da", "&", "ty"))  # "Công ty Hòa Bình"
_COMPANY = re.compile(
    r"\b(?:Inc|Corp|Corporation|Ltd|LLC|GmbH|Company|Co|Group|Bank|University|Institute|Foundation|Association|Agency"
    r"|Ministry|Department|Council|Committee|College|School|Hospital|Union|Party|JSC|Công ty|Ngân hàng|Trường|Bộ)\b"
)
_PLACE = re.compile(
    r"\b(?:Street|Road|Avenue|City|Island|River|Lake|Mountain|Airport|Station|Square|Park|Province|Thành phố|Quận)\b"
)
_MOST_WORDS = 6


def find_entities(sentences: Sequence[str]) -> list[dict[str, object]]:
    """Each with its ``text``, ``type`` and ``count``, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    kinds: dict[str, str] = {}
    lower = {word for sentence in sentences for word in sentence.split() if word[:1].islower()}
    for sentence in sentences:
        left = sentence
        for kind, pattern in _PATTERNS:
            for match in pattern.finditer(left):
                counts[(match.group().strip(), kind)] += 1
            left = pattern.sub(lambda match: "." * len(match.group()), left)
        for name, kind in _names(left, lower):
            known = kinds.get(name, "name")
            if kind != "name" and known == "name":
                counts[(name, kind)] += counts.pop((name, "name"), 0)
                kinds[name] = kind
            counts[(name, kinds.get(name, kind))] += 1
    most = counts.most_common(_MOST)
    return [{"text": text, "type": kind, "count": count} for (text, kind), count in most if count > 0]


def _names(sentence: str, lower: set[str]) -> Iterator[tuple[str, str]]:
    """Runs of capitalised words and what kind of name each is."""
    words = list(_WORD.finditer(sentence))
    at = 0
    while at < len(words):
        end = _run(words, at)
        if end > at:
            yield from _name([word.group() for word in words[at:end]], at == 0, lower)
        at = max(end, at + 1)


def _run(words: list[re.Match[str]], at: int) -> int:
    """The end of the run of capitalised words that begins there; ``at`` when none does."""
    end = at
    for number in range(at, min(at + _MOST_WORDS, len(words))):
        word = words[number].group()
        gap = words[number].start() - words[number - 1].end() if number > at else 1
        titled = number > at and words[number - 1].group().lower() in _TITLES  # "Dr. Ann": a point between them
        if gap > (2 if titled else 1):
            break
        if word[0].isupper():
            end = number + 1
        elif number == at or word not in _LINKS:
            break
    return end


def _name(words: list[str], begins: bool, lower: set[str]) -> Iterator[tuple[str, str]]:
    titled = words[0].lower() in _TITLES
    words = words[1:] if titled else words
    while words and not titled and (_is_frequent(words[0]) or (begins and words[0].lower() in lower)):
        words, begins = words[1:], False  # a capital because a sentence begins
    if not words or (begins and not titled and len(words) == 1):
        return  # one capitalised word at the beginning says nothing
    name = " ".join(words).removesuffix("'s").removesuffix("’s").rstrip("'’-")
    if len(name) < 2:
        return
    if titled:
        yield name, "person"
    else:
        yield name, "organization" if _COMPANY.search(name) else "place" if _PLACE.search(name) else "name"


def _is_frequent(word: str) -> bool:
    return any(word.lower().replace("’", "'") in known for known in STOPWORDS.values())
