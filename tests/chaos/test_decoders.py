"""Row F1: ten thousand mutations of the documents' own examples, for everything that reads what strangers send.

Nothing but a VoiceError (a WireError between the server and its engines), never more than some milliseconds and
megabytes, and twice the same for the same bytes.
"""

import io
import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from engines import wire
from engines.base import Capabilities, Task, Voice
from engines.decode import DecodeLimits, decode_media
from engines.frames import FRAME_BYTES, Frame, FrameReader, Kind, WireError, pack
from engines.wire import SpeechCheck
from protocol.audio import AudioFormat, Encoding, wav_header
from protocol.dialects import stt_ai, vbee_realtime, voxline
from protocol.errors import VoiceError
from protocol.events import Word
from protocol.requests import Decode, Hypothesis, Speak, SpeechChunk, SpokenWord
from protocol.route import Asked, choose, read_start
from server.dialects import claims
from tests.chaos.mutator import mutated
from tests.engines_scripted import tone

COUNT, NIGHTLY = 10_000, 200_000
SLOWEST_S = 0.05
MOST_BYTES = 8 << 20
SEED = 20_266
CLAIMS = claims({"api.stt.ai": "c"})

# -- the documents' examples, and Voxline's own ----------------------------------------------------------

LISTEN = (  # C8-C10
    b'{"language": "en", "model": "large-v3-turbo"}',
    b'{"language": "auto", "model": "large-v3-turbo"}',
    b'{"action": "stop"}',
    b'{"action": "configure", "vad": {"threshold": 0.4, "min_silence_ms": 300}, "keyterms": ["Hu\xe1\xba\xbf"]}',
    b'{"encoding": "mulaw", "sample_rate": 8000, "interim_results": false, "word_timestamps": true, "prompt": "Xin",'
    b' "vad": {"threshold": 0.5, "min_speech_ms": 50, "min_silence_ms": 500, "prefix_padding_ms": 200},'
    b' "max_utterance_s": 12, "events": true}',
)
SPEAK = (
    b'{"voice": "en-us-female-1", "format": "mp3", "sample_rate": 24000, "bitrate": 64, "speed": 1.5, "pace": false}',
    b'{"text": "Hello \\ud83d\\ude00, xin ch\\u00e0o", "flush": true}',
    b'{"action": "mark", "name": "x"}',
    b'{"language": "vi", "word_timestamps": true, "max_buffer_delay_ms": 300}',
)
CALL = (  # E
    """{
    "text": "Xin chào, đây là giọng nói tổng hợp từ Vbee.",
    "voiceCode": "hn_female_ngochuyen_full_48k-fhg",
    "outputFormat": "mp3",
    "bitrate": 128,
    "speed": 1.0,
    "mode": "sync"
  }""".encode(),
    b'{"text": "a", "voiceCode": "v", "mode": "sync", "sampleRate": 22050, "outputFormat": "wav"}',
)
ROUTES = (
    b'["/v1/tts", "multipart/form-data; boundary=x", true, {"text": "hi", "model": "m", "voice": "v"}]',
    b'["/v1/tts/", "application/json", false, {"text": "hi", "voiceCode": "v", "mode": "sync"}]',
)
SOUND = tone(0.1)
WAVES = tuple(
    wav_header(AudioFormat(encoding, rate), size) + SOUND[:800]
    for encoding, rate, size in (
        (Encoding.PCM_S16LE, 16_000, 800),
        (Encoding.PCM_S16LE, 48_000, None),
        (Encoding.MULAW, 8000, 800),
        (Encoding.ALAW, 8000, 800),
    )
)

# -- between the server and its engines --------------------------------------------------------------------

BATCH = [Decode(bytes(32_000), "vi", "trước", ("từ",), True, False, "s/2"), Decode(b"")]
ANSWERS = [
    Hypothesis("xin chào", (Word("xin", 0.1, 0.4, 0.5), Word("chào", 0.4, 0.9)), "vi", 0.9, -0.3, 0.01),
    Hypothesis(""),
]
SPOKEN = Speak("hello world", "en/male", 1.5, -2.0, True)
CHUNK = SpeechChunk(b"abcd", 22050, (SpokenWord(0, 5, 0.0), SpokenWord(6, 5, 0.2)))
ABLE = Capabilities("tones", Task.SYNTHESIZE, "m", ("en", "vi"), voices=(Voice("a", "A", "en", "male"),))


def packed(head: object) -> bytes:
    """A head as it crosses the pipe."""
    return json.dumps(head).encode()


def frames(data: bytes) -> object:
    """All frames of some bytes, as a pipe reads them."""
    reader, read = FrameReader(), []
    while data:
        space = reader.space()
        size = min(len(space), len(data))
        space[:size] = data[:size]
        reader.filled(size)
        data = data[size:]
        while (frame := reader.frame()) is not None:
            read.append(frame)
    return read


def head_of(data: bytes) -> dict[str, object]:
    """A head as the frames give it: an object."""
    head = json.loads(data)
    if not isinstance(head, dict):
        raise WireError("not an object")
    return head


def read_head(read: Callable[[dict[str, object]], object], data: bytes) -> object:
    """What ``read`` makes of a head; bytes that are no JSON come no further than the frames."""
    try:
        head = head_of(data)
    except (ValueError, RecursionError):
        return None
    return read(head)


