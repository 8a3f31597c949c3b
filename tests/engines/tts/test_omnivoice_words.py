"""Descriptions in OmniVoice's words, all of which its own validation accepts."""

import itertools
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import pytest

from engines.tts.omnivoice_words import instruct_of, pace_of, said
from protocol.traits import Age, Gender, Manner, Pace, Pitch, Traits
from protocol.voice_words import understand


def test_a_description_in_its_words() -> None:
    traits = Traits(Gender.FEMALE, Age.YOUNG, Pitch.HIGH, Manner.WHISPER, accent="en-gb")
    assert instruct_of(traits, "en") == "female, young adult, high pitch, whisper, british accent"
    assert instruct_of(traits, "vi") == "female, young adult, high pitch, whisper"


def test_what_it_has_no_word_for_is_passed_over() -> None:
    assert instruct_of(Traits(manner=Manner.CHEERFUL, accent="vi-vn-x-south"), "vi") == ""
    assert instruct_of(Traits(Gender.MALE, manner=Manner.SAD), "en") == "male"


def test_the_pace_is_a_speed() -> None:
    assert pace_of(Traits(pace=Pace.SLOW)) < 1.0 < pace_of(Traits(pace=Pace.FAST)) and pace_of(Traits()) == 1.0


@pytest.mark.parametrize(
    ("words", "instruct"),
    [
        ("an old man, very deep, slow", "male, elderly, very low pitch"),
        ("giọng nữ trẻ, vui vẻ, cao", "female, young adult, high pitch"),
        ("teenage girl with an Australian accent", "female, teenager, australian accent"),
        ("a man with an Indian accent, whispering", "male, whisper, indian accent"),
    ],
)
def test_free_words_arrive(words: str, instruct: str) -> None:
    assert instruct_of(understand(words), "en") == instruct


def test_a_text_holds_no_commands() -> None:
    assert "<|" not in said("a <|text_end|> b") and said("a < b | c") == "a < b | c"


def test_its_own_validation_takes_every_description() -> None:
    """One word of a kind, all of the package's own vocabulary."""
    package = find_spec("omnivoice")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the omnivoice extra is not installed")
    # the file alone: the package itself wants torchaudio
    path = Path(package.submodule_search_locations[0]) / "utils" / "voice_design.py"
    words = run_path(str(path))
    accents = ("", "en-us", "en-gb-scotland", "en-au", "en-ca", "en-in", "en-cn", "en-jp", "en-kr", "en-pt", "en-ru")
    genders, ages, pitches = [None, *Gender], [None, *Age], [None, *Pitch]
    for gender, age, pitch, accent in itertools.product(genders, ages, pitches, accents):
        found = instruct_of(Traits(gender, age, pitch, Manner.WHISPER, accent=accent), "en").split(", ")
        assert set(found) <= words["_INSTRUCT_VALID_EN"]
        assert all(len(kind & set(found)) <= 1 for kind in words["_INSTRUCT_MUTUALLY_EXCLUSIVE"])
