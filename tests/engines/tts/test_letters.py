"""Text to a model's symbols: nothing in a text is an error, and every symbol knows where it comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.tts.letters import BLANK, Alphabet, Symbols
from tests.checkpoints.nano_vits.make_nano_vits import ENGLISH, VIETNAMESE


def alphabet(letters: str, language: str, **options: object) -> Alphabet:
    vocabulary = {letter: number for number, letter in enumerate(["_", *letters, "<unk>"])}
    return Alphabet(vocabulary, language, **options)  # type: ignore[arg-type]


def spelled(symbols: Symbols, letters: str) -> str:
    return "".join(letters[number - 1] for number in symbols.ids if number != BLANK)


def read(text: str, letters: str = ENGLISH, language: str = "en") -> str:
    return spelled(alphabet(letters, language).read(text), letters)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello, World!", "hello world"),
        ("  A\tb\n\nc  ", "a b c"),
        ("Don’t", "don't"),
        ("naïve café", "naive cafe"),
        ("Straße, Łódź", "strasse lodz"),
        ("ﬁne ⅷ ＡＢ", "fine viii ab"),
        ("50% of 3.5", "fifty percent of three point five"),
        ("R&D", "r and d"),
        ("one/two", "one two"),
        ("well-known — yes", "well-known - yes"),
        ("你好 ok", "ok"),
    ],
)
def test_it_is_written_as_the_model_reads(text: str, spoken: str) -> None:
    assert read(text) == spoken


def test_vietnamese_keeps_its_tones_however_it_was_typed() -> None:
    assert read("Xin chào, 21 bạn", VIETNAMESE, "vi") == "xin chào hai mươi mốt bạn"
    assert read("Tiếng", VIETNAMESE, "vi") == "tiếng"


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "你好", "- -", "'"])
def test_where_there_is_nothing_to_say_there_are_no_symbols(text: str) -> None:
    assert alphabet(ENGLISH, "en").read(text) == Symbols((), ())


def test_blanks_stand_between_and_around() -> None:
    assert alphabet(ENGLISH, "en").read("ab").ids == (0, 1, 0, 2, 0)
    assert alphabet(ENGLISH, "en", blanks=False).read("ab").ids == (1, 2)


def test_places_point_into_the_text() -> None:
    found = alphabet(ENGLISH, "en", blanks=False).read("a 7 b")
    assert found.places == (0, -1, 2, 2, 2, 2, 2, -1, 4)


def test_other_scripts_are_romanized_where_the_model_wants_it() -> None:
    romanize = {"привет": "privet", "мир": "mir"}.__getitem__
    found = alphabet(ENGLISH, "ru", blanks=False, romanize=romanize).read("привет, ok мир")
    assert spelled(found, ENGLISH) == "privet ok mir"
    assert found.places[:6] == (0,) * 6 and found.places[-1] == 11


def test_digits_without_words_are_read_if_the_model_knows_them() -> None:
    assert read("a1", ENGLISH + "1", "xx") == "a1"
    assert read("a 2", ENGLISH + "1", "xx") == "a"


@given(st.text(max_size=40))
def test_no_text_is_an_error(text: str) -> None:
    found = alphabet(ENGLISH, "en").read(text)
    assert len(found.ids) == len(found.places)
    places = [place for place in found.places if place >= 0]
    assert places == sorted(places) and all(place < len(text) for place in places)
