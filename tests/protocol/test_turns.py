"""Words get the speakers in whose turns they lie, and speakers change between sentences rather than within them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from protocol.events import Word
from protocol.turns import Turn, Turns, runs, speakers_of


def word(start: float, end: float, text: str = "word") -> Word:
    return Word(text, start, end)


@st.composite
def talks(draw: st.DrawFn) -> tuple[list[Turn], list[Word], list[int]]:
    """Turns with pauses between them, words within the turns, and who says each."""
    turns: list[Turn] = []
    words: list[Word] = []
    said: list[int] = []
    at = 0.0
    for _ in range(draw(st.integers(1, 6))):
        at += draw(st.floats(0.3, 4.0))
        count, speaker = draw(st.integers(1, 5)), draw(st.integers(0, 3))
        turns.append(Turn(at, at + 0.4 * count, speaker))
        for _ in range(count):
            words.append(word(at + 0.02, at + 0.38))
            said.append(speaker)
            at += 0.4
    return turns, words, said


@given(talks())
def test_words_within_turns_are_their_speakers(talk: tuple[list[Turn], list[Word], list[int]]) -> None:
    turns, words, said = talk
    assert speakers_of(words, Turns(turns)) == said


times = st.floats(0, 50, allow_nan=False)
lengths, speakers = st.floats(0, 10), st.integers(0, 5)
any_turns = st.lists(st.builds(lambda a, b, s: Turn(a, a + b, s), times, lengths, speakers), max_size=12)
any_words = st.lists(st.builds(lambda a, b: word(a, a + b), times, st.floats(0, 2)), max_size=20)


@given(any_words, any_turns)
def test_every_word_has_a_speaker_who_is_near_or_none_has(words: list[Word], turns: list[Turn]) -> None:
    said = speakers_of(words, Turns(turns))
    assert len(said) == len(words)
    assert all(one is None for one in said) or set(said) <= {turn.speaker for turn in turns}
    assert speakers_of(words, Turns(turns[::-1])) == said


@given(any_words, any_turns)
def test_shares_are_shares(words: list[Word], turns: list[Turn]) -> None:
    for one in words:
        assert all(0.0 <= share <= 1.0 for share in Turns(turns).shares(one.start, one.end).values())


def test_a_word_on_the_border_goes_with_its_sentence() -> None:
    turns = Turns([Turn(0.0, 1.05, 0), Turn(1.05, 3.0, 1)])
    words = [word(0.0, 0.4), word(0.4, 0.9, "done."), word(0.92, 1.12, "Well"), word(1.12, 1.5), word(1.5, 2.0)]
    assert speakers_of(words, turns) == [0, 0, 1, 1, 1]


def test_a_cough_of_a_turn_does_not_cut_a_sentence() -> None:
    turns = Turns([Turn(0.0, 1.0, 0), Turn(0.95, 1.1, 1), Turn(1.1, 3.0, 0)])
    words = [word(0.1 * at, 0.1 * at + 0.1) for at in range(20)]
    assert set(speakers_of(words, turns)) == {0}


def test_a_word_outside_all_turns_is_somebody_s_who_is_near() -> None:
    turns = Turns([Turn(0.0, 1.0, 3), Turn(5.0, 6.0, 1)])
    assert speakers_of([word(1.2, 1.5)], turns) == [3]
    assert speakers_of([word(4.6, 4.9)], turns) == [1]
    assert turns.speaker(20.0, 21.0) is None
    assert speakers_of([word(20.0, 21.0), word(21.0, 21.5)], turns) == [None, None]
    assert speakers_of([word(0.0, 1.0)], Turns([])) == [None]


def test_who_speaks_most_in_a_stretch() -> None:
    turns = Turns([Turn(0.0, 1.0, 0), Turn(1.0, 4.0, 1), Turn(4.0, 5.0, 0)])
    assert turns.speaker(0.0, 5.0) == 1
    assert turns.speaker(0.0, 1.5) == 0


@given(st.lists(st.one_of(st.none(), st.integers(0, 3))))
def test_runs_are_the_whole_in_order(speakers: list[int | None]) -> None:
    found = list(runs(speakers))
    assert [who for first, behind, who in found for _ in range(first, behind)] == speakers
    assert all(before[1] == after[0] and before[2] != after[2] for before, after in pairwise(found))
