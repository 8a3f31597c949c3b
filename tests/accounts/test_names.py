"""What people type, as it is kept."""

import pytest

from accounts.names import clean_email, clean_name, possible_id
from protocol.errors import Code, VoiceError


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ann  ", "Ann"),
        ("a\x00b\nc\x1b[31m\ud800", "abc[31m"),
        ("\u202eevil\u200b", "evil"),
        ("Ngo\u0323c", "Ngọc"),
        ("<script>", "<script>"),
        ("x" * 200, "x" * 100),
        ("", ""),
    ],
)
def test_a_name_is_one_visible_line(typed: str, kept: str) -> None:
    assert clean_name(typed) == kept


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ann@Example.COM ", "ann@example.com"),
        ("owner@localhost", "owner@localhost"),
        ("ngọc@vbee.vn", "ngọc@vbee.vn"),
    ],
)
def test_an_address_is_lower_case(typed: str, kept: str) -> None:
    assert clean_email(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", "ann", "@", "a@", "@b", "a b@c", "a@b@c", "a@b,c@d", "a\x00@b", "a@b\ud800", "<a@b>", "x" * 65 + "@b"]
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(VoiceError) as caught:
        clean_email(typed)
    assert caught.value.code is Code.BAD_REQUEST and caught.value.facts["field"] == "email"


def test_ids_are_positive_and_fit_a_column() -> None:
    assert [possible_id(number) for number in (1, 2**31 - 1, 0, -1, 2**31, 10**40)] == [True, True] + [False] * 4