def read_text(read: Callable[[str], object], data: bytes) -> object:
    """What ``read`` makes of a text message; the socket has seen to it that it is UTF-8."""
    try:
        line = data.decode()
    except UnicodeDecodeError:
        return None
    return read(line)


def route(data: bytes) -> object:
    """Whose request it is, whatever its body is."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        given = None
    path, content_type, app_id, body, *_ = [*given, "", "", "", ""] if isinstance(given, list) else ["", "", "", given]
    headers = {"content-type": str(content_type), "host": str(app_id), **({"app-id": str(app_id)} if app_id else {})}
    return choose(Asked(str(path), headers, body), CLAIMS), read_start(data, whole=False)


def media(data: bytes) -> object:
    """A file's sound."""
    return b"".join(decode_media(io.BytesIO(data), DecodeLimits(seconds=5.0, size=1 << 20)))


@dataclass(frozen=True, slots=True)
class Decoder:
    """What reads strangers' bytes, what it may raise, and what it may use."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    most_bytes: int = MOST_BYTES


DECODERS = {
    "stt_ai, first": Decoder(partial(read_text, partial(stt_ai.decode, configured=False)), LISTEN),
    "stt_ai, later": Decoder(partial(read_text, partial(stt_ai.decode, configured=True)), LISTEN),
    "voxline, first": Decoder(partial(read_text, partial(voxline.decode, configured=False)), SPEAK),
    "voxline, later": Decoder(partial(read_text, partial(voxline.decode, configured=True)), SPEAK),
    "vbee_realtime": Decoder(lambda data: vbee_realtime.decode(vbee_realtime.parse_json(data)), CALL),
    "choose": Decoder(route, ROUTES),
    "media": Decoder(media, WAVES),
    "frames": Decoder(
        frames,
        (b"".join(pack(Frame(Kind.DONE, 7, {"batch": []}, (b"abc", b"")))) + b"".join(pack(Frame(Kind.BEAT))),),
        2 * FRAME_BYTES + MOST_BYTES,  # what a head may announce: our own child, not a stranger
    ),
    "hypotheses": Decoder(
        partial(read_head, lambda head: wire.read_hypotheses(head, BATCH)), (packed(wire.pack_hypotheses(ANSWERS)),)
    ),
    "speech": Decoder(
        partial(read_head, lambda head: SpeechCheck(SPOKEN).read(head, (CHUNK.pcm,))), (packed(wire.pack_chunk(CHUNK)),)
    ),
    "capabilities": Decoder(partial(read_head, wire.read_capabilities), (packed(wire.pack_capabilities(ABLE)),)),
    "errors": Decoder(
        partial(read_head, lambda head: str(wire.read_error(head))),
        (b'{"code": "busy", "message": "later", "facts": {"retry_after": 3}}',),
    ),
}


def outcome(decoder: Decoder, data: bytes) -> str:
    """What became of it; anything but an answer or a typed error is not caught here."""
    try:
        return repr(decoder.read(data))
    except VoiceError as error:
        return repr(error)
    except WireError as error:
        return f"WireError {error}"


def survives(name: str, count: int, seed: int) -> None:
    """All inputs; a failure names its own."""
    decoder = DECODERS[name]
    kinds: set[bool] = set()
    for data in mutated(decoder.seeds, count, seed):
        began = time.thread_time()  # the first time: the second may find what the first has kept
        try:
            first, used = watched(decoder, data)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for {data!r}") from error
        took = time.thread_time() - began
        assert used <= decoder.most_bytes, f"{used >> 20} MiB for {data[:2000]!r}"
        assert took <= SLOWEST_S or quickest(decoder, data) <= SLOWEST_S, f"{took * 1000:.0f} ms for {data[:2000]!r}"
        assert outcome(decoder, data) == first, f"not the same twice: {data[:2000]!r}"
        kinds.add(first.startswith(("VoiceError", "WireError")))
    assert len(kinds) == 2 or name in ("choose", "errors"), "the mutations do not reach both sides"


def watched(decoder: Decoder, data: bytes) -> tuple[str, int]:
    """What became of it, and the most bytes it held meanwhile."""
    tracemalloc.start(1)
    try:
        return outcome(decoder, data), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def quickest(decoder: Decoder, data: bytes) -> float:
    """The least of some runs: a collection of garbage may fall into any one."""
    times = []
    for _ in range(5):
        began = time.thread_time()
        outcome(decoder, data)
        times.append(time.thread_time() - began)
    return min(times)


@pytest.mark.parametrize("name", DECODERS)
def test_mutations_of_what_is_right_are_an_answer_or_a_typed_error(name: str) -> None:
    survives(name, COUNT if name != "media" else COUNT // 5, SEED)


@pytest.mark.nightly
@pytest.mark.parametrize("name", DECODERS)
def test_many_more_of_them(name: str) -> None:
    survives(name, NIGHTLY if name != "media" else NIGHTLY // 5, SEED + 1)


def test_every_seed_is_right() -> None:
    """Else the mutations would only ever meet the first check."""
    wrong = [
        (name, seed)
        for name, decoder in DECODERS.items()
        for seed in decoder.seeds
        if not any(word in name for word in ("first", "later")) and "Error" in outcome(decoder, seed)
    ]
    assert not wrong
