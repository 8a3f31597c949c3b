"""The wire of seed C, against the document's own examples and against strangers."""

import json
import random
import time

import pytest

from protocol.audio import AudioFormat, Encoding
from protocol.dialects import stt_ai
from protocol.errors import Code, VoiceError
from protocol.events import (
    VAD_OFF,
    Closed,
    Configure,
    Failed,
    Final,
    Flush,
    KeepAlive,
    ListenConfig,
    Partial,
    Ready,
    SpeechStarted,
    SpeechStopped,
    Stop,
    VadOptions,
    Word,
)


def config(**message: object) -> ListenConfig:
    event = stt_ai.decode(json.dumps(message), configured=False)
    assert isinstance(event, ListenConfig)
    return event


def refusal(line: str, *, configured: bool = False) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        stt_ai.decode(line, configured=configured)
    return caught.value


def sent(event: object) -> dict[str, object]:
    line = stt_ai.encode(event)  # type: ignore[arg-type]
    assert line is not None
    message = json.loads(line)
    assert isinstance(message, dict)
    return message


# -- in ----------------------------------------------------------------------------------------------


def test_the_documents_configurations() -> None:
    """C8."""
    assert config(language="en", model="large-v3-turbo") == ListenConfig(language="en", model="large-v3-turbo")
    assert config(language="auto", model="large-v3-turbo").language == "auto"
    assert config() == ListenConfig()


def test_every_key() -> None:
    given = config(
        language="en-US",
        model="small",
        encoding="mulaw",
        sample_rate=8000,
        interim_results=False,
        word_timestamps=True,
        prompt="Xin chào",
        keyterms=["Voxline", "Huế"],
        vad={"threshold": 0.4, "min_speech_ms": 50, "min_silence_ms": 300, "prefix_padding_ms": 100, "new": 1},
        max_utterance_s=12,
        events=True,
        from_the_future={"a": [1]},
    )
    assert given == ListenConfig(
        language="en",
        model="small",
        audio=AudioFormat(Encoding.MULAW, 8000),
        interim_results=False,
        word_timestamps=True,
        prompt="Xin chào",
        keyterms=("Voxline", "Huế"),
        vad=VadOptions(0.4, 50, 300, 100),
        max_utterance_s=12.0,
        events=True,
    )


def test_g711_is_a_telephones_unless_said_otherwise() -> None:
    assert config(encoding="alaw").audio == AudioFormat(Encoding.ALAW, 8000)
    assert config(encoding="alaw", sample_rate=16000).audio == AudioFormat(Encoding.ALAW, 16000)


def test_voice_activity_detection_can_be_off() -> None:
    assert config(vad=False).vad.threshold == VAD_OFF


@pytest.mark.parametrize(
    ("tag", "code"),
    [("en-US", "en"), ("nb-NO", "no"), ("fil-PH", "tl"), ("jv", "jw"), ("cmn-Hans-CN", "zh"), ("xx", "xx")],
)
def test_a_language_may_be_a_tag_or_another_code_for_it(tag: str, code: str) -> None:
    """As in a transcript's request; a browser in Norway says nb-NO. What nobody knows is refused with what there is."""
    assert config(language=tag).language == code


