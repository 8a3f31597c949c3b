"""espeak-ng itself: what is heard is measured, since its output is not the same to the byte from call to call."""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import Task
from engines.tts.characters import CHARACTERS
from engines.tts.espeak import MAX_TEXT, Espeak, factory
from engines.tts.espeak_library import EspeakLibrary
from engines.tts.words import written_words
from protocol.errors import Code, VoiceError
from protocol.requests import Speak, SpeechChunk
from tests.engines.sound import fundamental, loudness, samples

RATE = 22050
ENGLISH = "The quick brown fox jumps over the lazy dog near the river bank."
VIETNAMESE = "Xin chào, hôm nay trời đẹp quá, chúng ta đi dạo nhé!"


@pytest.fixture(scope="module")
def engine() -> Iterator[Espeak]:
    with closing(factory({})) as engine:
        yield engine


def spoken(engine: Espeak, text: str, voice: str = "en-us/male-1", speed: float = 1.0, pitch: float = 0.0) -> bytes:
    return b"".join(chunk.pcm for chunk in engine.speak(Speak(text, voice, speed, pitch)))


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / RATE


def captions(chunks: list[SpeechChunk]) -> list[tuple[int, int, float]]:
    return [(word.offset, word.length, word.start) for chunk in chunks for word in chunk.words]


def test_it_says_what_it_can(engine: Espeak) -> None:
    said = engine.describe()
    assert (said.engine, said.task, said.rate, said.word_timestamps) == ("espeak-ng", Task.SYNTHESIZE, RATE, True)
    assert said.model.startswith("espeak-ng 1.5")
    assert {"en", "vi", "zh", "ja", "ko", "fr", "de", "es", "ru", "ar", "hi", "no"} <= set(said.languages)
    assert len(said.languages) == len(set(said.languages)) > 100
    ids = {voice.id: voice for voice in said.voices}
    assert ids["vi-vn-x-south/female-1"].language == "vi"
    assert ids["cmn/male-1"].gender == "male"
    assert "fo" not in said.languages, "its dictionary is not in the wheel"


def test_every_voice_it_lists_speaks(engine: Espeak) -> None:
    for voice in engine.describe().voices:
        if voice.gender == "male":
            assert seconds(spoken(engine, "1 2 3 one a", voice.id)) > 0.3, voice.id


@pytest.mark.parametrize("language", ["vi", "vi-vn-x-central", "vi-vn-x-south", "en-gb", "fr-fr", "cmn", "ja", "ar"])
def test_all_characters_speak_every_language_at_about_the_same_loudness(engine: Espeak, language: str) -> None:
    text = {"cmn": "你好世界,今天天气很好", "ar": "مرحبا كيف حالك اليوم"}.get(language, VIETNAMESE)
    levels = {name: loudness(spoken(engine, text, f"{language}/{name}")) for name in CHARACTERS}
    assert min(levels.values()) > 0.04, levels
    assert max(levels.values()) < 3 * min(levels.values()), levels


@pytest.mark.parametrize("name", list(CHARACTERS))
def test_no_character_clips(engine: Espeak, name: str) -> None:
    for text, language in ((ENGLISH, "en-us"), (VIETNAMESE, "vi")):
        full = np.abs(samples(spoken(engine, text, f"{language}/{name}"))) > 0.998
        assert full.mean() < 0.0005


def test_men_women_and_children_differ_in_pitch(engine: Espeak) -> None:
    pitch = {name: fundamental(spoken(engine, ENGLISH, f"en-us/{name}"), RATE) for name in CHARACTERS}
    men = [pitch[f"male-{number}"] for number in range(1, 5)]
    women = [pitch[f"female-{number}"] for number in range(1, 5)]
    assert all(70 < value < 140 for value in men), pitch
    assert all(160 < value < 260 for value in women), pitch
    assert pitch["girl"] > 260
    assert pitch["boy"] > 230
    assert pitch["elderly-male"] < 140 < pitch["elderly-female"] < pitch["girl"]


def test_old_people_take_their_time(engine: Espeak) -> None:
    young, old = (seconds(spoken(engine, ENGLISH, f"en-us/{name}")) for name in ("female-1", "elderly-female"))
    assert old > 1.1 * young


