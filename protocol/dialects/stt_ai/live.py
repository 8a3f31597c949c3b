"""``/v1/stream`` of seed C (C8-C10), with Voxline's additions.

In: the first text message is the configuration, ``{"language": "en", "model": "large-v3-turbo", ...}``, every key
optional, unknown keys ignored. Binary messages are audio. Later text messages are ``{"action": "stop" | "finalize" |
"keepalive" | "configure", ...}``, where ``configure`` carries the keys to change.

Out: ``{"status": "ready"}``; ``{"text", "partial"}`` with "" for none, since the document's browser sample tests both
by truthiness (C9); ``{"event": "speech_started" | "speech_stopped", "at"}``; ``{"error", "code"}``.
"""

from dataclasses import replace
from typing import Any

from protocol.audio import AudioFormat, Encoding
from protocol.errors import Code, VoiceError
from protocol.events import (
    VAD_OFF,
    Configure,
    Failed,
    Final,
    Flush,
    KeepAlive,
    ListenConfig,
    ListenEvent,
    ListenOutcome,
    Partial,
    Ready,
    SpeechStarted,
    SpeechStopped,
    Stop,
    VadOptions,
    Word,
)
from protocol.fields import (
    Object,
    Read,
    boolean,
    choice,
    matching,
    number,
    parse_object,
    read_fields,
    text,
    texts,
    to_json,
    wrong,
)
from protocol.language_names import language_code
from protocol.stream_errors import encode_failure

DEFAULT_MODEL = "large-v3-turbo"  # C5: what a client gets, and the document's samples name, when it does not care
ACTIONS = ("stop", "finalize", "keepalive", "configure")

# -- client to core ----------------------------------------------------------------------------------


def decode(line: str, *, configured: bool) -> ListenEvent:
    """A text message; the first one is the configuration. Raises VoiceError (BAD_REQUEST, TOO_LARGE)."""
    message = parse_object(line)
    action = message.get("action")
    if action is None:
        # A client that repeats its configuration in mid-stream means to change it.
        return Configure(changes(message)) if configured else config(message)
    if action == "stop":
        return Stop()
    if action == "finalize":
        return Flush()
    if action == "keepalive":
        return KeepAlive()
    if action == "configure":
        return Configure(changes(message)) if configured else config(message)
    raise wrong("action", "one of " + ", ".join(ACTIONS), list(ACTIONS))


def config(message: Object) -> ListenConfig:
    """The configuration message; BAD_REQUEST names the wrong key and what is allowed (``field``, ``allowed``)."""
    given = read_fields(message, FIXED_KEYS | OPEN_KEYS)
    encoding = given.pop("encoding", Encoding.PCM_S16LE)
    rate = given.pop("sample_rate", 16000 if encoding is Encoding.PCM_S16LE else 8000)  # G.711 is a telephone's
    return ListenConfig(audio=AudioFormat(encoding, rate), **given)


def changes(message: Object) -> dict[str, object]:
    """What a ``configure`` changes: ``ListenConfig`` fields by name; the format, language and model stay as they are.

    ``vad`` is a dictionary of the ``VadOptions`` fields to change, so that the others keep what they were.
    """
    for name in FIXED_KEYS:
        if message.get(name) is not None:
            what = f"{name} cannot change in mid-stream: open another stream for that."
            raise VoiceError(Code.BAD_REQUEST, what, field=name, allowed=list(OPEN_KEYS))
    return read_fields(message, OPEN_KEYS | {"vad": _vad_changes})


def _language(message: Object, name: str) -> str:
    value = message[name]
    if value == "auto":
        return "auto"
    tag = str(LANGUAGE(message, name))
    return language_code(tag) or tag.partition("-")[0].lower()  # "en-US" asks for English, "nb-NO" for Norwegian


def _vad(message: Object, name: str) -> VadOptions:
    return replace(VadOptions(), **_vad_changes(message, name))


def _vad_changes(message: Object, name: str) -> dict[str, Any]:
    value = message[name]
    if value is False:  # all is speech: the client says where an utterance ends
        return {"threshold": VAD_OFF}
    if not isinstance(value, dict):
        raise wrong(name, "an object, or false for none", list(VAD_KEYS))
    return read_fields(value, VAD_KEYS)


LANGUAGE = matching(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", "an ISO 639-1 code such as 'en', or 'auto'")

VAD_KEYS: dict[str, Read] = {
    "threshold": number(0.05, 0.95, prefix="vad."),
    "min_speech_ms": number(0, 2_000, whole=True, prefix="vad."),
    "min_silence_ms": number(100, 10_000, whole=True, prefix="vad."),
    "prefix_padding_ms": number(0, 2_000, whole=True, prefix="vad."),
}

FIXED_KEYS: dict[str, Read] = {  # what a stream keeps for life
    "language": _language,
    "model": matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a model id of GET /v1/models"),
    "encoding": choice(Encoding.PCM_S16LE, Encoding.MULAW, Encoding.ALAW),
    "sample_rate": number(8_000, 48_000, whole=True),
}

OPEN_KEYS: dict[str, Read] = {  # what "configure" may change
    "interim_results": boolean,
    "word_timestamps": boolean,
    "prompt": text(2_000),
    "keyterms": texts(100, 100),
    "vad": _vad,
    "max_utterance_s": number(1, 28),  # a Whisper window is 30 s, less the padding around the speech
    "events": boolean,
}

# -- core to client ----------------------------------------------------------------------------------


def encode(event: ListenOutcome) -> str | None:
    """A message for the client, or None for what this wire does not show (``Closed`` is the close frame)."""
    if isinstance(event, Partial):
        return to_json(
            {"text": "", "partial": event.text, "stable": event.stable, "utterance": event.utterance}
            | {"start": _seconds(event.start), "end": _seconds(event.end)}
        )
    if isinstance(event, Final):
        return to_json(_final(event))
    if isinstance(event, SpeechStarted):
        return to_json({"event": "speech_started", "at": _seconds(event.at)})
    if isinstance(event, SpeechStopped):
        return to_json({"event": "speech_stopped", "at": _seconds(event.at)})
    if isinstance(event, Ready):
        who = {"status": "ready", "session": event.session, "engine": event.engine, "model": event.model}
        load = {"realtime_factor": _seconds(event.realtime_factor), "queue_delay": _seconds(event.queue_delay)}
        return to_json({**who, **load})
    if isinstance(event, Failed):
        return encode_failure(event)
    return None


def _final(event: Final) -> dict[str, object]:
    message: dict[str, object] = {"text": event.text, "partial": ""}
    if event.text or not event.last:
        message |= {"start": _seconds(event.start), "end": _seconds(event.end)}
        message |= {"utterance": event.utterance, "language": event.language}
    if event.words:
        message["words"] = [_word(word) for word in event.words]
    if event.last:
        message["is_final"] = True
    return message


def _word(word: Word) -> dict[str, object]:
    """C6's names for a word's fields, and how sure the engine is."""
    times = {"start": _seconds(word.start), "end": _seconds(word.end)}
    return {"word": word.text, **times, "confidence": round(word.probability, 3)}


def _seconds(value: float) -> float:
    return round(value, 3)
