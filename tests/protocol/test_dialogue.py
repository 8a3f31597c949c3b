"""Scripts with speakers (A18): who says what, what is paid for, and what is no script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.dialogue import Turn, parse_dialogue
from protocol.errors import Code, VoiceError

DOCUMENT = """#MC
Xin chào các bạn, hôm nay chúng ta sẽ nói về AI.
#Guest
Cảm ơn MC, tôi rất vui được ở đây.
#MC
Vậy anh có thể giới thiệu về mình không?
"""


def test_the_document_s_example() -> None:
    turns = parse_dialogue(DOCUMENT)
    assert [turn.speaker for turn in turns] == ["MC", "Guest", "MC"]
    assert turns[1] == Turn("Guest", "Cảm ơn MC, tôi rất vui được ở đây.")
    paid = sum(len(turn.text) for turn in turns)
    assert paid == len(DOCUMENT) - sum(map(len, ("#MC\n", "#Guest\n", "#MC\n"))) - 3


@pytest.mark.parametrize(
    ("script", "turns"),
    [
        ("\n\n#A\n\n hello \n\n world \n", [Turn("A", "hello\n\nworld")]),
        ("#A\r\nhello\r\n#B\r\nhi", [Turn("A", "hello"), Turn("B", "hi")]),
        ("#A\n#B\nhi", [Turn("B", "hi")]),
        ("#A\nhi\n#B\n \n", [Turn("A", "hi")]),
        ("  # Cô   giáo :\nchào", [Turn("Cô giáo", "chào")]),
        ("##A\nhi", [Turn("A", "hi")]),
        ("＃旁白\n你好", [Turn("旁白", "你好")]),
        ("#A\nwe are #1", [Turn("A", "we are #1")]),
        ("#A\nhi\n#A\nagain", [Turn("A", "hi"), Turn("A", "again")]),
    ],
)
def test_lines_become_turns(script: str, turns: list[Turn]) -> None:
    assert list(parse_dialogue(script)) == turns


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("Hello\n#A\nhi", "line 1 comes before"),
        ("\n\nHello", "line 3 comes before"),
        ("#A\nhi\n#\nyou", "line 3 of text has a # without"),
        ("#A\nhi\n# : \nyou", "line 3 of text has a # without"),
        (f"#{'x' * 101}\nhi", "line 1 of text is longer"),
        ("", "nothing to say"),
        ("#A\n#B\n", "nothing to say"),
    ],
)
def test_what_is_no_script_is_said(script: str, why: str) -> None:
    with pytest.raises(VoiceError, match=why) as caught:
        parse_dialogue(script)
    assert (caught.value.code, caught.value.facts) == (Code.BAD_REQUEST, {"field": "text"})


@given(st.text(st.sampled_from("#＃AB:\n\r  x\u2028"), max_size=60))
def test_any_text_is_a_script_or_a_bad_request(script: str) -> None:
    try:
        turns = parse_dialogue(script)
    except VoiceError as error:
        assert error.code is Code.BAD_REQUEST
        return
    assert all(turn.speaker and turn.text.strip() for turn in turns)
    assert sum(turn.text.count("x") for turn in turns) + sum(turn.speaker.count("x") for turn in turns) <= script.count(
        "x"
    )
