from hypothesis import given
from hypothesis import strategies as st

from protocol.allowance import Allowance


def test_a_burst_is_free_and_debt_takes_time() -> None:
    allowance = Allowance(burst=30, rate=2, now=100)
    assert allowance.spend(30, 100) == 100
    assert allowance.spend(4, 100) == 102
    assert allowance.left(101) == -2
    assert allowance.left(102) == 0


def test_what_is_left_never_exceeds_the_burst() -> None:
    assert Allowance(burst=30, rate=2, now=0).left(1e6) == 30


def test_rested_once_half_of_the_burst_is_back() -> None:
    allowance = Allowance(burst=30, rate=2, now=0)
    allowance.spend(30, 0)
    assert not allowance.rested(7.25)
    assert allowance.rested(7.5)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 20)), max_size=30))
def test_whoever_waits_as_told_keeps_to_burst_and_rate(spendings: list[tuple[float, float]]) -> None:
    allowance, now, spent = Allowance(burst=10, rate=2, now=0), 0.0, 0.0
    for pause, units in spendings:
        now = allowance.spend(units, now + pause)
        spent += units
        assert spent <= 10 + 2 * now + 1e-6
