"""What pydantic finds wrong, said in our words: the field, and what is allowed."""

import unicodedata
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from protocol.checking import Plain, Speakable, check, read_form
from protocol.errors import Code, VoiceError


class Inner(BaseModel):
    name: str = Field(max_length=3, min_length=2)


class Form(BaseModel):
    text: Speakable = "x"
    note: Plain = ""
    count: int = Field(5, ge=1, le=9)
    share: float = Field(0.5, ge=0, le=1, allow_inf_nan=False)
    low: int = Field(5, ge=1)
    perhaps: int | None = Field(None, ge=1, le=3)
    color: Literal["", "red", "blue"] = ""
    rows: list[Inner] = Field([], max_length=2, min_length=1)
    inner: Inner | None = None
    sure: bool = False
    table: dict[str, int] = {}


def complaint(values: object) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        check(Form, values)
    assert caught.value.code is Code.BAD_REQUEST
    return caught.value


@pytest.mark.parametrize(
    ("values", "message", "allowed"),
    [
        ({"text": 5}, "text must be text.", None),
        ({"text": " \n"}, "text must be text that is not empty.", None),
        ({"text": "\ud83d"}, "text must be valid Unicode text.", None),
        ({"note": "\ud83d"}, "note must be valid Unicode text.", None),
        ({"note": "a\0b"}, "note must be valid Unicode text.", None),
        ({"count": "many"}, "count must be a whole number from 1 to 9.", [1, 9]),
        ({"count": 0}, "count must be a number from 1 to 9.", [1, 9]),
        ({"count": "10" * 3000}, "count must be a whole number from 1 to 9.", [1, 9]),
        ({"count": 1.5}, "count must be a whole number from 1 to 9.", [1, 9]),
        ({"share": "nan"}, "share must be a number from 0 to 1.", [0, 1]),
        ({"share": "inf"}, "share must be a number from 0 to 1.", [0, 1]),
        ({"share": None}, "share must be a number from 0 to 1.", [0, 1]),
        ({"low": 0}, "low must be a number.", None),
        ({"perhaps": 4}, "perhaps must be a number from 1 to 3.", [1, 3]),
        ({"color": "green"}, "color must be one of red, blue.", ["red", "blue"]),
        ({"rows": 5}, "rows must be a list.", None),
        ({"rows": []}, "rows must be a list of at least 1.", None),
        ({"rows": [{"name": "ab"}] * 3}, "rows must be a list of at most 2.", 2),
        ({"rows": [{}]}, "rows[0].name is required.", None),
        ({"rows": [{"name": "abcd"}]}, "rows[0].name must be text of at most 3 characters.", 3),
        ({"rows": [{"name": "a"}]}, "rows[0].name must be text of at least 2 characters.", None),
        ({"inner": []}, "inner must be an object.", None),
        ({"sure": []}, "sure must be true or false.", None),
        ({"table": 3}, "table must be an object.", None),
        (5, "The request must be an object.", None),
    ],
)
def test_a_complaint_names_the_field_and_what_is_allowed(values: object, message: str, allowed: object) -> None:
    error = complaint(values)
    assert error.message == message
    assert error.facts.get("allowed") == allowed


def test_what_no_word_was_found_for_is_still_said() -> None:
    error = complaint({"sure": "perhaps"})
    assert error.facts["field"] == "sure" and error.message.startswith("sure must be ")


def test_an_empty_field_of_a_form_was_not_filled_in() -> None:
    assert read_form(Form, {"count": "", "color": " ", "share": "0.25"}) == check(Form, {"share": 0.25})


def test_text_is_composed_and_trimmed() -> None:
    """The same words count the same however they were typed."""
    typed = unicodedata.normalize("NFD", "Chào mừng")
    assert len(typed) > 9
    assert check(Form, {"text": f"  {typed}\n"}).text == "Chào mừng"