@pytest.mark.parametrize("speed", [0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 1.9, 2.5, 4.0])
def test_duration_follows_speed(engine: Espeak, speed: float) -> None:
    """E7 and B8 ask for 0.1 to 1.9; the library alone goes from 0.5 to 2.3."""
    for voice, text in (("en-us/male-1", ENGLISH), ("vi/female-1", VIETNAMESE)):
        ratio = seconds(spoken(engine, text, voice)) / seconds(spoken(engine, text, voice, speed))
        assert ratio == pytest.approx(speed, rel=0.13)


@pytest.mark.parametrize("speed", [0.0, -1.0, 100.0])
def test_a_speed_out_of_range_is_kept_in_it(engine: Espeak, speed: float) -> None:
    limit = 0.1 if speed <= 0 else 4.0
    expected = seconds(spoken(engine, ENGLISH, speed=limit))
    assert seconds(spoken(engine, ENGLISH, speed=speed)) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("semitones", [-5.0, -2.0, 3.0, 6.0])
def test_pitch_moves_by_semitones(engine: Espeak, semitones: float) -> None:
    low = fundamental(spoken(engine, ENGLISH, "en-us/female-1"), RATE)
    moved = fundamental(spoken(engine, ENGLISH, "en-us/female-1", pitch=semitones), RATE)
    assert 12 * np.log2(moved / low) == pytest.approx(semitones, abs=1.0)


def test_vietnamese_regions_sound_different(engine: Espeak) -> None:
    lengths = {
        language: seconds(spoken(engine, VIETNAMESE * 3, f"{language}/male-1"))
        for language in ("vi", "vi-vn-x-central", "vi-vn-x-south")
    }
    levels = {
        language: np.abs(np.fft.rfft(samples(spoken(engine, VIETNAMESE, f"{language}/male-1")), 1 << 18))
        for language in lengths
    }
    north, south = levels["vi"], levels["vi-vn-x-south"]
    assert np.corrcoef(north, south)[0, 1] < 0.95
    assert len({round(length, 2) for length in lengths.values()}) == 3


@pytest.mark.parametrize(
    "voice", ["", "vi", "vi/", "vi/nobody", "xx/male-1", "vi+f3/male-1", "../en/male-1", "fo/girl"]
)
def test_an_unknown_voice_is_an_error_and_not_another_voice(engine: Espeak, voice: str) -> None:
    """The library would go on with the voice it has."""
    with pytest.raises(VoiceError) as caught:
        spoken(engine, "hello", voice)
    assert caught.value.code is Code.NOT_FOUND
    assert caught.value.facts == {"field": "voice"}


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        (ENGLISH, "en-us/female-1"),
        ("I paid $42.50 to Dr. Smith at 10:30 in 1999, e.g. for the book of the year.", "en-us/male-1"),
        ("Call +1 (555) 010-0199 or see https://a.b/c?d=1 \U0001f44d done!", "en-gb/female-1"),
        ("Xin chào, đây là giọng nói 2024 của tôi. Rất vui!", "vi/female-1"),
        (unicodedata.normalize("NFD", "Xin chào, đây là giọng nói của tôi."), "vi-vn-x-south/male-1"),
        ("你好,世界。我有25个苹果", "cmn/male-1"),
        ("こんにちは、世界。", "ja/female-1"),
        ('  "Quoted"   (words)\nand lines ', "en-us/male-1"),
    ],
)
@pytest.mark.parametrize("speed", [0.3, 1.0])
def test_every_written_word_gets_one_place_in_order(engine: Espeak, text: str, voice: str, speed: float) -> None:
    chunks = list(engine.speak(Speak(text, voice, speed, words=True)))
    found = captions(chunks)
    assert [(offset, offset + length) for offset, length, _ in found] == written_words(text)
    starts = [start for _, _, start in found]
    assert starts == sorted(starts)
    assert starts[-1] < seconds(b"".join(chunk.pcm for chunk in chunks))


@pytest.mark.parametrize("speed", [0.3, 1.0, 3.0])
def test_a_chunk_carries_the_words_that_begin_in_it(engine: Espeak, speed: float) -> None:
    begin = 0
    for chunk in engine.speak(Speak(ENGLISH * 4, "en-us/female-1", speed, words=True)):
        end = begin + len(chunk.pcm) // 2
        assert all(begin <= word.start * RATE + 0.01 < end for word in chunk.words)
        begin = end


