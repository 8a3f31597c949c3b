"""A language as people write it, to its code: seed A asks for "vietnamese" and answers with "vietnamese" (A35, A49).

Names are those of ``protocol.languages`` and a few others in use, whatever their case. Codes are taken as well, longer
tags by their language ("vi-VN" is "vi", "zh-Hant-TW" is "zh"), so that a client may send what another API gave it.
"""

import re

from protocol.languages import LANGUAGES
from protocol.languages import language_name as language_name

AUTO = "auto"
_TAG = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{1,8}){0,4}")

# Other names that are in use, and codes that mean one of ours.
_OTHERS = {
    "autodetect": AUTO, "auto detect": AUTO, "auto-detect": AUTO, "detect": AUTO,
    "burmese": "my", "castilian": "es", "cmn": "zh", "farsi": "fa", "fil": "tl", "filipino": "tl", "flemish": "nl",
    "haitian": "ht", "in": "id", "iw": "he", "jv": "jw", "letzeburgesch": "lb", "mandarin": "zh",
    "mandarin chinese": "zh", "moldavian": "ro", "moldovan": "ro", "myanmar": "my", "nb": "no",
    "norwegian bokmal": "no", "norwegian bokmål": "no", "norwegian nynorsk": "nn", "panjabi": "pa", "pushto": "ps",
    "simplified chinese": "zh", "sinhalese": "si", "tiếng anh": "en", "tiếng việt": "vi", "traditional chinese": "zh",
    "valencian": "ca",
}  # fmt: skip
_CODES = {name: code for code, name in LANGUAGES.items()} | _OTHERS


def language_code(written: str) -> str | None:
    """The code of a language by its name, code or tag; "auto" for "auto" and for nothing; None for no language."""
    name = " ".join(written.split()).lower()
    if name in ("", AUTO):
        return AUTO
    if name in _CODES:
        return _CODES[name]
    tag = _TAG.fullmatch(name)
    if tag is None:
        return None
    code = _OTHERS.get(tag[1], tag[1])
    return code if code in LANGUAGES else None


def language_names() -> list[str]:
    """Every name that ``language_code`` gives a code for and ``language_name`` gives back, in order."""
    return sorted(LANGUAGES.values())
