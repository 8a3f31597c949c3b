"""What is asked of the process that reads a file, and what it answers: JSON, small, and on the way back not trusted."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Literal

from protocol.errors import Code, VoiceError

ANSWER_BYTES = 4096  # at most; a pipe takes as much without a reader
LOWEST_RATE = 8_000  # Hz, of what is written

_CODES = frozenset((Code.UNSUPPORTED_MEDIA, Code.TOO_LARGE, Code.STORAGE_FULL))
_FACTS = frozenset(("maximum", "maximum_seconds", "retry_after"))
_MESSAGE_CHARACTERS = 200
_HIGHEST_RATE = 192_000


@dataclass(frozen=True, slots=True)
class Order:
    """A file to read: how much of it there may be, and in which shape its sound is wanted.

    ``video`` when its name says so: then it counts as one whatever is inside. ``raw`` is the rate and the channels of
    a file of our own that holds samples and nothing else. With ``keep`` the shape is the most that is wanted: sound of
    a lower rate or of fewer channels stays as it is.
    """

    audio_s: float
    video_s: float
    size: int  # bytes of PCM as its codec gives it
    room: int = 1 << 30  # bytes that may be written
    rate: int = 16000
    channels: int = 1
    video: bool = False
    raw: tuple[int, int] | None = None
    keep: bool = False

    @property
    def most(self) -> int:
        """The most bytes that may come out, whatever the file is."""
        return round(max(self.audio_s, self.video_s) * self.rate * self.channels * 2)

    def pack(self) -> bytes:
        """For the way to the process."""
        return json.dumps(asdict(self)).encode()


def read_order(data: bytes) -> Order:
    """What ``Order.pack`` wrote."""
    fields = json.loads(data)
    raw = fields.pop("raw")
    return Order(**fields, raw=None if raw is None else (raw[0], raw[1]))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a file was."""

    kind: Literal["audio", "video"]
    container: str  # libavformat's name
    samples: int  # of each channel
    rate: int  # in which shape they were written
    channels: int


def pack_answer(answer: "Answer | VoiceError") -> bytes:
    """For the way back."""
    if isinstance(answer, Answer):
        return json.dumps(asdict(answer)).encode()
    facts = {name: value for name, value in answer.facts.items() if name in _FACTS}
    return json.dumps({"code": answer.code, "message": answer.message, "facts": facts}).encode()


def read_answer(data: bytes) -> "Answer | VoiceError | None":
    """An answer from a process that may have been taken over by what it read; None when it is none."""
    try:
        fields = json.loads(data)
        if "code" in fields:
            return _error(fields)
        kind, container = fields["kind"], fields["container"]
        numbers = samples, rate, channels = fields["samples"], fields["rate"], fields["channels"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if kind not in ("audio", "video") or type(container) is not str or any(type(one) is not int for one in numbers):
        return None
    if samples <= 0 or not LOWEST_RATE <= rate <= _HIGHEST_RATE or channels not in (1, 2):
        return None
    return Answer(kind, container[:40], samples, rate, channels)


def _error(fields: dict[str, object]) -> VoiceError | None:
    code, message, facts = fields["code"], fields["message"], fields["facts"]
    if code not in _CODES or not isinstance(message, str) or not isinstance(facts, dict):
        return None
    shown = "".join(filter(str.isprintable, message))[:_MESSAGE_CHARACTERS]
    numbers = {n: v for n, v in facts.items() if n in _FACTS and isinstance(v, int | float) and math.isfinite(v)}
    return VoiceError(Code(str(code)), shown, **numbers)