def test_words_stand_where_they_are_heard(engine: Espeak) -> None:
    """After a full stop there is a pause: the word behind it begins where sound begins again."""
    text = "Stop. Go. Run."
    chunks = list(engine.speak(Speak(text, "en-us/male-1", words=True)))
    sound = np.abs(samples(b"".join(chunk.pcm for chunk in chunks)))
    for _, _, start in captions(chunks)[1:]:
        at = int(start * RATE)
        assert sound[at - RATE // 20 : at].max() < 0.02, "silence before"
        assert sound[at : at + RATE // 5].max() > 0.05, "sound after"


def test_captions_cost_no_sound(engine: Espeak) -> None:
    plain = seconds(spoken(engine, ENGLISH))
    worded = list(engine.speak(Speak(ENGLISH, "en-us/male-1", words=True)))
    assert seconds(b"".join(chunk.pcm for chunk in worded)) == pytest.approx(plain, rel=0.01)


def test_without_words_nothing_is_reported(engine: Espeak) -> None:
    assert not any(chunk.words for chunk in engine.speak(Speak(ENGLISH, "en-us/male-1")))


def test_the_first_sound_comes_before_the_rest_is_made(engine: Espeak) -> None:
    with closing(engine.speak(Speak(ENGLISH * 20, "en-us/male-1"))) as chunks:  # type: ignore[type-var]
        first = next(chunks)
    assert seconds(first.pcm) < 0.1
    assert all(seconds(chunk.pcm) <= 1.0 for chunk in engine.speak(Speak(ENGLISH * 5, "en-us/male-1")))


def test_closing_stops_the_work_and_the_next_call_is_whole(engine: Espeak) -> None:
    threads = threading.active_count()
    for count in (0, 1, 3):
        with closing(engine.speak(Speak(ENGLISH * 60, "en-us/male-1", words=True))) as chunks:  # type: ignore[type-var]
            for _ in range(count):
                next(chunks)
        assert threading.active_count() == threads
    assert seconds(spoken(engine, ENGLISH)) == pytest.approx(3.5, rel=0.1)


@pytest.mark.parametrize("text", ["", "  ", "\n\t", "...", "?!", "\x00", "\x01\x02"])
def test_nothing_to_say_is_silence_of_no_length(engine: Espeak, text: str) -> None:
    assert list(engine.speak(Speak(text, "en-us/male-1", words=True))) == []


@pytest.mark.parametrize("text", ["%", "& ", "$", "7", "\U0001f44d", "ư", "好"])
def test_a_single_sign_that_has_a_name_is_spoken(engine: Espeak, text: str) -> None:
    assert seconds(spoken(engine, text)) > 0.2


def test_control_characters_are_not_commands(engine: Espeak) -> None:
    """\\x01 begins a command to espeak-ng ("\\x0199S" sets the speed), \\x00 would end the text."""
    plain = seconds(spoken(engine, "one two three four"))
    assert seconds(spoken(engine, "one\x01400S two\x00three four")) > plain
    assert seconds(spoken(engine, "one two three four")) == pytest.approx(plain, rel=0.05)


def test_markup_is_text(engine: Espeak) -> None:
    chunks = list(engine.speak(Speak("say <break time='9s'/> now [[h@'loU]]", "en-us/male-1", words=True)))
    assert seconds(b"".join(chunk.pcm for chunk in chunks)) < 9
    assert len(captions(chunks)) == 5


def test_a_text_too_long_is_refused(engine: Espeak) -> None:
    with pytest.raises(VoiceError) as caught:
        spoken(engine, "a" * (MAX_TEXT + 1))
    assert caught.value.code is Code.TEXT_TOO_LONG


def test_what_the_library_raises_reaches_the_caller(engine: Espeak, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: EspeakLibrary, text: str, on_sound: object) -> None:
        raise RuntimeError("espeak_Synth failed with 2")

    with monkeypatch.context() as patch:
        patch.setattr(EspeakLibrary, "speak", broken)
        with pytest.raises(RuntimeError, match="failed with 2"):
            spoken(engine, "hello")
    assert spoken(engine, "hello")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["en-us/male-1", "vi/female-1", "cmn/male-1", "ar/girl", "th/male-1"]))
def test_any_text_is_spoken_with_every_word_in_its_place(text: str, voice: str) -> None:
    engine = shared()
    chunks = list(engine.speak(Speak(text, voice, 4.0, words=True)))
    found = captions(chunks)
    if chunks:
        assert [(offset, offset + length) for offset, length, _ in found] == written_words(text)
        assert [start for _, _, start in found] == sorted(start for _, _, start in found)


def shared() -> Espeak:
    """Hypothesis wants no fixture; the library is one per process in any case."""
    return factory({})
