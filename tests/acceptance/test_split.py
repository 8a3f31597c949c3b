"""However audio and text are cut into messages, and whoever else is there, the result is the same (Done when 4)."""

import asyncio
import random
from collections.abc import Iterator
from itertools import repeat

import pytest

from loadtest.recordings import recordings
from loadtest.subject import Subject
from tests.acceptance.listening import Heard, hear
from tests.acceptance.speaking import Said, say

LARGEST = 64 * 1024
MESSAGE_BYTES = 256 * 1024
CONFIG = {"language": "en", "word_timestamps": True, "interim_results": False, "events": True}


def cuts(seed: int) -> Iterator[int]:
    """Message sizes from 1 byte to 64 KiB, small ones as likely as large ones, odd ones as likely as even ones."""
    rng = random.Random(seed)
    while True:
        yield min(LARGEST, round(2 ** rng.uniform(0, 16)))


def result(heard: Heard) -> list[dict[str, object]]:
    """All that depends on the audio: finals with their words and times, and where speech began and ended."""
    told = [one for one in heard.check().messages[1:] if one.get("text") or "event" in one]
    # How fast audio comes in decides whether a final comes before the next utterance begins, and whether the last one
    # is out before the client says stop.
    told = sorted(told, key=lambda one: "event" in one)
    return [{name: value for name, value in one.items() if name != "is_final"} for one in told]


async def test_any_split_of_the_audio_gives_the_same_result(live: Subject) -> None:
    (recording,) = recordings(1, utterances=4)
    whole = await hear(live.ws, live.key, [recording.pcm], config=CONFIG, frames=repeat(LARGEST))
    wanted = result(whole)
    assert len(whole.finals) == 4
    answers = await asyncio.gather(
        *(hear(live.ws, live.key, [recording.pcm], config=CONFIG, frames=cuts(seed)) for seed in range(8))
    )
    for answer in answers:
        assert result(answer) == wanted


async def test_an_odd_byte_at_the_end_is_no_sample(live: Subject) -> None:
    (recording,) = recordings(1, utterances=1)
    even, odd = await asyncio.gather(
        *(hear(live.ws, live.key, [recording.pcm + rest], config=CONFIG) for rest in (b"", b"\x7f"))
    )
    assert result(even) == result(odd) and even.finals


async def test_a_message_over_the_limit_closes_the_stream(live: Subject) -> None:
    """256 KiB a message pass; one byte more closes with 1009 (message too big), and costs nobody else anything."""
    fits, large = await asyncio.gather(
        *(hear(live.ws, live.key, [bytes(size)], frames=repeat(size)) for size in (MESSAGE_BYTES, MESSAGE_BYTES + 1))
    )
    assert not fits.check().finals
    assert large.code == 1009


async def test_a_session_hears_the_same_alone_and_among_eight_others(live: Subject) -> None:
    """Interleaved sessions share windows, batches and processes, and nothing else."""
    mine, *others = recordings(9, utterances=2)
    alone = result(await hear(live.ws, live.key, [mine.pcm], config=CONFIG))
    among, *rest = await asyncio.gather(
        *(
            hear(live.ws, live.key, [one.pcm], config=CONFIG, frames=cuts(index))
            for index, one in enumerate([mine, *others])
        )
    )
    assert result(among) == alone and len(among.finals) == 2
    for heard, recording in zip(rest, others, strict=True):
        assert heard.check().text == " ".join(utterance.text for utterance in recording.utterances)


TEXTS = {
    "english": "Hello there, my friend. Dr. Smith paid 3.14 dollars at 12:30 for an e-mail to info@example.com! "
    "Wait... what? See https://example.com/a,b?c=d; it's (really) good — isn't it?\nNew line.",
    "vietnamese": "Xin chào, đây là giọng nói tổng hợp. Hôm nay trời đẹp quá! Bạn có khỏe không? Số 1.000.000 đồng.",
    "emoji": "Good 👍🏽 morning 👨‍👩‍👧‍👦, and e\u0301clair too 🎉. Fine.",
    "chinese": "你好，世界。今天天气很好！我们去公园，好吗？",
}  # fmt: skip
VOICES = {
    "english": "en-us-female-1", "vietnamese": "vi-north-female-1", "emoji": "en-us-male-1", "chinese": "zh-female-1",
}  # fmt: skip


def splits(text: str) -> list[list[str]]:
    """The text at once, by the character, by the word, and in random pieces."""
    rng = random.Random(3)
    random_pieces, at = [], 0
    while at < len(text):
        size = rng.choice((1, 2, 3, 5, 8, 13))
        random_pieces.append(text[at : at + size])
        at += size
    words = [word + " " for word in text.split(" ")]
    return [[text], list(text), [*words[:-1], words[-1].rstrip(" ")], random_pieces]


def squeezed(text: str) -> str:
    """Without white space."""
    return "".join(text.split())


@pytest.mark.parametrize("name", TEXTS)
async def test_any_split_of_the_text_gives_the_same_speech(live: Subject, name: str) -> None:
    """Nothing is lost or doubled: what was spoken, its words, their times and places, and the sound's length."""
    text = TEXTS[name]
    config = {"voice": VOICES[name], "pace": False, "word_timestamps": True, "sample_rate": 16000}
    whole, *others = await asyncio.gather(*(say(live.ws, live.key, split, config) for split in splits(text)))
    check_words(whole, text)
    for other in others:
        assert other.check().spoken == whole.spoken == text.strip()
        assert len(other.sound) == pytest.approx(len(whole.sound), rel=0.01)
        assert [(word["word"], word["offset"]) for word in other.of("word")] == [
            (word["word"], word["offset"]) for word in whole.of("word")
        ]


def check_words(said: Said, text: str) -> None:
    """Words are slices of the text at their offsets, in order, and together they are all that can be pronounced."""
    said.check()
    at = 0
    for word in said.of("word"):
        assert text[word["offset"] : word["offset"] + len(word["word"])] == word["word"]
        assert word["offset"] >= at, "a word came twice"
        between = text[at : word["offset"]]
        assert not any(letter.isalnum() for letter in between), f"{between!r} was left out"
        at = word["offset"] + len(word["word"])
    assert not any(letter.isalnum() for letter in text[at:])
    times = [(word["start"], word["end"]) for word in said.of("word")]
    assert all(start <= end for start, end in times) and times == sorted(times)
    assert times[-1][1] <= said.of("done")[-1]["end"] + 0.01
