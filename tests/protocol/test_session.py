"""The machine is a table, so the tests walk it: every event in every state, then random lives against their rules."""

from itertools import product
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.audio import AudioFormat, Encoding
from protocol.errors import Code, VoiceError
from protocol.events import (
    Audio,
    Clear,
    Closed,
    Configure,
    Failed,
    Flush,
    KeepAlive,
    ListenConfig,
    Mark,
    SpeakConfig,
    Stop,
    Text,
)
from protocol.session import LIMITS, TRANSITIONS, Input, Limits, Pause, Session, State
from tests.protocol.drawing import some_of

SECOND = bytes(32000)  # of s16le at 16 kHz
MULAW = AudioFormat(Encoding.MULAW, 8000)

EXAMPLES: list[Input] = [
    ListenConfig(),
    SpeakConfig(),
    Audio(SECOND),
    Text("hello"),
    Flush(),
    Clear(),
    Mark("here"),
    KeepAlive(),
    Configure({}),
    Stop(),
    Failed(VoiceError(Code.ENGINE_FAILED, "broken")),
    Closed(1000),
]
WAYS: dict[State, list[Input]] = {
    State.CONFIGURING: [],
    State.LISTENING: [ListenConfig()],
    State.SPEAKING: [SpeakConfig()],
    State.STOPPING: [ListenConfig(), Stop()],
    State.CLOSED: [Closed(1006)],
}


def session(state: State = State.LISTENING, limits: Limits = LIMITS) -> Session:
    made = Session(0, limits)
    for event in WAYS[state]:
        made.receive(event, 0)
    assert made.state is state
    return made


def failure(actions: list[Input | Pause]) -> VoiceError:
    (failed,) = actions
    assert isinstance(failed, Failed)
    return failed.error


def test_the_table_and_these_tests_know_every_state_and_event() -> None:
    assert set(TRANSITIONS) == set(State) == set(WAYS)
    assert {type(event) for event in EXAMPLES} == set(get_args(Input))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_every_event_in_every_state(state: State, event: Input) -> None:
    machine = session(state)
    target = TRANSITIONS[state].get(type(event))
    actions = machine.receive(event, 0)
    if target is not None:
        assert actions == [event]
        assert machine.state is target
    elif state in (State.STOPPING, State.CLOSED):
        assert actions == []
        assert machine.state is state
    else:
        assert failure(actions).code is Code.OUT_OF_ORDER
        assert machine.state is State.CLOSED


def test_an_order_error_says_what_could_have_come() -> None:
    error = failure(session(State.CONFIGURING).receive(Audio(b""), 0))
    assert error.message == "audio cannot come while configuring; what can: config, keepalive"
    assert error.facts == {"allowed": ["config", "keepalive"]}


# -- audio -------------------------------------------------------------------------------------------


def heard(machine: Session, pieces: list[bytes]) -> bytes:
    actions = [action for piece in pieces for action in machine.receive(Audio(piece), 0)]
    assert all(isinstance(action, Audio) and action.data for action in actions)
    return b"".join(action.data for action in actions if isinstance(action, Audio))


def test_half_a_sample_waits_for_the_other_half() -> None:
    machine = session()
    assert machine.receive(Audio(b"a"), 0) == []
    assert machine.receive(Audio(b""), 0) == []
    assert machine.receive(Audio(b"bcd"), 0) == [Audio(b"abcd")]
    assert machine.receive(Audio(b"efg"), 0) == [Audio(b"ef")]
    assert machine.receive(Stop(), 0) == [Stop()]  # the g is no sample and never will be


def test_g711_has_no_halves() -> None:
    machine = Session(0)
    machine.receive(ListenConfig(audio=MULAW), 0)
    assert machine.receive(Audio(b"abc"), 0) == [Audio(b"abc")]


