"""Voxline's own wire for speech out, ``/v1/stream/tts``, in the style of seed C's ``/v1/stream``.

In: a first JSON message configures the session, every key optional, unknown keys ignored: ``voice``, ``language``,
``format`` (pcm_s16le, mulaw, alaw, mp3, opus), ``sample_rate``, ``bitrate`` (kbps), ``speed``, ``word_timestamps``,
``pace``, ``max_buffer_delay_ms``. Then ``{"text": "delta"}`` as it is written, split anywhere, and ``{"action":
"flush" | "clear" | "mark" | "keepalive" | "stop"}``; a mark has a ``name``. A first message with a text or an action
is a configuration too, and a text may carry its ``"flush": true``.

Out: ``{"status": "ready"}``; binary messages of sound; ``{"word", "start", "end", "offset"}``; ``{"event": "mark",
"name", "at"}``; ``{"event": "cleared", "spoken", "at"}``; ``{"event": "done", "utterance", "spoken", "start", "end"}``
for each flush; ``{"is_final": true}`` last; ``{"error", "code"}``. Times are seconds of the sound sent, offsets count
the code points of all text sent by the client.
"""

import re

from protocol.audio import AudioFormat, Encoding
from protocol.errors import Code, VoiceError
from protocol.events import (
    Clear,
    Cleared,
    Failed,
    Flush,
    KeepAlive,
    Mark,
    Marked,
    Ready,
    SpeakConfig,
    SpeakEvent,
    SpeakOutcome,
    Speech,
    SpeechDone,
    Stop,
    Text,
    WordSpoken,
)
from protocol.fields import Object, Read, boolean, choice, matching, number, parse_object, read_fields, to_json, wrong
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to
from protocol.stream_errors import ERRORS as ERRORS
from protocol.stream_errors import close_code as close_code
from protocol.stream_errors import encode_failure

MAX_DELTA = 5_000  # code points of one text message
MAX_NAME = 256  # of a mark
ACTIONS = ("flush", "clear", "mark", "keepalive", "stop")

# -- errors ------------------------------------------------------------------------------------------


def error_reply(error: VoiceError) -> Reply:
    """A refused handshake: ``{"error", "code"}``."""
    return reply_to(error, ERRORS[error.code][0], {"error": error.message, "code": error.code.value})


# -- client to core ----------------------------------------------------------------------------------


def decode(line: str, *, configured: bool) -> tuple[SpeakEvent, ...]:
    """A text message as events, the configuration first where none came before. Raises BAD_REQUEST, TOO_LARGE."""
    message = parse_object(line)
    events: list[SpeakEvent] = [] if configured else [config(message)]
    if message.get("text") is not None:
        events.append(Text(_delta(message["text"])))
        if read_fields(message, {"flush": boolean}).get("flush"):
            events.append(Flush())
    if message.get("action") is not None:
        events.append(_action(message))
    if not events:
        raise VoiceError(Code.BAD_REQUEST, 'A message must have a "text" or an "action".', allowed=["text", "action"])
    return tuple(events)


def binary() -> VoiceError:
    """The complaint about a binary message from the client."""
    return VoiceError(Code.BAD_REQUEST, "Messages to this stream are JSON text; binary ones are what it sends.")


def config(message: Object) -> SpeakConfig:
    """The configuration message; BAD_REQUEST names the wrong key and what is allowed (``field``, ``allowed``)."""
    given = read_fields(message, KEYS)
    encoding = given.pop("format", Encoding.PCM_S16LE)
    rate = given.pop("sample_rate", DEFAULT_RATES[encoding])
    kbps = given.pop("bitrate", None)
    bitrate = None if kbps is None else 1000 * int(kbps)
    delay = given.pop("max_buffer_delay_ms", 0) or None  # 0: a clause waits for its end
    return SpeakConfig(audio=AudioFormat(encoding, int(rate)), bitrate=bitrate, max_buffer_delay_ms=delay, **given)


def _delta(value: object) -> str:
    """Halves of surrogate pairs pass: a client may cut its text between the halves of an emoji."""
    if not isinstance(value, str):
        raise wrong("text", "a string")
    if len(value) > MAX_DELTA:
        what = f"text must be at most {MAX_DELTA} characters a message; send the rest in another."
        raise VoiceError(Code.TEXT_TOO_LONG, what, field="text", allowed=MAX_DELTA)
    return value


def _action(message: Object) -> SpeakEvent:
    match message["action"]:
        case "flush":
            return Flush()
        case "clear":
            return Clear()
        case "keepalive":
            return KeepAlive()
        case "stop":
            return Stop()
        case "mark":
            name = message.get("name")
            if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
                raise wrong("name", f"a string of 1 to {MAX_NAME} characters")
            return Mark(name)
    raise wrong("action", "one of " + ", ".join(ACTIONS), list(ACTIONS))


DEFAULT_RATES: dict[Encoding, int] = {  # Hz, where a client leaves it open
    Encoding.PCM_S16LE: 22050,  # what the default engine makes
    Encoding.MULAW: 8000,  # a telephone's
    Encoding.ALAW: 8000,
    Encoding.MP3: 22050,
    Encoding.OPUS: 24000,
}

_LANGUAGE = re.compile(r"auto|[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")

KEYS: dict[str, Read] = {
    "voice": matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "a voice id of GET /v1/voices, or 'auto'"),
    "language": matching(_LANGUAGE.pattern, "a language tag such as 'en' or 'vi-VN', or 'auto'"),
    "format": choice(*DEFAULT_RATES),
    "sample_rate": number(8_000, 48_000, whole=True),
    "bitrate": number(6, 320, whole=True),
    "speed": number(0.25, 4.0),
    "word_timestamps": boolean,
    "pace": boolean,
    "max_buffer_delay_ms": number(0, 60_000, whole=True),
}

# -- core to client ----------------------------------------------------------------------------------


def ready(event: Ready, config: SpeakConfig) -> str:
    """The answer to the configuration; ``model`` of the event is the voice, and what was left open is said."""
    who = {"status": "ready", "session": event.session, "engine": event.engine, "voice": event.model}
    return to_json(who | {"format": config.audio.encoding.value, "sample_rate": config.audio.rate})


def encode(event: SpeakOutcome) -> str | bytes | None:
    """A message for the client, or None for what this wire does not show (``Closed`` is the close frame)."""
    match event:
        case Speech(data):
            return data
        case WordSpoken(word, start, end, offset):
            return to_json({"word": word, "start": _seconds(start), "end": _seconds(end), "offset": offset})
        case Marked(name, at):
            return to_json({"event": "mark", "name": name, "at": _seconds(at)})
        case Cleared(spoken, at):
            return to_json({"event": "cleared", "spoken": spoken, "at": _seconds(at)})
        case SpeechDone(utterance, spoken, start, end):
            what = {"event": "done", "utterance": utterance, "spoken": spoken}
            return to_json(what | {"start": _seconds(start), "end": _seconds(end)})
        case Failed():
            return encode_failure(event)
    return None


def final() -> str:
    """The last message of a session that ends in order."""
    return to_json({"is_final": True})


def _seconds(value: float) -> float:
    return round(value, 3)
