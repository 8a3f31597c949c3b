"""What an engine gets for a text, and that its places lead back."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.spoken_form import spoken_form


def test_white_space_around_it_goes_and_is_counted() -> None:
    form = spoken_form("  \n Hello there ")
    assert form.text == "Hello there"
    assert form.place(0) == 4 and form.place(6) == 10


@pytest.mark.parametrize("text", ["", "   ", "...", "—", " “” ", "\u0301", "_"])
def test_nothing_to_say(text: str) -> None:
    assert spoken_form(text).text == ""


@pytest.mark.parametrize("text", ["a", "5", "好", "👍", "€", "½", "+"])
def test_something_to_say(text: str) -> None:
    assert spoken_form(text).text == text


def test_composed_characters_lead_back_to_what_was_sent() -> None:
    """Vietnamese typed with combining marks: engines get NFC, offsets stay those of the client's text."""
    sent = " " + unicodedata.normalize("NFD", "tiếng Việt")
    form = spoken_form(sent)
    assert form.text == "tiếng Việt"
    assert sent[form.place(6) :] == unicodedata.normalize("NFD", "Việt")
    assert form.place(len(form.text)) == len(sent)
    assert form.place(len(form.text) + 3) == len(sent)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("aeiouAEdDn \u0301\u0300\u0302\u031b\u0323\u1100\u1161\u11a8한ế好"), max_size=30))
def test_composed_is_nfc_and_places_rise(text: str) -> None:
    form = spoken_form(text)
    if form.text:
        assert form.text == unicodedata.normalize("NFC", text.strip())
        places = [form.place(index) for index in range(len(form.text) + 1)]
        assert places == sorted(places) and places[-1] == len(text.rstrip())