@given(st.lists(st.binary(max_size=7)))
def test_the_audio_passed_on_is_the_audio_sent_in_whole_samples(pieces: list[bytes]) -> None:
    sent = b"".join(pieces)
    assert heard(session(), pieces) == sent[: len(sent) // 2 * 2]


def test_audio_without_a_countable_length_is_refused() -> None:
    machine = Session(0)
    error = failure(machine.receive(ListenConfig(audio=AudioFormat(Encoding.MP3)), 0)[:1])
    assert error.code is Code.UNSUPPORTED_MEDIA
    assert error.facts["field"] == "encoding"
    assert machine.state is State.CLOSED


# -- too fast ----------------------------------------------------------------------------------------


def test_thirty_seconds_of_audio_at_once_are_welcome_and_more_must_wait() -> None:
    machine = session()
    for _ in range(30):
        assert machine.receive(Audio(SECOND), 0) == [Audio(SECOND)]
    assert machine.receive(Audio(SECOND), 0) == [Audio(SECOND), Pause(until=0.5)]
    assert machine.receive(Audio(SECOND), 0.5) == [Audio(SECOND), Pause(until=1.0)]


def test_g711_is_counted_by_its_own_rate() -> None:
    machine = Session(0)
    machine.receive(ListenConfig(audio=MULAW), 0)
    assert machine.receive(Audio(bytes(8000 * 32)), 0)[1:] == [Pause(until=1.0)]


def flood(machine: Session, event: Input, now: float = 0.0) -> tuple[VoiceError, float]:
    """Send as fast as the pauses allow."""
    for _ in range(100_000):
        for action in machine.receive(event, now):
            if isinstance(action, Failed):
                return action.error, now
            if isinstance(action, Pause):
                assert action.until > now
                now = action.until
    raise AssertionError("nobody minded")


def test_a_minute_of_pauses_ends_a_session_that_floods() -> None:
    error, now = flood(session(), Audio(SECOND))
    assert error.code is Code.TOO_FAST
    assert now == pytest.approx(60, abs=1)


def test_messages_are_counted_even_where_they_mean_nothing_any_more() -> None:
    for state in (State.LISTENING, State.STOPPING):
        error, now = flood(session(state), Audio(b"\0\0"))
        assert error.code is Code.TOO_FAST
        assert now == pytest.approx(60, abs=1)


def test_two_hundred_messages_a_second_and_twice_real_time_are_never_paused() -> None:
    machine = session()
    for count in range(60 * 200):
        assert machine.receive(Audio(bytes(320)), count / 200) == [Audio(bytes(320))]


def test_a_client_that_catches_up_now_and_then_is_no_flood() -> None:
    """A phone that loses its network for 45 s sends all of it at once, and may do so again."""
    machine, now = session(), 0.0
    for _ in range(5):
        actions = [action for _ in range(45) for action in machine.receive(Audio(SECOND), now)]
        assert any(isinstance(action, Pause) for action in actions)
        for _ in range(60):
            now += 1
            assert not any(isinstance(action, Failed) for action in machine.receive(Audio(SECOND), now))
    assert machine.state is State.LISTENING


# -- time --------------------------------------------------------------------------------------------


def test_the_configuration_has_ten_seconds_whatever_else_comes() -> None:
    machine = Session(100)
    machine.receive(KeepAlive(), 109)
    assert machine.next_deadline() == 110
    assert machine.tick(109.9) == []
    error = failure(machine.tick(110))
    assert error.code is Code.TIMEOUT
    assert machine.state is State.CLOSED


@pytest.mark.parametrize("state", [State.LISTENING, State.SPEAKING, State.STOPPING])
def test_a_minute_without_a_message_is_too_long(state: State) -> None:
    machine = session(state)
    machine.receive(KeepAlive(), 50)
    assert machine.next_deadline() == 110
    machine.extend(60)
    assert machine.tick(110) == []
    assert machine.next_deadline() == 120
    assert failure(machine.tick(120)).code is Code.TIMEOUT


def test_a_session_ends_after_three_hours_however_busy() -> None:
    machine = session()
    for now in range(0, 3 * 3600, 30):
        machine.receive(KeepAlive(), now)
    assert machine.next_deadline() == 3 * 3600
    assert failure(machine.tick(3 * 3600)).code is Code.SESSION_TOO_LONG


def test_a_closed_session_has_no_deadline() -> None:
    machine = session(State.CLOSED)
    assert machine.next_deadline() is None
    assert machine.tick(1e9) == []


# -- random lives (RELIABILITY F5) ---------------------------------------------------------------------

SMALL = Limits(first_message=2, idle=5, session=60, audio_burst=3, audio_rate=2, messages=8, flood=4)
STEPS = list(product([None, *EXAMPLES], [0.0, 0.01, 0.3, 1.0, 4.0]))  # what comes, and after how many seconds


@settings(max_examples=2000, deadline=None)
@given(some_of(STEPS, max_size=40))
def test_only_moves_of_the_table_and_a_closed_end(steps: list[tuple[Input | None, float]]) -> None:
    machine, now, stopped = Session(0, SMALL), 0.0, False
    for event, pause in [*steps, (Stop(), 0.0), (Closed(1000), 0.0)]:
        now += pause
        before, deadline = machine.state, machine.next_deadline()
        actions = machine.tick(now) if event is None else machine.receive(event, now)
        failed = [action for action in actions if isinstance(action, Failed)]
        if before is State.CLOSED:
            assert actions == [] and machine.state is State.CLOSED
        elif failed:
            assert machine.state is State.CLOSED and failed == actions[-1:]
        elif event is None:
            assert actions == [] and machine.state is before and deadline is not None and now < deadline
        else:
            assert machine.state is TRANSITIONS[before].get(type(event), before)
        if machine.state is not State.CLOSED and deadline is not None:
            later = machine.next_deadline()
            assert later is not None and (later >= deadline or before is State.CONFIGURING)
        stopped = stopped or (before in (State.LISTENING, State.SPEAKING) and isinstance(event, Stop))
        assert not stopped or machine.state in (State.STOPPING, State.CLOSED)
    assert machine.state is State.CLOSED
