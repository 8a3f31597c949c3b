"""What any dialect can ask an engine for, and what comes back: the common language of engines and callers.

These cross the pipe to an engine's process, so every field is a plain value. ``pcm`` is 16-bit little-endian mono at
16 kHz for recognition and at ``SpeechChunk.rate`` for synthesis. Times are seconds from the start of the given audio.
"""

from dataclasses import dataclass
from enum import IntEnum

from protocol.events import Word
from protocol.traits import Traits


class Priority(IntEnum):
    """Who goes first when an engine is asked by many; lower runs earlier."""

    FINAL = 0
    PARTIAL = 1
    SYNCHRONOUS = 2
    BATCH = 3


@dataclass(frozen=True, slots=True)
class Decode:
    """Recognise one utterance, or the beginning of one that still goes on (``final`` false)."""

    pcm: bytes
    language: str = "auto"
    prompt: str = ""
    keyterms: tuple[str, ...] = ()
    word_timestamps: bool = False
    final: bool = True
    stream: str = ""  # names the utterance: an incremental engine keeps what it already heard under it
    beam_size: int = 0  # hypotheses kept side by side; 0: the engine's own choice
    temperature: float = 0.0  # above 0, words are drawn by chance, the flatter the higher


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What an utterance seems to say. ``text`` is trimmed; empty when nothing was said."""

    text: str
    words: tuple[Word, ...] = ()
    language: str = ""
    language_probability: float = 0.0
    average_log_probability: float = 0.0
    no_speech_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Diffusion:
    """How an engine that makes speech by diffusion goes about it; the others have no use for it."""

    num_step: int = 32  # more take longer, and may sound better
    guidance_scale: float = 2.0  # how closely text and voice are followed
    denoise: bool = True  # leave the noise of a reference out


@dataclass(frozen=True, slots=True)
class Speak:
    """Speak one clause with one of the engine's own voices, or somebody else where that one would speak.

    ``design`` or ``prompt`` (what the same engine made of a reference, see ``Reference``) say who; then ``voice`` only
    gives the language, and whatever they leave open.
    """

    text: str
    voice: str
    speed: float = 1.0  # 1.0 is the voice's natural pace, 2.0 twice as fast
    pitch: float = 0.0  # semitones up or down
    words: bool = False  # report where each word begins
    design: Traits | None = None
    prompt: bytes = b""
    diffusion: Diffusion = Diffusion()


@dataclass(frozen=True, slots=True)
class Reference:
    """Somebody's speech, s16le mono at ``rate`` Hz, to speak like."""

    pcm: bytes
    rate: int
    text: str = ""  # what is said in it, where that is known


@dataclass(frozen=True, slots=True)
class VoicePrompt:
    """What an engine made of a ``Reference``; means something to that engine and version only."""

    engine: str  # as Capabilities.engine
    data: bytes


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a ``Speak.text``: ``length`` code points at ``offset``, beginning ``start`` seconds into its audio."""

    offset: int
    length: int
    start: float


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of synthesised sound, in order, mono s16le at ``rate`` Hz."""

    pcm: bytes
    rate: int
    words: tuple[SpokenWord, ...] = ()
