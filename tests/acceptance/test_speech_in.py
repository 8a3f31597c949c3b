"""Speech in, end to end (C8-C10 and its superset): a real server, a plain client, spoken sentences it never saw."""

import asyncio
import json
from itertools import repeat

import av
import numpy as np
import pytest
import soxr

from loadtest.recordings import Recording, record
from loadtest.subject import Subject
from tests.acceptance.listening import BROWSER_FRAME, RATE, Heard, bearer, hear
from tests.admission import admitted
from tests.checkpoints.nano_whisper.held_out import held_out_sentences

FIRST, SECOND, THIRD = held_out_sentences("en", 3, seed=21)


def spoken(*sentences: str, pause: float = 1.0, voice: str = "en-us") -> Recording:
    """A recording of the sentences."""
    return record(list(sentences), voice=voice, pause=pause)


async def heard(live: Subject, *script: bytes | dict[str, object], **config: object) -> Heard:
    """What the server makes of it, sent as fast as it takes it."""
    answer = await hear(live.ws, live.key, script, config={"language": "en", **config})
    return answer.check()


async def test_partials_then_finals_then_is_final(live: Subject) -> None:
    """C8: the document's order, from a client that talks at the pace of speech in the frames of the document's."""
    recording = spoken(FIRST, SECOND)
    config = {"language": "en", "model": "large-v3-turbo"}
    answer = await hear(
        live.ws, live.key, [recording.pcm], config=config, pace=2 * RATE, frames=repeat(BROWSER_FRAME)
    )
    answer.check()
    assert [final["text"] for final in answer.finals] == [FIRST, SECOND]
    assert [final["language"] for final in answer.finals] == ["en", "en"]
    for final, utterance in zip(answer.finals, recording.utterances, strict=True):
        partials = [one for one in answer.partials if one["utterance"] == final["utterance"]]
        assert partials, "no partial before the final"
        assert answer.messages.index(partials[0]) < answer.messages.index(final)
        assert partials[0]["start"] == final["start"] == pytest.approx(utterance.start, abs=0.3)
        assert final["end"] == pytest.approx(utterance.end, abs=0.3)
        at = answer.arrived[answer.messages.index(partials[0])]
        assert at < utterance.end, "the first partial came after the sentence was over"
        assert final["text"].startswith(partials[-1]["partial"][: partials[-1]["stable"]])


