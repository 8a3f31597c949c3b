"""What can be asked of a text, within which bounds."""

import pytest

from protocol.errors import Code, VoiceError
from protocol.texts import TEXT_CHARACTERS, TEXTS, TEXTS_CHARACTERS, Embedded, language_of, text_of, texts_of


@pytest.mark.parametrize("code", ["en", "pt-BR", "zh_Hant", "eng_Latn", "arz", "sr-Latn-RS", " vi ", "es-419"])
def test_language_codes_are_taken_as_sent(code: str) -> None:
    """C13: whether an engine knows it, is the engine's word."""
    assert language_of(code) == code.strip()


@pytest.mark.parametrize("code", ["", "english", "e", "<2es>", "es;", "日本語", "en-", "a" * 99, "en US", "xx\n"])
def test_what_cannot_be_a_language_code_is_refused(code: str) -> None:
    if code == "xx\n":
        assert language_of(code) == "xx"
        return
    with pytest.raises(VoiceError) as refused:
        language_of(code, "source")
    assert refused.value.code is Code.BAD_REQUEST and refused.value.facts["field"] == "source"


def test_a_text_is_trimmed_and_bounded() -> None:
    assert text_of("  a\0b ") == "ab" and len(text_of("x" * TEXT_CHARACTERS)) == TEXT_CHARACTERS
    for wrong in ("", " \n", "\0", "\ud800", "x" * (TEXT_CHARACTERS + 1)):
        code = Code.TEXT_TOO_LONG if len(wrong) > TEXT_CHARACTERS else Code.BAD_REQUEST
        with pytest.raises(VoiceError) as refused:
            text_of(wrong, "question")
        assert refused.value.code is code and refused.value.facts["field"] == "question"
        assert refused.value.message.startswith("question must be ")


def test_several_texts_are_bounded_one_by_one_and_together() -> None:
    assert texts_of([" a", "b"]) == ("a", "b")
    half = "x" * (TEXTS_CHARACTERS // 3)
    wrongs: tuple[tuple[list[str], str], ...]
    wrongs = (([], "texts"), (["x"] * (TEXTS + 1), "texts"), (["x", " "], "texts[1]"), ([half] * 4, "texts"))
    for wrong, field in wrongs:
        with pytest.raises(VoiceError) as refused:
            texts_of(wrong)
        assert refused.value.facts["field"] == field


def test_vectors_know_their_size() -> None:
    assert Embedded([[0.6, 0.8]], "m").dimensions == 2 and Embedded([], "m").dimensions == 0
