"""The wire of seed B, ``/api/v1/tts``: a text, or sentences with voices of their own, to a file and a callback.

Every answer is ``{"status": 1 | 0, "error_code", "error_message", "result"}`` (B9). The document lists no error codes:
they are those of ``errors.Code`` in capitals, with fitting HTTP statuses, or all with 200 where ``http_errors`` is off.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from protocol.checking import Speakable, Wrong, check, plain, web_url
from protocol.errors import Code, VoiceError
from protocol.job_view import JobView, State
from protocol.moments import iso_moment
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to
from protocol.work import Delivery, Line, Speaking, Style, VoiceNamed

BITRATES = (8, 16, 32, 64, 128, 160)  # B7, kbit/s
DEFAULT_BITRATE = 128
SPEEDS = (0.1, 1.9)  # B8
MAX_SENTENCES = 1000
MAX_URL = 2000
Body = dict[str, Any]

# -- errors ------------------------------------------------------------------------------------------

ERRORS: dict[Code, int] = {
    Code.BAD_REQUEST: 400,
    Code.TEXT_TOO_LONG: 400,
    Code.OUT_OF_ORDER: 400,
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.INSUFFICIENT_CREDITS: 402,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.GONE: 410,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA: 415,
    Code.RATE_LIMITED: 429,
    Code.TOO_MANY_SESSIONS: 429,
    Code.BUSY: 503,
    Code.NOT_INSTALLED: 400,  # asking again does not help
    Code.MODEL_LOADING: 503,
    Code.ENGINE_FAILED: 500,
    Code.ENGINE_RESTARTED: 503,
    Code.TIMEOUT: 408,
    Code.SESSION_TOO_LONG: 400,
    Code.TOO_FAST: 429,
    Code.SLOW_READER: 408,
    Code.SHUTTING_DOWN: 503,
    Code.STORAGE_FULL: 503,
    Code.INTERNAL: 500,
}


def error_reply(error: VoiceError, *, http_errors: bool = True) -> Reply:
    """B9's envelope of a failure."""
    body: Body = {"status": 0, "error_code": error.code.value.upper(), "error_message": error.message, "result": None}
    return reply_to(error, ERRORS[error.code] if http_errors else 200, body)


# -- the request -------------------------------------------------------------------------------------


def _bitrate(value: object) -> object:
    """B7: the table has a string, the example a number."""
    digits = isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 10
    number = int(value) if digits else value  # type: ignore[call-overload]
    if isinstance(number, bool) or not isinstance(number, int | float) or number not in BITRATES:
        raise Wrong("one of " + ", ".join(map(str, BITRATES)), list(BITRATES))
    return int(number)


def _speed(value: object) -> object:
    """B8: text or a number, with one digit after the point."""
    written = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    fits = re.fullmatch(r"[0-9](\.[0-9]0*)?", written, re.ASCII) is not None
    if not fits or not SPEEDS[0] <= float(written) <= SPEEDS[1]:
        must_be = f"a number from {SPEEDS[0]} to {SPEEDS[1]} with at most one digit after the point"
        raise Wrong(must_be, list(SPEEDS))
    return f"{float(written):.1f}"


_EITHER = ("string", "number")
Bitrate = Annotated[
    int, BeforeValidator(_bitrate), WithJsonSchema({"enum": [*BITRATES, *map(str, BITRATES)], "default": 128})
]
Speed = Annotated[str, BeforeValidator(_speed), WithJsonSchema({"type": list(_EITHER), "examples": ["1.0"]})]
VoiceCode = Annotated[str, AfterValidator(plain), Field(min_length=1, max_length=100)]
AppId = Annotated[str, AfterValidator(plain), Field(min_length=1, max_length=100)]
CallbackUrl = Annotated[
    str,
    AfterValidator(web_url),
    Field(min_length=1, max_length=MAX_URL, json_schema_extra={"format": "uri", "pattern": "^https?://[^/?#\\s]"}),
]


