"""How many speakers are found, and how much of what is said is given to the right one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batch.pipelines.diarize import who_speaks
from tests.diarization.conversations import Conversation, alone, mixed, recorded, synthetic
from tests.diarization.der import score
from tests.diarization.hearing import Ears


@pytest.fixture(scope="module")
def ears() -> Ears:
    return Ears()


def call() -> Conversation:
    talk = recorded()
    if talk is None:
        pytest.skip("the package with the recorded call is not installed")
    return talk


def call_and_voices() -> Conversation:
    return mixed(list(alone(call()).values()), 35.0, 1, 1)


#: Most error where the number of speakers is to be found out, and where it is given. Measured: see the documentation.
CASES: list[tuple[Callable[[], Conversation], float, float]] = [
    (lambda: synthetic(2, 25.0, 1), 0.05, 0.05),
    (lambda: synthetic(3, 35.0, 0), 0.05, 0.05),
    (lambda: synthetic(4, 45.0, 1), 0.10, 0.05),
    (call, 0.05, 0.05),
    (call_and_voices, 0.10, 0.05),
]


@pytest.mark.parametrize(("talk", "free", "given"), CASES, ids=["two", "three", "four", "call", "call and voice"])
async def test_the_error_rate(
    ears: Ears, talk: Callable[[], Conversation], free: float, given: float, tmp_path: Path
) -> None:
    conversation = talk()
    places, voices = await ears.listen(conversation, tmp_path)
    found, told = who_speaks(places, voices, 0), who_speaks(places, voices, conversation.speakers)
    assert len({turn.speaker for turn in told}) == conversation.speakers
    rates = score(conversation.turns, found).rate, score(conversation.turns, told).rate
    assert rates[0] <= free and rates[1] <= given, rates
