"""A described voice in the words OmniVoice knows: at most one of a kind, and nothing that it would refuse.

Feelings are not among them. What it has no word for is passed over; the pace is made by the speed.
"""

from collections.abc import Mapping
from types import MappingProxyType

from protocol.traits import Manner, Pace, Traits

_PACES: Mapping[Pace, float] = MappingProxyType({Pace.SLOW: 0.8, Pace.FAST: 1.25})
_ACCENTS: Mapping[str, str] = MappingProxyType(
    {
        "en-us": "american accent",
        "en-gb": "british accent",
        "en-au": "australian accent",
        "en-ca": "canadian accent",
        "en-in": "indian accent",
        "en-cn": "chinese accent",
        "en-jp": "japanese accent",
        "en-kr": "korean accent",
        "en-pt": "portuguese accent",
        "en-ru": "russian accent",
    }
)
_ENGLISH = "en"


def instruct_of(traits: Traits, language: str) -> str:
    """The description; empty when nothing of it has a word. Accents are for English speech only."""
    words = [trait.value for trait in (traits.gender, traits.age, traits.pitch) if trait is not None]
    if traits.manner is Manner.WHISPER:
        words.append(Manner.WHISPER.value)
    accent = next((name for tag, name in _ACCENTS.items() if traits.accent.startswith(tag)), "")
    if accent and language.partition("-")[0] == _ENGLISH:
        words.append(accent)
    return ", ".join(words)


def pace_of(traits: Traits) -> float:
    """How fast, before the request's own speed."""
    return _PACES[traits.pace] if traits.pace else 1.0


def said(text: str) -> str:
    """A text without what would be a command of the model ("<|text_end|>")."""
    return text.replace("<|", "< ").replace("|>", " >")
