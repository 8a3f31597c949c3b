"""Designed voices, measured: gender, age, pitch, manner and pace can each be heard."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from engines.tts.characters import CHARACTERS
from engines.tts.design import accented, designed
from engines.tts.espeak import Espeak, factory
from engines.tts.hearing import Heard, hear
from protocol.requests import Speak
from protocol.traits import Age, Gender, Manner, Pace, Pitch, Traits
from tests.engines.sound import loudness, samples

RATE = 22050
ENGLISH = "The quick brown fox jumps over the lazy dog near the river bank. What a wonderful day it is, my friends!"
VIETNAMESE = "Xin chào, hôm nay trời đẹp quá, chúng ta đi dạo nhé! Tôi rất vui được gặp các bạn ở đây."
LANGUAGES = {"en-us": ENGLISH, "vi": VIETNAMESE}
PLAIN = Traits(Gender.FEMALE)


@pytest.fixture(scope="module")
def engine() -> Iterator[Espeak]:
    with closing(factory({})) as engine:
        yield engine


def spoken(engine: Espeak, traits: Traits, language: str = "en-us", who: str = "female-1", speed: float = 1.0) -> bytes:
    request = Speak(LANGUAGES[language], f"{language}/{who}", speed, design=traits)
    return b"".join(chunk.pcm for chunk in engine.speak(request))


def heard(engine: Espeak, traits: Traits, language: str = "en-us") -> Heard:
    found = hear(spoken(engine, traits, language), RATE)
    assert found is not None
    return found


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / RATE


def test_it_says_that_it_takes_designs(engine: Espeak) -> None:
    assert engine.describe().designs


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_man_is_lower_than_a_woman_and_a_woman_lower_than_a_child(engine: Espeak, language: str) -> None:
    man, woman = (heard(engine, Traits(gender), language).pitch for gender in Gender)
    boy, girl = (heard(engine, Traits(gender, Age.CHILD), language).pitch for gender in Gender)
    assert 1.3 * man < woman
    assert woman * 1.15 < min(boy, girl)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("gender", Gender)
@pytest.mark.parametrize("age", [None, *Age])
def test_pitch_words_are_in_their_order(engine: Espeak, language: str, gender: Gender, age: Age | None) -> None:
    pitches = [heard(engine, Traits(gender, age, pitch), language).pitch for pitch in Pitch]
    assert pitches == sorted(pitches)
    low, high = pitches[1], pitches[3]
    assert high > 1.15 * low, pitches


def test_age_is_heard_in_pitch_and_pace(engine: Espeak) -> None:
    """The young are higher than the middle-aged, the old are slower than both."""
    for gender in Gender:
        young, middle = (heard(engine, Traits(gender, age)).pitch for age in (Age.YOUNG, Age.MIDDLE))
        assert young > 1.08 * middle
        old = seconds(spoken(engine, Traits(gender, Age.ELDERLY)))
        assert old > 1.1 * seconds(spoken(engine, Traits(gender, Age.MIDDLE)))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("gender", Gender)
def test_the_cheerful_are_livelier_and_higher_and_faster_than_the_sad(
    engine: Espeak, language: str, gender: Gender
) -> None:
    cheerful, sad = (heard(engine, Traits(gender, manner=manner), language) for manner in (Manner.CHEERFUL, Manner.SAD))
    assert cheerful.spread > 1.4 * sad.spread
    assert cheerful.pitch > 1.05 * sad.pitch
    fast, slow = (
        seconds(spoken(engine, Traits(gender, manner=one), language)) for one in (Manner.CHEERFUL, Manner.SAD)
    )
    assert slow > 1.15 * fast


def test_a_whisper_has_no_voice_in_it(engine: Espeak) -> None:
    """The share of loud moments that repeat themselves 65 to 400 times a second, as a voice does."""

    def voiced(traits: Traits) -> float:
        sound = samples(spoken(engine, traits)).astype(np.float32)[: 3 * RATE]
        moments = np.lib.stride_tricks.sliding_window_view(sound, 2048)[::512] * np.hanning(2048).astype(np.float32)
        alike = np.fft.irfft(np.abs(np.fft.rfft(moments, 4096)) ** 2)
        loud = alike[:, 0] > 0.05 * alike[:, 0].max()
        return float(np.mean(alike[loud, RATE // 400 : RATE // 65].max(axis=1) > 0.6 * alike[loud, 0]))

    for gender in Gender:
        assert voiced(Traits(gender, manner=Manner.WHISPER)) < 0.25 * voiced(Traits(gender))


@pytest.mark.parametrize("manner", Manner)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("gender", Gender)
def test_every_manner_is_about_as_loud_and_never_clips(
    engine: Espeak, manner: Manner, language: str, gender: Gender
) -> None:
    plain, sound = spoken(engine, Traits(gender), language), spoken(engine, Traits(gender, manner=manner), language)
    assert abs(20 * np.log10(loudness(sound) / loudness(plain))) < 4.0
    assert (np.abs(samples(sound)) > 0.998).mean() < 0.0005


def test_the_angry_and_the_gentle_differ_in_loudness(engine: Espeak) -> None:
    angry, gentle = (loudness(spoken(engine, Traits(Gender.MALE, manner=one))) for one in (Manner.ANGRY, Manner.GENTLE))
    assert angry > 1.2 * gentle


@pytest.mark.parametrize("speed", [0.1, 0.6, 1.4, 1.9])
def test_speed_changes_the_duration_of_a_design_too(engine: Espeak, speed: float) -> None:
    traits = Traits(Gender.FEMALE, Age.YOUNG, manner=Manner.CHEERFUL)
    ratio = seconds(spoken(engine, traits)) / seconds(spoken(engine, traits, speed=speed))
    assert ratio == pytest.approx(speed, rel=0.13)


def test_paces_differ(engine: Espeak) -> None:
    slow, plain, fast = (seconds(spoken(engine, Traits(pace=pace))) for pace in (Pace.SLOW, None, Pace.FAST))
    assert slow > 1.15 * plain > 1.3 * fast


def test_what_is_left_open_is_as_of_the_voice(engine: Espeak) -> None:
    assert designed(Traits(), CHARACTERS["male-3"]) == CHARACTERS["male-3"]
    assert designed(Traits(age=Age.CHILD), CHARACTERS["male-3"]).gender == "male"
    low = hear(spoken(engine, Traits(), who="male-1"), RATE)
    assert low is not None
    assert low.pitch < 130


def test_an_accent_chooses_the_language_file_of_the_same_language(engine: Espeak) -> None:
    tags = {"en-us", "en-gb", "vi", "vi-vn-x-south"}
    assert accented(Traits(accent="en-gb"), "en-us", tags) == "en-gb"
    assert accented(Traits(accent="vi-vn-x-south"), "vi", tags) == "vi-vn-x-south"
    assert accented(Traits(accent="en-gb"), "vi", tags) == "vi"
    assert accented(Traits(accent="en-gb-scotland"), "en-us", tags) == "en-us"
    assert accented(Traits(), "vi", tags) == "vi"
    north, south = (spoken(engine, Traits(accent=accent), "vi") for accent in ("", "vi-vn-x-south"))
    assert abs(seconds(north) - seconds(south)) > 0.01
