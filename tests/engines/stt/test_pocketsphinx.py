"""The recogniser that needs no download. Its model is of people, not of espeak-ng: what is tested is that it listens
incrementally, repeatably and in order, not that it understands a robot."""

from itertools import pairwise

import numpy as np
import pytest

from engines.stt.pocketsphinx import PocketSphinx, factory
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis
from tests.checkpoints.nano_whisper.held_out import speak

SECOND = 2 * 16000


@pytest.fixture(scope="module")
def engine() -> PocketSphinx:
    return factory({"streams": 2})


def sound(text: str, voice: str = "en-us") -> bytes:
    lead = np.random.default_rng(0).standard_normal(4800) * 1e-3
    return (np.concatenate([lead, speak(text, voice), lead]) * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def long() -> bytes:
    """More than the two seconds that are heard in one go."""
    pcm = sound("please open the window in the kitchen and call the doctor")
    assert len(pcm) > 3 * SECOND
    return pcm[: 12 * SECOND // 5]


@pytest.fixture(scope="module")
def whole(engine: PocketSphinx, long: bytes) -> Hypothesis:
    """What a pass over all of it hears."""
    return engine.recognize([Decode(long, word_timestamps=True)])[0]


@pytest.fixture(scope="module")
def other() -> bytes:
    """Somebody else, of the same length."""
    pcm = sound("turn off the music now and send my message to the doctor", "en-us+m1")
    return pcm[: 12 * SECOND // 5]


def test_it_says_what_it_can_do(engine: PocketSphinx) -> None:
    described = engine.describe()
    assert described.languages == ("en",)
    assert described.incremental
    assert "US English" in described.note


@pytest.mark.parametrize("asked", [(), (0.7, 2.2), (2.05, 2.051, 2.2, 2.3, 2.39), (2.4,)])
def test_a_final_equals_a_pass_over_the_whole_whatever_was_asked_before(
    engine: PocketSphinx, long: bytes, whole: Hypothesis, other: bytes, asked: tuple[float, ...]
) -> None:
    for seconds in asked:
        end = round(seconds * 16000) * 2
        partials = [Decode(long[:end], stream="a", final=False), Decode(other[:end], stream="b", final=False)]
        engine.recognize(partials)
    assert engine.recognize([Decode(long, stream="a", word_timestamps=True)])[0] == whole


def test_partials_grow(engine: PocketSphinx, long: bytes) -> None:
    seen = [engine.recognize([Decode(long[:end], stream="grow", final=False)])[0].text for end in (SECOND, len(long))]
    assert len(seen[-1].split()) > len(seen[0].split()) > 0
    engine.recognize([Decode(long, stream="grow")])


def test_streams_beyond_the_decoders_start_over_and_end_the_same(
    engine: PocketSphinx, long: bytes, whole: Hypothesis
) -> None:
    names = [f"stream {n}" for n in range(3)]
    for name in names:
        engine.recognize([Decode(long[: 21 * SECOND // 10], stream=name, final=False)])
    assert list(engine._streams) == names[1:]
    for name in names:
        assert engine.recognize([Decode(long, stream=name, word_timestamps=True)])[0] == whole
    assert not engine._streams
    assert len(engine._idle) <= 2


def test_a_stream_whose_audio_changed_is_heard_from_its_start(
    engine: PocketSphinx, long: bytes, whole: Hypothesis, other: bytes
) -> None:
    engine.recognize([Decode(other, stream="changed", final=False)])
    assert engine.recognize([Decode(long, stream="changed", word_timestamps=True)])[0] == whole
    engine.recognize([Decode(long, stream="shorter", final=False)])
    short = long[: 21 * SECOND // 10]
    assert engine.recognize([Decode(short, stream="shorter")])[0] == engine.recognize([Decode(short)])[0]


def test_one_callers_noise_does_not_change_anothers_words(
    engine: PocketSphinx, long: bytes, whole: Hypothesis
) -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, 20000) * np.repeat(np.arange(20) % 2, 1000)
    engine.recognize([Decode(noise.astype("<i2").tobytes())])
    assert engine.recognize([Decode(long, word_timestamps=True)])[0] == whole


def test_words_have_times_and_no_marks(engine: PocketSphinx, long: bytes, whole: Hypothesis) -> None:
    assert whole.text == " ".join(word.text for word in whole.words)
    assert not set("<>[]()+").intersection(whole.text)
    assert all(word.start < word.end and 0 <= word.probability <= 1 for word in whole.words)
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(whole.words))
    assert whole.words[-1].end <= len(long) / SECOND + 0.05
    assert engine.recognize([Decode(long)])[0].words == ()


def test_no_text_for_no_speech(engine: PocketSphinx) -> None:
    times = np.arange(3 * 16000) / 16000
    for tone in (0 * times, np.sin(2 * np.pi * 50 * times), np.random.default_rng(0).standard_normal(len(times)) / 50):
        pcm = (tone * 8000).astype("<i2").tobytes()
        assert engine.recognize([Decode(pcm, stream="hum", final=False), Decode(pcm, stream="hum")])[1].text == ""


@pytest.mark.parametrize("odd", [b"", b"\0", b"\x01\x02\x03", b"\x00\x40" * 300, b"\x00\x40\x00\xc0" * 300])
def test_scraps_of_audio_do_no_harm(engine: PocketSphinx, odd: bytes) -> None:
    assert isinstance(engine.recognize([Decode(odd, stream="odd")])[0].text, str)
    assert engine.recognize([]) == []


@pytest.mark.parametrize("streams", [0, "two"])
def test_wrong_options_are_named(streams: object) -> None:
    with pytest.raises(VoiceError) as caught:
        factory({"streams": streams})
    assert caught.value.code is Code.BAD_REQUEST
    assert caught.value.facts["field"] == "streams"
