"""Descriptions of a voice are understood in English and Vietnamese; what nobody knows is passed over."""

import pytest

from protocol.traits import Age, Gender, Manner, Pace, Pitch, Traits
from protocol.voice_words import in_words, traits_of, understand
from protocol.work import VoiceDesign


@pytest.mark.parametrize(
    ("words", "traits"),
    [
        ("male, young adult", Traits(Gender.MALE, Age.YOUNG)),
        ("female, low pitch, british accent", Traits(Gender.FEMALE, None, Pitch.LOW, accent="en-gb")),
        ("A cheerful little girl", Traits(Gender.FEMALE, Age.CHILD, None, Manner.CHEERFUL)),
        ("OLD MAN with a very deep voice, slow", Traits(Gender.MALE, Age.ELDERLY, Pitch.VERY_LOW, pace=Pace.SLOW)),
        ("middle-aged woman, high-pitched, angry", Traits(Gender.FEMALE, Age.MIDDLE, Pitch.HIGH, Manner.ANGRY)),
        ("whisper", Traits(manner=Manner.WHISPER)),
        ("giọng nữ trẻ, vui vẻ, cao", Traits(Gender.FEMALE, Age.YOUNG, Pitch.HIGH, Manner.CHEERFUL)),
        ("Giọng nam trung niên, trầm ấm", Traits(Gender.MALE, Age.MIDDLE, Pitch.LOW)),
        ("ông lão buồn bã nói chậm", Traits(Gender.MALE, Age.ELDERLY, None, Manner.SAD, Pace.SLOW)),
        ("bé gái thì thầm", Traits(Gender.FEMALE, Age.CHILD, None, Manner.WHISPER)),
        ("nữ, giọng miền Nam", Traits(Gender.FEMALE, accent="vi-vn-x-south")),
        ("giọng Việt Nam", Traits()),
        ("người cao tuổi", Traits(age=Age.ELDERLY)),
        ("female but not female", Traits(Gender.FEMALE)),
        ("male, female", Traits(Gender.MALE)),
        ("", Traits()),
        ("purple, xylophone, 12345, \U0001f44d", Traits()),
        ("human chairman mandarin", Traits()),
    ],
)  # fmt: skip
def test_words_and_what_they_mean(words: str, traits: Traits) -> None:
    assert understand(words) == traits


def test_vietnamese_is_read_however_it_is_composed() -> None:
    import unicodedata

    assert understand(unicodedata.normalize("NFD", "Nữ, giận dữ")) == Traits(Gender.FEMALE, manner=Manner.ANGRY)


def test_every_word_of_the_documents_is_understood() -> None:
    """A14's enumerations, each by its own word."""
    for gender in ("male", "female"):
        assert understand(gender).gender == gender
    for age in ("child", "young adult", "middle-aged", "elderly"):
        assert understand(age).age == age
    for pitch in ("low pitch", "moderate pitch", "high pitch"):
        assert understand(pitch).pitch == pitch
    for manner in Manner:
        assert understand(manner.value).manner is manner


def test_instruct_stands_in_place_of_the_rest() -> None:
    design = VoiceDesign(gender="male", age="elderly", pitch="low pitch", style="sad", instruct="female, child")
    assert traits_of(design) == Traits(Gender.FEMALE, Age.CHILD)
    assert traits_of(design.model_copy(update={"instruct": " "})) == Traits(
        Gender.MALE, Age.ELDERLY, Pitch.LOW, Manner.SAD
    )


def test_a_style_nobody_knows_is_no_style() -> None:
    assert traits_of(VoiceDesign(gender="female", style="baroque")) == Traits(Gender.FEMALE)


def test_traits_in_words_are_understood_again() -> None:
    for traits in (Traits(Gender.MALE, Age.ELDERLY, Pitch.VERY_HIGH, Manner.FEARFUL, Pace.FAST), Traits()):
        assert understand(in_words(traits)) == traits
    assert in_words(Traits(Gender.MALE, Age.YOUNG)) == "male, young adult"
