"""Measures that forget, and the budget of the partials."""

import pytest

from engines.load import Cost, Delay, Fading, PartialBudget


def test_a_steady_rate_is_read_as_it_is() -> None:
    fading = Fading(10.0)
    for step in range(1000):
        fading.add(0.05, step * 0.1)
    assert fading.rate(100.0) == pytest.approx(0.5, rel=0.05)
    assert fading.rate(200.0) < 0.001


def test_a_delay_fades_when_nobody_comes() -> None:
    delay = Delay()
    for step in range(50):
        delay.add(0.4, step * 0.1)
    assert delay.read(5.0) == pytest.approx(0.4, rel=0.1)
    assert delay.read(40.0) < 0.001


def test_cost_is_learnt() -> None:
    cost = Cost(1.0, 1.0)
    assert cost.expect(3.0) == 4.0
    assert not cost.known
    for _ in range(3):
        cost.add(0.8, 6.0, 2)
    assert cost.known
    assert cost.expect(3.0) == pytest.approx(0.4)
    assert cost.expect(6.0, 2) == pytest.approx(0.8)


def budget() -> PartialBudget:
    return PartialBudget(most=0.6, least=0.1, calm_s=0.05, strained_s=0.4, burst_s=0.25)


def test_the_share_of_partials_falls_with_the_delay_of_finals() -> None:
    it = budget()
    assert [round(it.share(delay), 2) for delay in (0.0, 0.05, 0.225, 0.4, 9.0)] == [0.6, 0.6, 0.35, 0.1, 0.1]


@pytest.mark.parametrize(("delay", "share"), [(0.0, 0.6), (1.0, 0.1)])
def test_partials_get_their_share_of_the_time_and_no_more(delay: float, share: float) -> None:
    it, now, spent = budget(), 0.0, 0.0
    while now < 100.0:
        pause = it.wait(delay, now)
        if pause:
            now += pause + 1e-6
            continue
        it.spend(0.2)
        spent += 0.2
        now += 0.2
    assert spent / now == pytest.approx(share, rel=0.05)


def test_no_more_than_a_burst_is_saved() -> None:
    it = budget()
    assert it.wait(0.0, 1000.0) == 0.0
    it.spend(0.25)
    assert it.wait(0.0, 1000.0) == 0.0
    it.spend(0.06)
    assert it.wait(0.0, 1000.0) == pytest.approx(0.1)
