"""Where text may be cut, and that nothing of it is lost or doubled however it comes."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.chunker import MAX_WEIGHT, REACH, Chunker, Clause, Pause


def clauses(text: str) -> list[str]:
    """The clauses of an utterance, without the white space around them."""
    return [clause.text.strip() for clause in whole(text)]


def whole(text: str) -> list[Clause]:
    chunker = Chunker()
    return [*chunker.push(text), *chunker.flush()]


# Words and marks in which every rule of the chunker has something to do.
_PIECES = """
    a Hello word 3.14 1,000 12:30 Dr. Mr. e.g. TP.HCM TP. v.v. U.S. No. 5 1. https://a.b/c?d=e,f a@b.co ... … , . ! ?
    ; : — – - ” " ) 。 ， ！ ？ 「 」 今天 天气 こんにちは 안녕 xin chào ế 👩‍👩‍👧 🇻🇳 👍🏽
"""
PIECES = st.sampled_from([*_PIECES.split(), "e\u0301", "\n", "\n\n", "\r\n", "\u2029", "\ud83d", "\ude00"])
TEXTS = st.lists(st.one_of(PIECES, st.just(" "), st.just(" "), st.text(max_size=8)), max_size=120).map("".join)


@settings(max_examples=1000, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 500), max_size=30), st.integers(0, 400))
def test_any_split_gives_the_same_clauses(text: str, cuts: list[int], flush_at: int) -> None:
    """F2: text deltas may be cut anywhere, between the halves of a surrogate pair too."""
    head, tail = text[:flush_at], text[flush_at:]
    parts = [head, tail]
    expected = []
    one, many = Chunker(), Chunker()
    found = []
    for part in parts:
        expected += [*one.push(part), *one.flush()]
        places = sorted({0, len(part), *(cut for cut in cuts if cut < len(part))})
        for start, end in pairwise(places):
            found += many.push(part[start:end])
        found += many.flush()
    assert found == expected
    assert many.pending == one.pending == 0


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
def test_the_clauses_are_the_text(text: str) -> None:
    """Nothing is lost or doubled; only lone surrogates become U+FFFD, and pairs their character."""
    found = whole(text)
    kept = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert "".join(clause.text for clause in found) == kept
    offset = 0
    for clause in found:
        assert clause.offset == offset and clause.text
        offset += len(clause.text)
        assert len(clause.text) <= MAX_WEIGHT + REACH


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # sentences
        ("Hello. How are you? Fine! Good.", ["Hello.", "How are you?", "Fine!", "Good."]),
        ("He said “Stop.” Then he left.", ["He said “Stop.”", "Then he left."]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("One is one.Two", ["One is one.Two"]),
        # numbers
        ("Pi is 3.14 or so. Next.", ["Pi is 3.14 or so.", "Next."]),
        ("It costs $1,000,000.50 today. Yes.", ["It costs $1,000,000.50 today.", "Yes."]),
        ("In the year 2024. Next one.", ["In the year 2024.", "Next one."]),
        ("We meet at 12:30 today. Ok.", ["We meet at 12:30 today.", "Ok."]),
        ("See No. 5 please. No. I will not.", ["See No. 5 please.", "No.", "I will not."]),
        # abbreviations, initials, list items
        ("Dr. Smith and Mrs. Jones met Mr. X. at noon.", ["Dr. Smith and Mrs. Jones met Mr. X. at noon."]),
        ("Fruit, e.g. apples. Then pears.", ["Fruit, e.g. apples.", "Then pears."]),
        ("J. K. Rowling wrote it. Yes.", ["J. K. Rowling wrote it.", "Yes."]),
        ("1. Wash it. 2. Dry it.", ["1. Wash it.", "2. Dry it."]),
        ("a. First point. Then more.", ["a. First point.", "Then more."]),
        ("(2. And this. Then more.", ["(2. And this.", "Then more."]),
        # Vietnamese
        ("Tôi ở TP.HCM nhé. Còn bạn?", ["Tôi ở TP.HCM nhé.", "Còn bạn?"]),
        ("Tôi ở TP. HCM nhé. Còn bạn?", ["Tôi ở TP. HCM nhé.", "Còn bạn?"]),
        ("GS. Nguyễn đến rồi. Chào thầy!", ["GS. Nguyễn đến rồi.", "Chào thầy!"]),
        ("Xin chào các bạn, đây là Vbee. Trời đẹp.", ["Xin chào các bạn,", "đây là Vbee.", "Trời đẹp."]),
        # ellipses
        ("Well... I think so. Yes.", ["Well... I think so.", "Yes."]),
        ("Let me think about it... then go.", ["Let me think about it...", "then go."]),
        ("from 1...5 or so it is", ["from 1...5 or so it is"]),
        ("What?... No.", ["What?...", "No."]),
        # URLs, e-mail, paths
        ("Go to https://a.b/c?d=1,2;e:f!g. Then stop.", ["Go to https://a.b/c?d=1,2;e:f!g.", "Then stop."]),
        ("Mail a.b@c.co.uk, please do. Thanks.", ["Mail a.b@c.co.uk, please do.", "Thanks."]),
        ("It is in ../lib/x.py now. Yes.", ["It is in ../lib/x.py now.", "Yes."]),
        # emoji
        ("Great 👍🏽 work! 👩‍👩‍👧 Next.", ["Great 👍🏽 work!", "👩‍👩‍👧 Next."]),
        # line breaks
        ("A title\nThe text begins", ["A title", "The text begins"]),
        ("a line that was\nwrapped by an editor", ["a line that was\nwrapped by an editor"]),
        ("a paragraph\n\nanother one", ["a paragraph", "another one"]),
        ("- one\r\n- two\r\n\r\nthree", ["- one", "- two", "three"]),
        # dashes
        ("He came home — and left. Good.", ["He came home —", "and left.", "Good."]),
        ("pages 10–20 of a well-known book - the best", ["pages 10–20 of a well-known book -", "the best"]),
        # Chinese, Japanese, mixed
        ("今天天气很好，我们去公园玩吧。你说呢？好的！", ["今天天气很好，", "我们去公园玩吧。", "你说呢？", "好的！"]),
        ("「こんにちは。」と言った。さようなら。", ["「こんにちは。」", "と言った。", "さようなら。"]),
        ("他有1，000元。真的……吗？", ["他有1，000元。", "真的……吗？"]),
        ("I say hello.你好。Yes.", ["I say hello.", "你好。", "Yes."]),
        ("版本是2.好的。", ["版本是2.好的。"]),
        # nothing
        ("", []),
        ("   ", [""]),
        ("...", ["..."]),
    ],
)
def test_where_clauses_end(text: str, expected: list[str]) -> None:
    assert clauses(text) == expected


def test_the_first_clause_ends_at_a_comma_of_three_words() -> None:
    """Sound can start while the sentence is still being written; later commas wait for more."""
    text = "Well, my dear friend, as you know, it rains, and it will rain for a long time to come, I fear, so stay."
    assert clauses(text) == [
        "Well, my dear friend,",
        "as you know, it rains, and it will rain for a long time to come,",
        "I fear, so stay.",
    ]


def test_a_clause_is_given_as_soon_as_it_is_certain() -> None:
    chunker = Chunker()
    assert chunker.push("Hello there my friend") == []
    assert chunker.push(".") == []  # 3.14? example.com?
    assert chunker.push(" ") == [Clause("Hello there my friend.", 0, Pause.SENTENCE)]
    assert chunker.pending == 1 and chunker.offset == 23
    assert chunker.push("See No.") == [] and chunker.push(" ") == []  # before a number, or the end?
    assert chunker.push("7") == []
    assert chunker.flush() == [Clause(" See No. 7", 22, Pause.END)]


def test_what_ends_a_clause() -> None:
    found = whole("Dear Mr Smith, hello. " + "word " * 60)
    assert [clause.pause for clause in found] == [Pause.WEAK, Pause.SENTENCE, Pause.CUT, Pause.END]


def test_long_text_without_marks_is_cut_between_words() -> None:
    found = whole("word " * 500)
    assert all(len(clause.text) <= MAX_WEIGHT for clause in found)
    assert len(found[0].text) <= 120, "the first clause is short"
    assert {word for clause in found for word in clause.text.split()} == {"word"}


def test_long_text_without_spaces_is_cut_between_characters() -> None:
    """A URL of thousands of characters, Chinese without punctuation, a row of joined emoji."""
    assert max(len(clause.text) for clause in whole("https://example.com/" + "x" * 3000)) <= MAX_WEIGHT
    assert max(len(clause.text) for clause in whole("好" * 1000)) <= MAX_WEIGHT // 3 + 1
    family = "👩‍👩‍👧"
    assert all(clause.text.replace(family, "") == "" for clause in whole(family * 200))
    accents = "e\u0301"
    assert all(clause.text.replace(accents, "") == "" for clause in whole(accents * 400))
    flags = "🇻🇳"
    assert "".join(clause.text for clause in whole(flags * 300)) == flags * 300
    assert max(len(clause.text) for clause in whole("\u0301" * 1000)) <= MAX_WEIGHT


def test_many_small_deltas_are_cheap() -> None:
    """5,000 single characters without a mark: each costs the pending clause at most."""
    chunker = Chunker()
    found = [clause for _ in range(5000) for clause in chunker.push("x")] + chunker.flush()
    assert sum(len(clause.text) for clause in found) == 5000


def test_a_surrogate_pair_in_two_deltas_is_one_character() -> None:
    chunker = Chunker()
    assert chunker.push("Nice \ud83d") == [] and chunker.pending == 6
    chunker.push("\ude00 day")
    assert [clause.text for clause in chunker.flush()] == ["Nice 😀 day"]
    chunker.push("\ud83d")
    assert [clause.text for clause in chunker.flush()] == ["\ufffd"]
    assert "".join(clause.text for clause in [*chunker.push("Hi \ud83d\n"), *chunker.flush()]) == "Hi \ufffd\n"


def test_clear_forgets_what_waits_and_counts_it() -> None:
    chunker = Chunker()
    chunker.push("Hello there, my friend. And")
    chunker.clear()
    assert chunker.pending == 0 and chunker.offset == 27
    assert chunker.flush() == []
    assert chunker.push("Good day to you, sir. ") == [
        Clause("Good day to you,", 27, Pause.WEAK),
        Clause(" sir.", 43, Pause.SENTENCE),
    ]
