"""The models of seed D's document: what each is for, and which price it means (D4, D19).

None of them runs here. A name is a tier; who really speaks or hears is the best engine that is installed, and every
reply names it. An engine's own name is taken as a model too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from protocol.errors import Code, VoiceError
from protocol.pricing import Route


class Tier(StrEnum):
    """What speech costs (D4)."""

    FREE = "free"
    STANDARD = "standard"
    PREMIUM = "premium"

    @property
    def route(self) -> Route:
        """Its price."""
        return Route(f"tts_ai.{self.value}")


class Kind(StrEnum):
    """What a model is for."""

    SPEECH = "tts"
    RECOGNITION = "stt"
    CONVERSION = "voice_conversion"
    SEPARATION = "separation"


@dataclass(frozen=True, slots=True)
class Model:
    """A name that a request may give. ``clones``: ``/v1/tts/clone/`` takes it."""

    id: str
    name: str
    kind: Kind
    tier: Tier
    clones: bool = False
    engine: str = ""  # the engine this is, where it is one's own name; "" = whichever is best


MODELS: tuple[Model, ...] = (
    Model("kokoro", "Kokoro", Kind.SPEECH, Tier.STANDARD),
    Model("piper", "Piper", Kind.SPEECH, Tier.FREE),
    Model("vits", "VITS", Kind.SPEECH, Tier.FREE),
    Model("melotts", "MeloTTS", Kind.SPEECH, Tier.FREE),
    Model("cosyvoice2", "CosyVoice 2", Kind.SPEECH, Tier.STANDARD, clones=True),
    Model("chatterbox", "Chatterbox", Kind.SPEECH, Tier.PREMIUM, clones=True),
    Model("tortoise", "Tortoise", Kind.SPEECH, Tier.PREMIUM),
    Model("gpt-sovits", "GPT-SoVITS", Kind.SPEECH, Tier.PREMIUM, clones=True),
    Model("whisper", "Whisper", Kind.RECOGNITION, Tier.STANDARD),
    Model("faster-whisper", "Faster Whisper", Kind.RECOGNITION, Tier.STANDARD, engine="faster-whisper"),
    Model("sensevoice", "SenseVoice", Kind.RECOGNITION, Tier.STANDARD),
    Model("openvoice", "OpenVoice", Kind.CONVERSION, Tier.STANDARD),
    Model("knn-vc", "kNN-VC", Kind.CONVERSION, Tier.STANDARD),
    Model("demucs", "Demucs", Kind.SEPARATION, Tier.STANDARD),
    Model("spleeter", "Spleeter", Kind.SEPARATION, Tier.STANDARD),
)
RESHAPING = ("openvoice", "chatterbox")  # what /v1/speech-to-speech/ takes (D12)
_PREMIUM_ENGINES = frozenset({"omnivoice"})  # of our own; the others cost little to run, and little


def engine_model(engine: str) -> Model:
    """A speech engine of this server as a model."""
    return Model(engine, engine, Kind.SPEECH, Tier.PREMIUM if engine in _PREMIUM_ENGINES else Tier.FREE, engine=engine)


def find(name: str, kind: Kind, engines: Iterable[str] = (), *, field: str = "model") -> Model:
    """The model of that name, in any case. NOT_FOUND with those that are ``allowed``. ``engines`` are models too."""
    known = [one for one in MODELS if one.kind is kind] + [engine_model(engine) for engine in engines]
    return _among(known, name, field)


def find_cloning(name: str) -> Model:
    """A model for cloning (D9)."""
    return _among([one for one in MODELS if one.clones], name, "model")


def find_reshaping(name: str) -> Model:
    """A model for speech to speech (D12)."""
    return _among([one for one in MODELS if one.id in RESHAPING], name, "model")


def _among(known: list[Model], name: str, field: str) -> Model:
    found = next((one for one in known if one.id == name.lower()), None)
    if found is None:
        allowed = list(dict.fromkeys(one.id for one in known))
        message = f"There is no model of that name; {field} must be one of {', '.join(allowed)}."
        raise VoiceError(Code.NOT_FOUND, message, field=field, allowed=allowed)
    return found