class Sentence(BaseModel):
    """A text with a voice of its own (B5)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input_text: Speakable
    voice_code: VoiceCode
    speed_rate: Speed | None = None


class Request(BaseModel):
    """``POST /api/v1/tts`` (B3-B8): ``input_text`` with ``voice_code``, or ``sentences``, not both."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    app_id: AppId
    callback_url: CallbackUrl = Field(validation_alias=AliasChoices("callback_url", "callbackUrl"))  # B3: both occur
    input_text: Speakable | None = None
    voice_code: VoiceCode | None = None
    sentences: list[Sentence] | None = Field(None, max_length=MAX_SENTENCES)
    audio_type: Literal["mp3", "wav"] = "mp3"
    bitrate: Bitrate = Field(DEFAULT_BITRATE, validation_alias=AliasChoices("bitrate", "bit_rate"))  # B7: both occur
    speed_rate: Speed = "1.0"

    def work(self) -> Speaking:
        """What is asked for."""
        said = self.sentences or [Sentence(input_text=self.input_text or "", voice_code=self.voice_code or "")]
        lines = tuple(
            Line(
                text=one.input_text,
                voice=VoiceNamed(code=one.voice_code),
                speed=None if one.speed_rate is None else float(one.speed_rate),
            )
            for one in said
        )
        delivery = Delivery(format=self.audio_type, bitrate=self.bitrate if self.audio_type == "mp3" else None)
        return Speaking(lines=lines, style=Style(speed=float(self.speed_rate)), delivery=delivery)

    def details(self) -> Body:
        """What the replies and the callback say again."""
        voices = dict.fromkeys(one.voice_code for one in self.sentences or ())
        said = {"app_id": self.app_id, "voice_code": ",".join(voices) or self.voice_code}
        said |= {"audio_type": self.audio_type, "speed_rate": self.speed_rate}
        return said | {"bitrate": self.bitrate, "characters": characters(self.work())}


def decode(body: object) -> Request:
    """A parsed body as a request. Raises BAD_REQUEST with ``field``."""
    if not isinstance(body, dict):
        raise VoiceError(Code.BAD_REQUEST, "The body must be a JSON object.")
    given = {name: value for name, value in body.items() if value is not None and value != "" and value != []}
    if "sentences" in given and "input_text" in given:  # B5 leaves it open: what was meant cannot be told
        raise VoiceError(Code.BAD_REQUEST, "Give either input_text or sentences, not both.", field="sentences")
    for name in () if "sentences" in given else ("input_text", "voice_code"):  # B4
        if name not in given:
            raise VoiceError(Code.BAD_REQUEST, f"{name} is required when there are no sentences.", field=name)
    return check(Request, given)


def characters(work: Speaking) -> int:
    """B11: code points of the text, as it is composed (NFC), so that the same words count the same however typed."""
    return sum(len(line.text) for line in work.lines)


# -- the replies -------------------------------------------------------------------------------------

_STATUS = {State.COMPLETED: "SUCCESS", State.FAILED: "FAILURE", State.CANCELLED: "FAILURE"}


class Result(BaseModel):
    """What a request is and came to (B10, B13)."""

    app_id: str
    request_id: str
    characters: int
    voice_code: str
    audio_type: Literal["mp3", "wav"]
    speed_rate: str
    bitrate: int
    create_at: str
    status: Literal["IN_PROGRESS", "SUCCESS", "FAILURE"]
    progress: int | None = Field(None, ge=0, le=100)
    audio_link: str | None = None
    audio_expired: bool | None = None
    error_message: str | None = None


class Envelope(BaseModel):
    """B9."""

    status: Literal[0, 1]
    error_code: str | None = None
    error_message: str | None = None
    result: Result | None = None


def accepted(job: JobView) -> Body:
    """The reply to the request (B10)."""
    return _envelope(Result(**_facts(job), create_at=iso_moment(job.created_at, milliseconds=True)))


def described(job: JobView, link: Callable[[str], str]) -> Body:
    """The reply to ``GET /api/v1/tts/{request_id}`` (B13); ``link`` makes an artifact's name an address."""
    done = job.state is State.COMPLETED
    result = Result(
        **_facts(job),
        create_at=iso_moment(job.created_at, milliseconds=True),
        progress=100 if done else job.progress,
        audio_link=None if job.expired else _audio(job, link),
        audio_expired=job.expired,
        error_message=job.error or None,
    )
    return _envelope(result)


def callback_body(job: JobView, link: Callable[[str], str]) -> Body:
    """What is posted to ``callback_url`` when the request is done (B12): here it is ``created_at``."""
    return {**_facts(job), "created_at": iso_moment(job.created_at, milliseconds=True), "audio_link": _audio(job, link)}


def _facts(job: JobView) -> Body:
    said = ("app_id", "characters", "voice_code", "audio_type", "speed_rate", "bitrate")
    status = {"request_id": job.id, "status": _STATUS.get(job.state, "IN_PROGRESS")}
    return {name: job.details[name] for name in said} | status


def _audio(job: JobView, link: Callable[[str], str]) -> str | None:
    made = job.outcome.file("audio") if job.outcome else None
    return None if made is None else link(made.name)


def _envelope(result: Result) -> Body:
    envelope = Envelope(status=1, result=result)
    return envelope.model_dump(mode="json", exclude={"result"}) | {"result": result.model_dump(exclude_none=True)}
