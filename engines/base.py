"""What an engine is: small Protocols that say what each kind can be asked, and how it describes itself.

An engine runs in a child process of its own (``engines.host``), is built there by its factory from plain options, and
is synchronous: one call at a time, in one thread. Callers never name an engine, they ask its ``Capabilities``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from engines.text_calls import Order, Outcome
from protocol.errors import VoiceError
from protocol.requests import Decode, Hypothesis, Reference, Speak, SpeechChunk


class Task(StrEnum):
    """What a kind of engine is for."""

    RECOGNIZE = "recognize"
    SYNTHESIZE = "synthesize"
    DETECT = "detect"
    SEPARATE = "separate"
    TREAT = "treat"
    DIARIZE = "diarize"
    TEXT = "text"  # embeds, finds and picks out; writes nothing of its own
    WRITE = "write"  # a language model
    TRANSLATE = "translate"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice an engine can speak with; ``id`` is the engine's own name for it."""

    id: str
    name: str
    language: str  # ISO 639-1, or a longer BCP 47 tag
    gender: str = "neutral"  # male, female or neutral
    age: str = "adult"  # child, young, adult or elderly


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine says of itself once its model is loaded."""

    engine: str  # "faster-whisper", "espeak-ng" ...
    task: Task
    model: str = ""
    languages: tuple[str, ...] = ()  # ISO 639-1 codes
    detects_language: bool = False
    word_timestamps: bool = False
    incremental: bool = False  # keeps what it heard of an utterance, so a partial costs only what is new
    batch: int = 1  # how many requests one call may carry with a gain (a synthesiser with more than one is a Choir)
    rate: int = 16000  # native sample rate, Hz
    voices: tuple[Voice, ...] = ()
    cloning: bool = False  # speaks like a reference (``Cloner``)
    designs: bool = False  # speaks as a description asks (``Speak.design``)
    note: str = ""  # what a person should know ("US English only, modest accuracy")
    stems: tuple[str, ...] = ()  # what it can take a mix apart into (``StemSeparator``); none: voices and the rest only
    stretch_s: float = 0.0  # how much of a mix a separator would like at a time; 0: any
    wants_words: bool = False  # a clone is closer where ``Reference.text`` is known
    live: bool = True  # a synthesiser that keeps up with a listener; one that does not is used where only it can


class Engine(Protocol):
    """What every engine has; built by ``factory(options)`` inside its process, with its model loaded and warm."""

    def describe(self) -> Capabilities: ...

    def close(self) -> None: ...


class Recognizer(Engine, Protocol):
    """Speech to text. A batch holds requests of different sessions; answers come in the same order."""

    def recognize(self, batch: Sequence[Decode]) -> Sequence[Hypothesis]: ...


class Synthesizer(Engine, Protocol):
    """Text to speech, yielding sound as it is made; closing the iterator stops the work at once."""

    def speak(self, request: Speak) -> Iterator[SpeechChunk]: ...


class Choir(Synthesizer, Protocol):
    """A synthesiser that makes clauses of several requests in one go (``Capabilities.batch`` of them at most)."""

    def speak_together(
        self, requests: Sequence[Speak]
    ) -> Iterator[tuple[int, SpeechChunk | VoiceError | None]]:
        """The sound of each request, named by its number; None ends it, an error too. Those of one call ask for the
        same ``Speak.diffusion``."""
        ...


class Cloner(Synthesizer, Protocol):
    """A synthesiser that can speak like somebody."""

    def clone(self, reference: Reference) -> bytes:
        """What ``Speak.prompt`` takes. VoiceError: BAD_REQUEST naming ``ref_audio`` when there is no speech in it."""
        ...


class SpeechDetector(Engine, Protocol):
    """Speech probability for the next windows of each of ``n`` streams.

    ``windows`` is w x 576 float32 (64 samples of context, then 512 new ones, 16 kHz), ``state`` is the recurrent state
    2 x n x 128 float32 of the streams. The first n windows are one of each stream, the next n their next ones, and so
    on; the last round may be short and have windows of the first streams only. Returns w float32 probabilities and
    the new state, as bytes: the caller keeps the state, so a replaced process forgets nothing.
    """

    def detect(self, windows: bytes, state: bytes) -> tuple[bytes, bytes]: ...


class Separator(Engine, Protocol):
    """A mix of sounds taken apart. It is asked stretch by stretch; the caller cuts and joins (``engines.separation``).

    ``pcm`` is s16le at ``rate`` Hz with ``channels`` interleaved. Returns stems of the same shape by name, "vocals" and
    "instrumental", that add up to it.
    """

    def separate(self, pcm: bytes, rate: int, channels: int) -> Mapping[str, bytes]: ...


class StemSeparator(Separator, Protocol):
    """A separator that knows more than voices and the rest: drums, bass, instruments (``Capabilities.stems``)."""

    def take_apart(self, pcm: bytes, rate: int, channels: int) -> Mapping[str, bytes]:
        """As ``separate``, into every stem it knows; they add up to the mix."""
        ...


class TextEngine(Engine, Protocol):
    """Does things to texts, one order a call; what it can be ordered is its own (``engines.text``)."""

    def work(self, order: Order) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Treated:
    """What a tool made of a stretch of sound; ``pcm`` is empty when it only listened."""

    pcm: bytes
    facts: Mapping[str, object] = field(default_factory=dict)  # plain JSON values: what it heard or did


class SoundTool(Engine, Protocol):
    """A tool for recordings: it makes them better or another, or tells what is in them.

    It is asked stretch by stretch; the caller cuts and joins (``batch.pipelines.passes``). ``order`` is plain JSON
    values: what is to be done, and what the caller knows of the whole recording from an earlier pass.
    """

    def treat(self, pcm: bytes, rate: int, channels: int, order: Mapping[str, object]) -> Treated:
        """``pcm`` is interleaved s16le, as is the answer's; its rate is ``rate``, or the one its facts give."""
        ...


class Diarizer(Engine, Protocol):
    """Voices told apart within windows of ten seconds; who is the same in another window is for the caller to find out.

    ``pcm`` is n windows of ``engines.diarization.shape.WINDOW`` samples, s16le mono at 16 kHz. Returns the buffers that
    ``read_voices`` of that module reads.
    """

    def voices(self, pcm: bytes) -> tuple[bytes, bytes, bytes, bytes]: ...


Options = Mapping[str, object]  # plain JSON values: a directory, a device, a number of threads


class Factory(Protocol):
    """How ``engines.registry`` names an engine: a callable ``module:attribute`` that loads it."""

    def __call__(self, options: Options) -> Engine: ...


class Observer(Protocol):
    """Who wants to know how engines fare (the metrics do)."""

    def waited(self, engine: str, priority: str, seconds: float) -> None: ...

    def worked(self, engine: str, seconds: float, audio_seconds: float, batch: int) -> None: ...

    def restarted(self, engine: str, why: str) -> None: ...