WRONG = [
    ("language", 5), ("language", ""), ("language", "english!"), ("model", "../../etc/passwd"), ("model", ["small"]),
    ("encoding", "mp3"), ("encoding", 1), ("sample_rate", 7999), ("sample_rate", 48001), ("sample_rate", "16000"),
    ("sample_rate", 16000.5), ("sample_rate", True), ("interim_results", 1), ("word_timestamps", "yes"), ("prompt", 3),
    ("prompt", "x" * 2001), ("keyterms", "a"), ("keyterms", ["a"] * 101), ("vad", True), ("vad", [1]),
    ("max_utterance_s", 0), ("max_utterance_s", 1e999), ("events", "on"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG, ids=lambda value: str(value)[:20])
def test_a_wrong_value_is_an_error_that_names_the_key(key: str, value: object) -> None:
    line = json.dumps({key: value}).replace("Infinity", "1e999")
    error = refusal(line)
    assert error.code is Code.BAD_REQUEST
    assert error.facts["field"] == key and key in error.message and "allowed" in error.facts


@pytest.mark.parametrize("key", ["threshold", "min_speech_ms", "min_silence_ms", "prefix_padding_ms"])
def test_a_wrong_vad_option_is_named_in_full(key: str) -> None:
    assert refusal(json.dumps({"vad": {key: "much"}})).facts["field"] == f"vad.{key}"


def test_actions() -> None:
    assert stt_ai.decode('{"action": "stop"}', configured=True) == Stop()
    assert stt_ai.decode('{"action": "finalize"}', configured=True) == Flush()
    assert stt_ai.decode('{"action": "keepalive"}', configured=True) == KeepAlive()
    line = '{"action": "configure", "vad": {"min_silence_ms": 900}, "keyterms": ["a"], "unknown": 1}'
    assert stt_ai.decode(line, configured=True) == Configure({"vad": {"min_silence_ms": 900}, "keyterms": ("a",)})
    assert stt_ai.decode('{"vad": false}', configured=True) == Configure({"vad": {"threshold": VAD_OFF}})
    assert stt_ai.decode('{"events": true}', configured=True) == Configure({"events": True})
    assert refusal('{"action": "dance"}', configured=True).facts["allowed"] == list(stt_ai.ACTIONS)
    assert refusal('{"action": {}}', configured=True).facts["field"] == "action"


@pytest.mark.parametrize("key", stt_ai.FIXED_KEYS)
def test_what_a_stream_keeps_for_life_cannot_be_configured(key: str) -> None:
    error = refusal(json.dumps({"action": "configure", key: "x"}), configured=True)
    assert error.facts["field"] == key


def test_a_configure_action_can_come_first() -> None:
    assert stt_ai.decode('{"action": "configure", "language": "vi"}', configured=False) == ListenConfig(language="vi")


SEEDS = [
    '{"language": "en", "model": "large-v3-turbo"}',
    '{"action": "stop"}',
    '{"action": "configure", "vad": {"threshold": 0.5, "min_silence_ms": 300}, "keyterms": ["a", "b"]}',
    '{"encoding": "mulaw", "sample_rate": 8000, "prompt": "a b", "word_timestamps": true, "max_utterance_s": 2e1}',
]
PIECES = ["{", "}", "[", "]", '"', ":", ",", "null", "true", "1e999", "-0", "\\ud800", "\\u0000", "NaN", "é", "{}" * 40]


def mutated(random_: random.Random) -> str:
    text = random_.choice(SEEDS)
    for _ in range(random_.randint(1, 6)):
        at, to = sorted(random_.randrange(len(text) + 1) for _ in range(2))
        insert = random_.choice([random_.choice(PIECES), text[at:to], chr(random_.randrange(0x110000)), ""])
        text = text[:at] + insert + (text[at:] if random_.random() < 0.5 else text[to:])
    return text


def test_strangers_get_an_event_or_an_error() -> None:
    """F1: 10,000 mutants of the document's own messages; only VoiceError, never slow, and the same twice."""
    random_ = random.Random(2026)
    for _ in range(10_000):
        line, configured = mutated(random_), random_.random() < 0.5
        outcomes = []
        began = time.perf_counter()
        for _ in range(2):
            try:
                outcomes.append(repr(stt_ai.decode(line, configured=configured)))
            except VoiceError as error:
                outcomes.append(repr(error))
        assert outcomes[0] == outcomes[1]
        assert time.perf_counter() - began < 1.0  # 50 ms each, on a machine that others use too


# -- out ---------------------------------------------------------------------------------------------


def test_ready_is_the_documents() -> None:
    message = sent(Ready("s1", "faster-whisper", "small", 0.12345, 0.0))
    assert message["status"] == "ready" and message["model"] == "small" and message["realtime_factor"] == 0.123


def test_text_and_partial_are_empty_where_there_is_none() -> None:
    """C9: the browser sample tests both for truth."""
    assert sent(Partial("hel lo", 3, 2, 1.0, 2.5)) == {
        "text": "", "partial": "hel lo", "stable": 3, "utterance": 2, "start": 1.0, "end": 2.5,
    }  # fmt: skip
    assert sent(Final("Hello.", 1.0, 2.5, 2, "en")) == {
        "text": "Hello.", "partial": "", "start": 1.0, "end": 2.5, "utterance": 2, "language": "en",
    }  # fmt: skip
    quiet = [Ready("s", "e"), SpeechStarted(1.0), SpeechStopped(2.0), Failed(VoiceError(Code.BUSY, "Full."))]
    for event in quiet:
        assert not sent(event).get("text") and not sent(event).get("partial")


def test_the_last_message_says_so() -> None:
    assert sent(Final("", 0.0, 0.0, 0, "", last=True)) == {"text": "", "partial": "", "is_final": True}
    assert sent(Final("Bye.", 1.0, 2.0, 4, "en", last=True))["is_final"] is True
    assert "is_final" not in sent(Final("Bye.", 1.0, 2.0, 4, "en"))


def test_an_empty_answer_to_finalize_keeps_its_place() -> None:
    assert sent(Final("", 3.0, 3.0, 5, ""))["utterance"] == 5


def test_words_as_in_the_documents_rest_reply() -> None:
    """C6."""
    final = Final("Hi you", 0.0, 1.0, 0, "en", (Word("Hi", 0.0, 0.4, 0.98765), Word("you", 0.5, 0.9)))
    assert sent(final)["words"] == [
        {"word": "Hi", "start": 0.0, "end": 0.4, "confidence": 0.988},
        {"word": "you", "start": 0.5, "end": 0.9, "confidence": 1.0},
    ]


def test_events_and_errors() -> None:
    assert sent(SpeechStarted(1.2344)) == {"event": "speech_started", "at": 1.234}
    assert sent(SpeechStopped(2.0)) == {"event": "speech_stopped", "at": 2.0}
    error = VoiceError(Code.NOT_INSTALLED, "No Vietnamese.", install="voxline models pull small", secret="x")
    assert sent(Failed(error)) == {
        "error": "No Vietnamese.", "code": "not_installed", "fatal": True, "install": "voxline models pull small",
    }  # fmt: skip
    assert sent(Failed(error, fatal=False))["fatal"] is False
    assert stt_ai.encode(Closed(1000)) is None


@pytest.mark.parametrize("code", list(Code))
def test_every_error_has_a_status_and_a_close_code(code: Code) -> None:
    error = VoiceError(code, "Because.", retry_after=1.2)
    reply = stt_ai.error_reply(error)
    assert 400 <= reply.status <= 599
    assert json.loads(reply.body) == {"error": "Because."}  # C21: a plain string
    assert (b"retry-after", b"2") in reply.headers
    assert stt_ai.close_code(error) in (1003, 1008, 1009, 1011, 1012, 1013)
    assert sent(Failed(error))["code"] == code.value


def test_the_documented_statuses() -> None:
    """C20."""
    status = {code: stt_ai.error_reply(VoiceError(code, "")).status for code in Code}
    assert status[Code.BAD_REQUEST] == status[Code.UNSUPPORTED_MEDIA] == 400
    assert status[Code.UNAUTHORIZED] == 401
    assert status[Code.INSUFFICIENT_CREDITS] == 402
    assert status[Code.RATE_LIMITED] == status[Code.TOO_MANY_SESSIONS] == 429
    assert status[Code.BUSY] == status[Code.NOT_INSTALLED] == 503


# -- REST shapes -------------------------------------------------------------------------------------


def test_models() -> None:
    """C11: the document's four rows, and others by their own name."""
    body = stt_ai.models_body([("large-v3-turbo", 99), ("large-v3", 99), ("medium", 99), ("small", 99), ("mine", 2)])
    assert body["models"] == [
        {"id": "large-v3-turbo", "name": "Whisper Large V3 Turbo", "languages": 99, "speed": "fast"},
        {"id": "large-v3", "name": "Whisper Large V3", "languages": 99, "speed": "standard"},
        {"id": "medium", "name": "Whisper Medium", "languages": 99, "speed": "fast"},
        {"id": "small", "name": "Whisper Small", "languages": 99, "speed": "very_fast"},
        {"id": "mine", "name": "mine", "languages": 2, "speed": "standard"},
    ]


def test_languages() -> None:
    """C12."""
    body = stt_ai.languages_body(["fr", "en", "en", "es"])
    assert body == {
        "languages": [
            {"code": "en", "name": "english"}, {"code": "fr", "name": "french"}, {"code": "es", "name": "spanish"},
        ]
    }  # fmt: skip


def test_health() -> None:
    """C19."""
    assert stt_ai.health_body() == {"status": "ok", "gpu_available": False, "gpu_name": "", "gpu_memory_mb": 0}
    assert stt_ai.health_body(gpu_name="NVIDIA A100", gpu_memory_mb=8188)["gpu_available"] is True
