"""What somebody is to do, and what somebody asked, found by the words that say so, in English and Vietnamese."""

import re
from collections.abc import Sequence

_MOST = 50
_VERB = (
    r"(?:send|write|call|email|e-mail|check|prepare|finish|fix|update|review|schedule|set up|follow up|share|draft|book"
    r"|order|contact|ask|talk to|look into|test|deploy|publish|arrange|organi[sz]e|confirm|sign|deliver|complete|submit"
    r"|file|create|add|remove|move|plan|ship|report|document|investigate|reach out|circulate|present|provide|make|get"
    r"|do|take care|put together|work on|start|hire|buy|pay|cancel|renew|merge|release|clean|migrate|meet|discuss)"
)
_SOMEBODY = r"(?:I|we|you|he|she|they|[A-Z][\w'-]+(?: [A-Z][\w'-]+)?)"
_WILL = r"(?:will|'ll|shall|is going to|are going to|am going to|'re going to|'m going to|is to|are to)"
_HAS_TO = r"(?:need(?:s)? to|have to|has to|must|should|ought to|had better|agreed to|promised to|volunteered to)"

_FILLED = r"(?:(?:and|so|okay|ok|then|also|but|well|um|please),? )*"

_ENGLISH = (
    re.compile(r"\b(?:action items?|to-?dos?|next steps?|follow-?ups?)\b\s*[:\-–]", re.IGNORECASE),
    re.compile(rf"\b{_SOMEBODY} ?{_WILL} (?:also |then |just |please )?{_VERB}\b"),
    re.compile(rf"\b{_SOMEBODY} (?:also |really |just )?{_HAS_TO} (?:also |then |just )?(?:be )?\w+"),
    re.compile(rf"^{_FILLED}(?:please|let's|let us|make sure|don't forget|remember to)\b", re.IGNORECASE),
    re.compile(rf"\b(?:can|could|would) (?:you|[A-Z][\w'-]+) (?:please )?{_VERB}\b"),
    re.compile(r"\b(?:is|are|was|were|be) (?:assigned to|responsible for|due (?:on|by)|in charge of)\b", re.IGNORECASE),
    re.compile(r"\btakes? care of ", re.IGNORECASE),
)  # fmt: skip
_VIETNAMESE = (
    re.compile(r"\b(?:việc cần làm|bước tiếp theo|hành động|phân công)\b\s*[:\-–]", re.IGNORECASE),
    re.compile(r"\b(?:cần phải|cần|phải|nên|sẽ|hãy|nhớ|đề nghị|yêu cầu|nhờ|giao cho|phụ trách|chịu trách nhiệm)\s+\w+",
               re.IGNORECASE),
)  # fmt: skip
_UNLIKELY = re.compile(
    r"\b(?:should|must) (?:have|be (?:fine|ok|okay|good|nice))\b"
    r"|\b(?:have|need) to (?:say|admit|think|believe|know|be honest)\b"
    r"|\b(?:would|might) have to\b|\bif (?:we|you|they|I) (?:have|need) to\b|\bnhư (?:vậy|thế) (?:sẽ|phải)\b",
    re.IGNORECASE,
)
_OWNER = re.compile(
    rf"\b(?P<who>[A-Z][\w'-]+(?: [A-Z][\w'-]+)?|I|we|you)(?: ?{_WILL}| (?:also |really |just )?{_HAS_TO})(?= )"
)
_ASKED = re.compile(r"\b(?:can|could|would) (?P<who>[A-Z][\w'-]+|you) (?:please )?\w+")
_GIVEN = re.compile(r"\b(?:assigned to|giao cho|nhờ) (?P<who>[^\W\d_][\w'-]*(?: [^\W\d_a-z][\w'-]*){0,2})")
_DAYS = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTHS = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_HOURS = r"(?: (?:morning|afternoon|evening))?"
_DUE = re.compile(
    r"\b(?P<when>"
    rf"(?:end of (?:the )?(?:day|week|month|quarter|year))|(?:(?:this|next|coming) )?{_DAYS}{_HOURS}"
    rf"|tomorrow{_HOURS}|tonight|today|next (?:week|month|quarter|year)|{_MONTHS} \d{{1,2}}(?:st|nd|rd|th)?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTHS}|\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}/\d{{1,2}}(?:/\d{{2,4}})?"
    r"|ngày mai|hôm nay|(?:tuần|tháng) (?:này|sau|tới)|cuối (?:tuần|tháng|năm|ngày)"
    r"|thứ (?:hai|ba|tư|năm|sáu|bảy)|chủ nhật)\b",
    re.IGNORECASE,
)
_NOBODY = frozenset(("it", "this", "that", "there", "what", "which", "who", "everything", "something", "nothing"))

_ASKS = re.compile(
    rf"^{_FILLED}(?:what|who|whom|whose|where|when|why|how|which"
    r"|(?:is|are|was|were|do|does|did|can|could|will|would|should|shall|may|have|has|had|am"
    r"|isn't|aren't|don't|doesn't|didn't|can't|won't|haven't)"
    r" (?:i|you|we|they|he|she|it|this|that|these|those|there|the|your|our|my|anyone|anybody|someone|everyone))\b",
    re.IGNORECASE,
)
_EXCLAIMS = re.compile(r"^(?:what a|how (?:nice|lovely|great|wonderful|kind))\b", re.IGNORECASE)
_ASKS_IN_VIETNAMESE = re.compile(
    r"\b(?:không|chưa|à|hả|nhỉ|gì|đâu|nào|sao|ai|mấy|bao nhiêu|bao giờ|thế nào)\s*\??$", re.IGNORECASE
)


def action_items(sentences: Sequence[str], language: str) -> list[dict[str, object]]:
    """Each sentence that says what is to be done: its ``text``, and ``owner`` and ``due`` where it names them."""
    items: list[dict[str, object]] = []
    for sentence in sentences:
        if len(items) < _MOST and is_action(sentence, language) and all(item["text"] != sentence for item in items):
            items.append({"text": sentence, "owner": _owner(sentence), "due": _due(sentence)})
    return items


def is_action(sentence: str, language: str) -> bool:
    """Whether it says that something is to be done."""
    if sentence.endswith("?") and not _ASKED.search(sentence):
        return False
    patterns = _VIETNAMESE if language == "vi" else _ENGLISH
    if len(sentence.split()) < 3 or _UNLIKELY.search(sentence):
        return False
    return any(pattern.search(sentence) for pattern in patterns)


def questions(sentences: Sequence[str], language: str) -> list[str]:
    """The sentences that ask; without a question mark those that begin (or, in Vietnamese, end) like a question."""
    asked = [sentence for sentence in sentences if _is_question(sentence, language)]
    return list(dict.fromkeys(asked))[: 2 * _MOST]


def _is_question(sentence: str, language: str) -> bool:
    if sentence.rstrip("\"'”’)]").endswith(("?", "？", "؟")):
        return True
    if sentence.endswith((".", "!", "。", "！", "…")) or len(sentence.split()) < 3:
        return False
    if language == "vi":
        return bool(_ASKS_IN_VIETNAMESE.search(sentence))
    return language == "en" and bool(_ASKS.search(sentence)) and not _EXCLAIMS.search(sentence)


def _owner(sentence: str) -> str | None:
    for pattern in (_GIVEN, _OWNER, _ASKED):
        found = pattern.search(sentence)
        if found and found["who"].lower() not in _NOBODY:
            return found["who"]
    return None


def _due(sentence: str) -> str | None:
    found = _DUE.search(sentence)
    return found["when"] if found else None
