"""What flows through a live session, in both directions.

Client to core: ``ListenConfig`` or ``SpeakConfig`` first, then ``Audio`` or ``Text`` among ``Flush``, ``Clear``,
``Mark``, ``KeepAlive``, ``Configure`` and at last ``Stop``. Core to client: ``Ready``, then ``SpeechStarted``,
``SpeechStopped``, ``Partial`` and ``Final`` (speech in), or ``Speech``, ``WordSpoken``, ``Marked``, ``Cleared`` and
``SpeechDone`` (speech out), ``Failed`` before any abnormal end, and ``Closed`` last.

Times are seconds from the start of the stream unless a field says otherwise. Dialects turn wire messages into
these and back; nothing below a dialect knows how they look on the wire.
"""

from dataclasses import dataclass, field

from protocol.audio import AudioFormat
from protocol.errors import VoiceError

# -- shared ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its place in time; ``probability`` is the engine's own confidence, 0 to 1."""

    text: str
    start: float
    end: float
    probability: float = 1.0


VAD_OFF = 0.0  # the threshold of a stream without voice activity detection: every window is speech


@dataclass(frozen=True, slots=True)
class VadOptions:
    """When speech counts as started and stopped; milliseconds, ``threshold`` is a probability."""

    threshold: float = 0.5
    min_speech_ms: int = 100
    min_silence_ms: int = 500
    prefix_padding_ms: int = 300


# -- client to core ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """How a client wants its speech recognised; defaults are those of an empty configuration message."""

    language: str = "auto"  # ISO 639-1, or "auto"
    model: str = "auto"  # an id of GET /v1/models; "auto" takes the best installed for the language
    audio: AudioFormat = field(default_factory=AudioFormat)  # s16le, 16 kHz, mono
    interim_results: bool = True
    word_timestamps: bool = False
    prompt: str = ""  # words that came before, to set spelling and style
    keyterms: tuple[str, ...] = ()  # words that may well be said
    vad: VadOptions = field(default_factory=VadOptions)
    max_utterance_s: float = 20.0
    events: bool = False  # send SpeechStarted and SpeechStopped


@dataclass(frozen=True, slots=True)
class SpeakConfig:
    """How a client wants its text spoken."""

    voice: str = "auto"  # a voice id of GET /v1/voices; "auto" takes the default of the language
    language: str = "auto"
    audio: AudioFormat = field(default_factory=lambda: AudioFormat(rate=22050))
    bitrate: int | None = None  # bits a second, mp3 and opus only
    speed: float = 1.0
    word_timestamps: bool = False
    pace: bool = True  # False: as fast as it is made
    max_buffer_delay_ms: int | None = None  # speak unfinished text when no more came for so long; None: never


@dataclass(frozen=True, slots=True)
class Audio:
    """Bytes of sound in the configured format, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text to speak, cut anywhere, inside a word too."""

    delta: str


@dataclass(frozen=True, slots=True)
class Flush:
    """End the utterance here: recognise, or speak, what there is; the stream goes on."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Be silent now: drop what was not yet sent."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Say when the audio of the text so far has been sent."""

    name: str


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The client is there, though silent."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Change options in mid-stream, from the next utterance on; only the given keys change."""

    changes: dict[str, object]


@dataclass(frozen=True, slots=True)
class Stop:
    """No more is coming: finish, answer what is left and close."""


ListenEvent = ListenConfig | Audio | Flush | KeepAlive | Configure | Stop
SpeakEvent = SpeakConfig | Text | Flush | Clear | Mark | KeepAlive | Stop

# -- core to client ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The session may begin; which engine serves it and how far from overload it is."""

    session: str
    engine: str
    model: str = ""
    realtime_factor: float = 0.0  # seconds of work a second of audio costs here, lately
    queue_delay: float = 0.0  # seconds a decode waits for its turn, lately


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at ``at``."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Speech ended at ``at``; a Final follows."""

    at: float


@dataclass(frozen=True, slots=True)
class Partial:
    """What the current utterance sounds like so far; the first ``stable`` code points never change again."""

    text: str
    stable: int
    utterance: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Final:
    """What an utterance said. ``last`` marks the end of the stream (then ``text`` may be empty)."""

    text: str
    start: float
    end: float
    utterance: int
    language: str
    words: tuple[Word, ...] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class Speech:
    """Encoded sound in the configured format; ``at`` is its place in the stream's audio, in seconds."""

    data: bytes
    at: float


@dataclass(frozen=True, slots=True)
class WordSpoken:
    """A word of the text and where it is in the stream's audio; ``offset`` counts code points of all text sent."""

    word: str
    start: float
    end: float
    offset: int


@dataclass(frozen=True, slots=True)
class Marked:
    """A mark, at its place in the audio."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Cleared:
    """Silence after Clear; ``spoken`` is the text whose audio had really been sent."""

    spoken: str
    at: float


@dataclass(frozen=True, slots=True)
class SpeechDone:
    """All audio of an utterance has been sent."""

    utterance: int
    spoken: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the session cannot go on (or, with ``fatal`` false, what could not be done)."""

    error: VoiceError
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Closed:
    """The end; ``code`` is a WebSocket close code."""

    code: int
    reason: str = ""


ListenOutcome = Ready | SpeechStarted | SpeechStopped | Partial | Final | Failed | Closed
SpeakOutcome = Ready | Speech | WordSpoken | Marked | Cleared | SpeechDone | Failed | Closed
