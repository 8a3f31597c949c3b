"""protocol.fields: JSON from strangers."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest

from protocol import fields
from protocol.errors import Code, VoiceError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def refusal(call: Callable[[], Any]) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    "line",
    ["", "x", "[1]", "1", "null", '"a"', "{", '{"a":NaN}', '{"a":Infinity}', "[" * 60_000, '{"a":' * 9_999, "1" * 5000],
    ids=lambda line: line[:10],
)
def test_what_is_no_object_is_refused(line: str) -> None:
    error = refusal(lambda: fields.parse_object(line))
    assert error.code in (Code.BAD_REQUEST, Code.TOO_LARGE)


def test_nesting_and_size_have_limits() -> None:
    deep = '{"a":' * 31 + "[]" + "}" * 31
    assert fields.parse_object(deep)
    assert refusal(lambda: fields.parse_object('{"a":' + deep + "}")).facts["allowed"] == fields.MAX_DEPTH
    fitting = '{"a":"' + "x" * (fields.MAX_TEXT - 8) + '"}'
    assert len(fitting) == fields.MAX_TEXT and fields.parse_object(fitting)
    assert refusal(lambda: fields.parse_object(fitting + " ")).code is Code.TOO_LARGE


def test_numbers() -> None:
    whole, real = fields.number(1, 10, whole=True), fields.number(0, 1, prefix="vad.")
    assert whole({"n": 3}, "n") == 3 and whole({"n": 3.0}, "n") == 3 and isinstance(whole({"n": 3.0}, "n"), int)
    assert real({"n": 1}, "n") == 1.0
    for value in (True, "3", 3.5, 0, 11, float("inf"), float("nan"), [3], 10**400):
        error = refusal(lambda value=value: whole({"n": value}, "n"))  # type: ignore[misc]
        assert error.message == "n must be a whole number from 1 to 10." and error.facts["allowed"] == [1, 10]
    assert refusal(lambda: real({"n": 2}, "n")).facts["field"] == "vad.n"


def test_strings_and_lists() -> None:
    assert fields.text(3)({"t": "ấấấ"}, "t") == "ấấấ"
    for value in ("1234", 5, ["a"], "\ud800"):
        assert refusal(lambda value=value: fields.text(3)({"t": value}, "t")).facts["field"] == "t"  # type: ignore[misc]
    assert fields.texts(2, 3)({"t": ["a", "b"]}, "t") == ("a", "b")
    for wrong in ("ab", ["a", "b", "c"], {"a": 1}):
        assert refusal(lambda wrong=wrong: fields.texts(2, 3)({"t": wrong}, "t")).facts["field"] == "t"  # type: ignore[misc]
    assert refusal(lambda: fields.texts(2, 3)({"t": ["a", 7]}, "t")).facts["field"] == "t[1]"


def test_choices_patterns_and_booleans() -> None:
    assert fields.choice(*Colour)({"c": "red"}, "c") is Colour.RED
    colours: list[object] = ["green", 1, ["red"], {}]
    for value in colours:
        error = refusal(lambda value=value: fields.choice(*Colour)({"c": value}, "c"))  # type: ignore[misc]
        assert error.facts["allowed"] == ["red", "blue"]
    assert fields.matching("[a-z]+", "letters")({"m": "abc"}, "m") == "abc"
    for other in ("abc\n", "ABC", 1, None):
        assert refusal(lambda value=other: fields.matching("[a-z]+", "letters")({"m": value}, "m"))  # type: ignore[misc]
    assert fields.boolean({"b": True}, "b") is True
    for answer in (1, 0, "true"):
        assert refusal(lambda value=answer: fields.boolean({"b": value}, "b")).facts["field"] == "b"  # type: ignore[misc]


def test_unknown_keys_and_nulls_are_not_given() -> None:
    assert fields.read_fields({"b": None, "x": 1}, {"b": fields.boolean}) == {}


def test_json_out_is_always_utf_8() -> None:
    assert fields.to_json({"a": "Việt"}) == '{"a":"Việt"}'
    assert fields.to_json({"a": "\ud800"}).encode() == b'{"a":"?"}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        fields.to_json({"a": float("nan")})