async def test_word_timestamps(live: Subject) -> None:
    """Words in finals: the sentence's, in order, within it; none where nobody asked."""
    recording = spoken(FIRST)
    timed, plain = await asyncio.gather(
        heard(live, recording.pcm, word_timestamps=True), heard(live, recording.pcm, word_timestamps=False)
    )
    (final,) = timed.finals
    assert [word["word"] for word in final["words"]] == FIRST.split()
    times = [time for word in final["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[0] == pytest.approx(recording.utterances[0].start, abs=0.3)
    assert times[-1] == pytest.approx(recording.utterances[0].end, abs=0.3)
    assert all(0 < word["confidence"] <= 1 for word in final["words"])
    assert "words" not in plain.finals[0] and plain.finals[0]["text"] == FIRST


async def test_no_interim_results_and_events(live: Subject) -> None:
    """``interim_results`` false leaves the finals; ``events`` brackets each of them."""
    recording = spoken(FIRST, SECOND)
    quiet, eventful = await asyncio.gather(
        heard(live, recording.pcm, interim_results=False), heard(live, recording.pcm, events=True)
    )
    assert not quiet.partials and quiet.text == f"{FIRST} {SECOND}"
    assert not [message for message in quiet.messages if "event" in message]
    events = [message for message in eventful.messages if "event" in message]
    assert [message["event"] for message in events] == ["speech_started", "speech_stopped"] * 2
    for final, stopped in zip(eventful.finals, events[1::2], strict=True):
        assert eventful.messages.index(stopped) < eventful.messages.index(final)
    at = [message["at"] for message in events]
    wanted = [time for utterance in recording.utterances for time in (utterance.start, utterance.end)]
    assert at == pytest.approx(wanted, abs=0.3)
    # The document's client tests both by truthiness (C9): an event must look like neither.
    assert not [event for event in events if event.get("text") or event.get("partial")]


def g711(pcm: bytes, codec: str) -> bytes:
    """16 kHz PCM as a telephone carries it, by libavcodec."""
    narrow = soxr.resample(np.frombuffer(pcm, "<i2"), RATE, 8000)
    encoder = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(narrow.reshape(1, -1), "s16", "mono")
    frame.sample_rate = 8000
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


async def test_every_encoding_and_rate(live: Subject) -> None:
    """A telephone's G.711 and a studio's 48 kHz say the same as 16 kHz, and the times fit."""
    recording = spoken(FIRST, SECOND)
    pcm = np.frombuffer(recording.pcm, "<i2")
    wide = soxr.resample(pcm, RATE, 48000).tobytes()
    narrow = soxr.resample(pcm, RATE, 8000).tobytes()
    mulaw, alaw = g711(recording.pcm, "pcm_mulaw"), g711(recording.pcm, "pcm_alaw")
    assert len(mulaw) == len(alaw) == len(narrow) // 2
    answers = await asyncio.gather(
        heard(live, wide, sample_rate=48000),
        heard(live, narrow, sample_rate=8000),
        heard(live, mulaw, encoding="mulaw"),
        heard(live, alaw, encoding="alaw", sample_rate=8000),
    )
    for answer in answers:
        assert answer.text == f"{FIRST} {SECOND}"
        starts = [final["start"] for final in answer.finals]
        assert starts == pytest.approx([utterance.start for utterance in recording.utterances], abs=0.3)


async def test_finalize_ends_the_utterance_and_keeps_the_stream(live: Subject) -> None:
    """Two sentences without a pause between them: ``finalize`` is what parts them, and a final comes at once."""
    one, two = spoken(FIRST, pause=0.1), spoken(SECOND, pause=0.1, voice="en-us+m1")
    apart = await heard(live, one.pcm, {"action": "finalize"}, two.pcm)
    assert [final["text"] for final in apart.finals] == [FIRST, SECOND]
    second = two.utterances[0].start + one.seconds
    assert apart.finals[1]["start"] == pytest.approx(second, abs=0.3)


async def test_finalize_is_answered_without_more_audio(live: Subject) -> None:
    """The client waits for the answer before it goes on: nothing but ``finalize`` may bring it."""
    async with (
        asyncio.timeout(30),
        await admitted(f"{live.ws}/v1/stream", additional_headers=bearer(live.key)) as socket,
    ):
        await socket.send('{"language": "en", "interim_results": false}')
        for sentence in (FIRST, SECOND):
            await socket.send(spoken(sentence, pause=0.05).pcm)
            await socket.send('{"action": "finalize"}')
            while not (message := json.loads(await socket.recv())).get("text"):
                assert "error" not in message
            assert message["text"] == sentence


async def test_configure_in_mid_stream(live: Subject) -> None:
    """What may change does from the next utterance on; what may not is named, and the stream goes on."""
    one, two, three = (spoken(sentence) for sentence in (FIRST, SECOND, THIRD))
    answer = await hear(
        live.ws,
        live.key,
        [
            one.pcm,
            {"action": "configure", "word_timestamps": True, "interim_results": False},
            two.pcm,
            {"action": "configure", "language": "vi"},
            {"action": "configure", "vad": {"threshold": "high"}},
            {"action": "nonsense"},
            {"action": "keepalive"},
            three.pcm,
        ],
        config={"language": "en"},
    )
    assert [final["text"] for final in answer.finals] == [FIRST, SECOND, THIRD]
    assert ["words" in final for final in answer.finals] == [False, True, True]
    assert {partial["utterance"] for partial in answer.partials} <= {answer.finals[0]["utterance"]}
    assert [(error["field"], error["code"], error["fatal"]) for error in answer.errors] == [
        ("language", "bad_request", False), ("vad.threshold", "bad_request", False), ("action", "bad_request", False),
    ]  # fmt: skip
    assert answer.code == 1000 and answer.messages[-1]["is_final"] is True


async def test_the_endpointing_is_the_clients_to_choose(live: Subject) -> None:
    """``vad``: how long a silence ends an utterance, how much is kept before it, or no detection at all."""
    recording = spoken(FIRST, SECOND, pause=0.75)
    patient, hasty, manual = await asyncio.gather(
        heard(live, recording.pcm, vad={"min_silence_ms": 2000}),
        heard(live, recording.pcm, vad={"min_silence_ms": 300, "prefix_padding_ms": 100}),
        heard(live, recording.pcm, {"action": "finalize"}, vad=False, events=True),
    )
    assert [final["text"] for final in hasty.finals] == [FIRST, SECOND]
    assert len(patient.finals) == 1
    assert patient.finals[0]["end"] - patient.finals[0]["start"] == pytest.approx(
        recording.utterances[1].end - recording.utterances[0].start, abs=0.4
    )
    assert len(manual.finals) == 1, "without detection only the client ends an utterance"
    assert manual.finals[0]["start"] == 0.0
    assert manual.finals[0]["end"] == pytest.approx(recording.seconds, abs=0.05)


def of_length(shortest: float, longest: float, count: int) -> list[str]:
    """Held-out sentences that take so many seconds to say."""

    def seconds(sentence: str) -> float:
        (utterance,) = spoken(sentence).utterances
        return utterance.end - utterance.start

    candidates = (sentence for sentence in held_out_sentences("en", 60, seed=22) if "call" not in sentence)
    return [sentence for sentence in candidates if shortest <= seconds(sentence) <= longest][:count]


async def test_an_utterance_that_does_not_end_is_split_at_a_pause(live: Subject) -> None:
    """``max_utterance_s``: the cuts lie in the pauses, so that no word is lost or doubled."""
    sentences = of_length(1.6, 2.0, 4)
    recording = spoken(*sentences, pause=0.8)
    answer, whole = await asyncio.gather(
        heard(live, recording.pcm, max_utterance_s=2.6, vad={"min_silence_ms": 3000}),
        heard(live, recording.pcm, vad={"min_silence_ms": 3000}),
    )
    assert len(whole.finals) == 1, "unsplit it is one utterance"
    assert [final["text"] for final in answer.finals] == sentences
    assert all(final["end"] - final["start"] <= 2.6 for final in answer.finals)


async def test_the_language_is_told_when_nobody_said_it(live: Subject) -> None:
    """``auto`` is the default; a final says which it was."""
    vietnamese = held_out_sentences("vi", 2, seed=23)
    english, tieng_viet = await asyncio.gather(
        hear(live.ws, live.key, [spoken(FIRST, SECOND).pcm]),
        hear(live.ws, live.key, [spoken(*vietnamese, voice="vi").pcm], config={"language": "auto"}),
    )
    assert {final["language"] for final in english.check().finals} == {"en"}
    assert {final["language"] for final in tieng_viet.check().finals} == {"vi"}
    assert english.text == f"{FIRST} {SECOND}"
    assert tieng_viet.text == " ".join(vietnamese)


async def test_hints_and_unknown_keys_do_no_harm(live: Subject) -> None:
    """A prompt, keyterms, nulls and keys of the future leave the words alone."""
    unknown: dict[str, object] = {"colour": {"of": "the bikeshed"}, "vad": None, "diarize": 7}
    hints: dict[str, object] = {"prompt": "please", "keyterms": ["window", "door"], **unknown}
    # Not the first sentence: with hints the small model wavers between two texts for it.
    answer = await heard(live, spoken(SECOND).pcm, **hints)
    assert answer.text == SECOND


async def test_audio_may_come_before_ready(live: Subject) -> None:
    """A client that does not wait for ``ready`` loses nothing."""
    async with (
        asyncio.timeout(30),
        await admitted(f"{live.ws}/v1/stream", additional_headers=bearer(live.key)) as socket,
    ):
        await socket.send('{"language": "en"}')
        await socket.send(spoken(FIRST).pcm)
        await socket.send('{"action": "stop"}')
        messages = [json.loads(message) async for message in socket]
    assert messages[0]["status"] == "ready"
    assert [message["text"] for message in messages if message.get("text")] == [FIRST]


async def test_a_microphone_that_goes_on_after_stop_does_no_harm(live: Subject) -> None:
    """The document's example says stop and goes on sending until the connection is closed."""
    answer = await heard(live, spoken(FIRST, pause=0.1).pcm, {"action": "stop"}, bytes(5 * BROWSER_FRAME))
    assert answer.text == FIRST


@pytest.mark.parametrize("script", [[], [b""], [b"\x00"], [{"action": "finalize"}], [{"action": "keepalive"}]])
async def test_a_stream_with_nothing_said_ends_in_order(live: Subject, script: list[bytes | dict[str, object]]) -> None:
    answer = await hear(live.ws, live.key, script)
    assert not answer.check().finals and not answer.partials
