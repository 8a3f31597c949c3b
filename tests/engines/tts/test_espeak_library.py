"""The binding: what the library says of itself, and how it is stopped."""

import pytest

from engines.tts.espeak_library import EspeakLibrary, Parameter


@pytest.fixture(scope="module")
def library() -> EspeakLibrary:
    return EspeakLibrary()


def test_it_speaks_at_22050_hz(library: EspeakLibrary) -> None:
    assert library.rate == 22050
    assert library.version().split(".")[0] == "1"


def test_a_language_is_chosen_by_its_identifier(library: EspeakLibrary) -> None:
    """By the tag "fr-fr" or "en-gb" the library finds nothing."""
    for language in library.languages():
        assert library.choose(language.identifier), language
    tags = {language.tag for language in library.languages()}
    assert {"vi", "vi-vn-x-central", "vi-vn-x-south", "en-us", "en-gb", "fr-fr", "cmn"} <= tags
    assert all(tag == tag.lower() for tag in tags)


def test_what_does_not_exist_is_not_chosen(library: EspeakLibrary) -> None:
    assert not library.choose("no-such-language")


class Heard:
    """Takes what the library gives; stops it after ``enough`` calls."""

    def __init__(self, enough: int = 1 << 30) -> None:
        self.enough = enough
        self.calls = 0
        self.bytes = 0
        self.words: list[tuple[int, int]] = []

    def __call__(self, pcm: bytes, events: list[tuple[int, int]]) -> bool:
        self.calls += 1
        self.bytes += len(pcm)
        self.words += events
        return self.calls < self.enough


def heard(library: EspeakLibrary, text: str, enough: int = 1 << 30) -> Heard:
    taken = Heard(enough)
    library.speak(text, taken)
    return taken


def test_words_come_with_their_offsets_and_samples(library: EspeakLibrary) -> None:
    assert library.choose("gmw/en-US")
    heard(library, "warm")  # after many changes of voice the first event of the next text may be missing
    taken = heard(library, "Hello there \U0001f44d world")
    offsets = [offset for offset, _ in taken.words]
    assert offsets[:2] == [0, 6]
    assert offsets[-1] == 14
    places = [sample for _, sample in taken.words]
    assert places[0] == 0
    assert places == sorted(places)
    assert places[-1] < taken.bytes // 2


def test_false_stops_at_once(library: EspeakLibrary) -> None:
    assert heard(library, "one two three four five six seven", enough=1).calls == 1


def test_an_error_in_the_callback_comes_out_and_leaves_the_library_working(library: EspeakLibrary) -> None:
    def broken(pcm: bytes, events: list[tuple[int, int]]) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        library.speak("hello", broken)
    assert heard(library, "hello").bytes > 10_000


def test_the_rate_is_words_a_minute(library: EspeakLibrary) -> None:
    assert library.choose("gmw/en-US")
    library.set(Parameter.RATE, 100)
    slow = heard(library, "one two three four").bytes
    library.set(Parameter.RATE, 250)
    assert slow > 1.5 * heard(library, "one two three four").bytes
