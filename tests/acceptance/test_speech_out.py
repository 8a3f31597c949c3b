"""Speech out, end to end: sound before the text is complete, words and marks in their places, silence when told."""

import asyncio
import json
import time

import numpy as np
import pytest
from websockets.asyncio.client import connect

from loadtest.subject import Subject
from tests.acceptance.listening import RATE, bearer, hear
from tests.acceptance.speaking import Talking, decoded, say
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.checkpoints.nano_whisper.word_errors import word_error_rate

PLAIN = {"voice": "en-us-female-1", "sample_rate": RATE}
FAST = {**PLAIN, "pace": False}
BYTES_A_SECOND = 2 * RATE
FRAME_S = 0.06


async def test_sound_comes_before_the_text_is_complete(live: Subject) -> None:
    """As a language model writes: the first clause is heard while the second is not written yet."""
    async with Talking(live.ws, live.key, FAST) as talk:
        for delta in ("Hel", "lo there, my fr", "iend. Now"):
            await talk.send({"text": delta})
        await talk.until_sound(BYTES_A_SECOND // 2)
        await talk.send({"text": " something else, too."}, {"action": "flush"})
        said = (await talk.end()).check()
    assert said.spoken == "Hello there, my friend. Now something else, too."
    assert len(said.of("done")) == 1


async def test_words_are_where_they_are_heard(live: Subject) -> None:
    """Word times against the sound itself: between two sentences nothing is said, and a word is loud."""
    text = "Seventy bananas. Twenty oranges."
    said = (await say(live.ws, live.key, [text], {**FAST, "word_timestamps": True})).check()
    words = said.of("word")
    assert [word["word"] for word in words] == ["Seventy", "bananas", "Twenty", "oranges"]
    samples = np.frombuffer(bytes(said.sound), "<i2") / 32768
    loud = [float(np.abs(samples[int(w["start"] * RATE) : int(w["end"] * RATE)]).max()) for w in words]
    assert min(loud) > 0.1
    (done,) = said.of("done")
    assert done["end"] == pytest.approx(len(samples) / RATE, abs=0.01)
    assert words[1]["end"] <= words[2]["start"]
    # The quietest 100 ms of the sound's middle lie between the sentences, where the words say so.
    window = RATE // 10
    level = np.convolve(samples[RATE // 4 : -RATE // 4] ** 2, np.ones(window), "valid")
    quietest = (float(np.argmin(level)) + window / 2) / RATE + 0.25
    assert words[1]["start"] < quietest < words[2]["start"] + 0.05
    assert words[1]["end"] == pytest.approx(quietest, abs=0.35)


async def test_marks_come_at_their_place_in_the_sound(live: Subject) -> None:
    """Each mark behind the sound of the text before it, and before the sound of the text after it."""
    config = {**PLAIN, "word_timestamps": True}
    async with Talking(live.ws, live.key, config) as talk:
        await talk.send(
            {"action": "mark", "name": "start"},
            {"text": "One two. "}, {"action": "mark", "name": "middle"}, {"text": "Three four."},
            {"action": "flush"}, {"action": "mark", "name": "end"},
        )  # fmt: skip
        said = (await talk.end()).check()
    marks = {mark["name"]: mark for mark in said.of("mark")}
    before = {mark["name"]: size for size, mark in said.messages if mark.get("event") == "mark"}
    assert list(marks) == ["start", "middle", "end"]
    words = {word["word"]: word for word in said.of("word")}
    assert marks["start"]["at"] == 0.0 and before["start"] == 0
    assert words["two"]["end"] - 0.05 <= marks["middle"]["at"] <= words["Three"]["start"] + 0.05
    assert before["middle"] / BYTES_A_SECOND == pytest.approx(marks["middle"]["at"], abs=FRAME_S + 0.001)
    assert marks["end"]["at"] == pytest.approx(len(said.sound) / BYTES_A_SECOND, abs=0.001)
    assert before["end"] == len(said.sound)


LONG = "The quick brown fox jumps over the lazy dog near the river bank, and then it runs home. " * 6


async def test_clear_silences_at_once_and_tells_what_was_said(live: Subject) -> None:
    """Within 50 ms of ``clear`` the last sound has come; what is reported is what was sent, and the session goes on."""
    waits: list[float] = []
    async with Talking(live.ws, live.key, {**PLAIN, "word_timestamps": True}) as talk:
        sent = 0
        for _ in range(4):
            await talk.send({"text": LONG}, {"action": "flush"})
            await talk.until_sound(len(talk.said.sound) + BYTES_A_SECOND * 3 // 2)
            words_before = len(talk.said.of("word"))
            asked = time.monotonic()
            await talk.send({"action": "clear"})
            cleared = await talk.until("cleared")
            waits.append(max(0.0, talk.said.arrived[-1][0] - asked))
            size = len(talk.said.sound)
            assert cleared["at"] == pytest.approx(size / BYTES_A_SECOND, abs=0.001)
            spoken = cleared["spoken"]
            assert LONG.startswith(spoken) and len(spoken) < len(LONG) / 2
            # Words that were heard to their end are in it, and none that had not begun.
            words = [one for one in talk.said.of("word") if one["offset"] >= sent]
            ended = [one for one in words if one["end"] <= cleared["at"] - FRAME_S]
            begun = [one for one in words if one["start"] <= cleared["at"]]
            assert words_before and len(ended) <= len(spoken.split()) <= len(begun)
            sent += len(LONG)
        await talk.send({"text": "Goodbye."}, {"action": "flush"})
        said = (await talk.end()).check()
        assert said.of("done")[-1]["spoken"] == "Goodbye."
        assert len(said.of("done")) == 1, "an utterance that was cleared is not done"
    assert min(waits) <= 0.05, waits


async def test_nothing_comes_after_clear(live: Subject) -> None:
    """Silence is silence: after ``cleared`` no sound at all until there is new text."""
    async with Talking(live.ws, live.key, PLAIN) as talk:
        await talk.send({"text": LONG}, {"action": "flush"})
        await talk.until_sound()
        await talk.send({"action": "clear"})
        await talk.until("cleared")
        size = len(talk.said.sound)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(talk.step(), 0.3)
        said = (await talk.end()).check()
    assert len(said.sound) == size


@pytest.mark.parametrize(
    ("config", "bytes_a_second"),
    [
        ({"format": "pcm_s16le", "sample_rate": 8000}, 16000),
        ({"format": "pcm_s16le", "sample_rate": 48000}, 96000),
        ({"format": "mulaw"}, 8000),
        ({"format": "alaw"}, 8000),
        ({"format": "mulaw", "sample_rate": 16000}, 16000),
        ({"format": "mp3"}, 0),
        ({"format": "mp3", "sample_rate": 44100, "bitrate": 64}, 0),
        ({"format": "opus"}, 0),
        ({"format": "opus", "sample_rate": 16000}, 0),
    ],
    ids=json.dumps,
)
async def test_every_format_can_be_played(live: Subject, config: dict[str, object], bytes_a_second: int) -> None:
    text = "Hello there, my friend. It is a fine day."
    said = (await say(live.ws, live.key, [text], {**config, "voice": "en-us-male-1", "pace": False})).check()
    (done,) = said.of("done")
    assert said.ready["format"] == config["format"] and done["spoken"] == text
    assert 1.5 < done["end"] < 5
    if bytes_a_second:
        assert len(said.sound) / bytes_a_second == pytest.approx(done["end"], abs=0.01)
        return
    media = decoded(bytes(said.sound))
    assert media.codec in {"mp3": ("mp3", "mp3float"), "opus": ("opus", "libopus")}[str(config["format"])]
    assert media.seconds == pytest.approx(done["end"], abs=0.15) and media.loudness > 0.02


@pytest.mark.parametrize("encoding", ["mp3", "opus"])
async def test_compressed_utterances_follow_one_another(live: Subject, encoding: str) -> None:
    """Two utterances, one of them after a ``clear``, are one file a player reads to its end."""
    async with Talking(live.ws, live.key, {"format": encoding, "pace": False}) as talk:
        for sentence in ("Hello there, my friend.", "It is a fine day."):
            await talk.send({"text": sentence}, {"action": "flush"})
            await talk.until("done")
        said = (await talk.end()).check()
    assert decoded(bytes(said.sound)).seconds == pytest.approx(said.of("done")[-1]["end"], abs=0.3)


async def test_the_pace_bounds_the_lead(live: Subject) -> None:
    """Paced sound is never much more than a second ahead of a player, nor ever late; unpaced it comes at once."""
    text = "It was a bright cold day in April, and the clocks were striking thirteen."
    paced, fast = await asyncio.gather(
        say(live.ws, live.key, [text], PLAIN), say(live.ws, live.key, [text], {**PLAIN, "pace": False})
    )
    began = paced.check().arrived[0][0]
    leads = [size / BYTES_A_SECOND - (at - began) for at, size in paced.arrived]
    assert max(leads) < 1.2 and min(leads[:-1]) > 0
    took = fast.check().arrived[-1][0] - fast.arrived[0][0]
    assert took < 0.5 * len(fast.sound) / BYTES_A_SECOND
    assert len(paced.sound) == pytest.approx(len(fast.sound), rel=0.01)


async def test_the_speed_and_the_voice_are_heard(live: Subject) -> None:
    text = "It was a bright cold day in April."
    natural, fast, slow = await asyncio.gather(
        *(say(live.ws, live.key, [text], {**FAST, "speed": speed}) for speed in (1, 2, 0.5))
    )
    assert len(natural.sound) / len(fast.sound) == pytest.approx(2, rel=0.2)
    assert len(slow.sound) / len(natural.sound) == pytest.approx(2, rel=0.2)


async def test_unfinished_text_waits_as_long_as_was_asked(live: Subject) -> None:
    """``max_buffer_delay_ms``: a pause in the writing has what there is spoken; 0, the default, waits for ``flush``."""
    async with Talking(live.ws, live.key, {**FAST, "max_buffer_delay_ms": 150}) as hasty:
        await hasty.send({"text": "Hello there"})
        await hasty.until_sound()
    for patient in ({}, {"max_buffer_delay_ms": 0}):
        async with Talking(live.ws, live.key, {**FAST, **patient}) as talk:
            await talk.send({"text": "Hello there"})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(talk.step(), 0.3)
            said = (await talk.end()).check()
            assert said.spoken == "Hello there"


async def test_every_flush_is_an_utterance(live: Subject) -> None:
    """``done`` for each, in order, with what was spoken in it; times go on from one to the next."""
    async with Talking(live.ws, live.key, FAST) as talk:
        await talk.send({"text": "One. "}, {"text": "Two.", "flush": True}, {"text": " Three."}, {"action": "flush"})
        said = (await talk.end()).check()
    done = said.of("done")
    assert [(one["utterance"], one["spoken"]) for one in done] == [(1, "One. Two."), (2, "Three.")]
    assert done[0]["start"] == 0.0 and done[0]["end"] <= done[1]["start"] < done[1]["end"]


async def test_a_bad_message_ends_nothing(live: Subject) -> None:
    """Each is told what is wrong with it, and the session goes on."""
    bad: list[str | bytes] = [
        "{", "[]", "{}", b"\x00", '{"text": 5}', '{"action": "dance"}', '{"action": "mark"}',
        json.dumps({"text": "a" * 5001}),
    ]  # fmt: skip
    async with asyncio.timeout(20), connect(f"{live.ws}/v1/stream/tts", additional_headers=bearer(live.key)) as socket:
        await socket.send("{}")
        await socket.recv()
        for message in bad:
            await socket.send(message)
            error = json.loads(await socket.recv())
            assert error["fatal"] is False and error["code"] in ("bad_request", "text_too_long"), error
        await socket.send('{"text": "Still here.", "flush": true}')
        await socket.send('{"action": "stop"}')
        told = [json.loads(message) async for message in socket if isinstance(message, str)]
    assert [one["spoken"] for one in told if one.get("event") == "done"] == ["Still here."]


@pytest.mark.parametrize(("language", "voice", "count"), [("en", "en-us-male-1", 8), ("vi", "vi-north-male-1", 6)])
async def test_the_loop_closes(live: Subject, language: str, voice: str, count: int) -> None:
    """What the server says over one stream it understands over the other: sentences it never saw, either language."""
    sentences = held_out_sentences(language, count, seed=9)
    config = {"voice": voice, "sample_rate": RATE, "pace": False}

    async def said_and_heard(sentence: str) -> str:
        said = (await say(live.ws, live.key, [sentence], config)).check()
        around = bytes(RATE)
        answer = await hear(live.ws, live.key, [around, bytes(said.sound), around], config={"language": language})
        return answer.check().text

    heard = await asyncio.gather(*map(said_and_heard, sentences))
    assert word_error_rate(sentences, heard) <= 0.1, list(zip(sentences, heard, strict=True))
