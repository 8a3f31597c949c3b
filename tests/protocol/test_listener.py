"""A listener in a world of its own: sample values tell where they are, a scripted voice says where it is loud."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Code, VoiceError
from protocol.events import (
    VAD_OFF,
    Failed,
    Final,
    ListenConfig,
    ListenOutcome,
    Partial,
    SpeechStarted,
    SpeechStopped,
    VadOptions,
)
from protocol.listener import Detect, Effect, Emit, Finished, Forget, Kind, Listener, Recognize, changed
from protocol.requests import Decode, Hypothesis
from tests.protocol.drawing import some_of

WINDOW = 512
OFF = VadOptions(threshold=VAD_OFF)
CONFIG = ListenConfig(
    language="en",
    # 3 windows make speech, 10 a silence (400 ms less what the detector comes late), 5 the prefix; the tail has 5.
    vad=VadOptions(min_speech_ms=96, min_silence_ms=400, prefix_padding_ms=160),
    max_utterance_s=40 * 0.032,
)


def audio(samples: int) -> bytes:
    """Sample i says in which window it is."""
    windows = -(-samples // WINDOW)
    return b"".join(window.to_bytes(2, "little") * WINDOW for window in range(windows))[: 2 * samples]


def span(pcm: bytes) -> tuple[int, int]:
    """First and last window of a piece of audio."""
    return int.from_bytes(pcm[:2], "little"), int.from_bytes(pcm[-2:], "little")


class World:
    """Carries out effects: judges at once unless told to wait, and answers when asked to."""

    def __init__(self, voice: str, config: ListenConfig = CONFIG, *, interval_s: float = 0.25) -> None:
        self.voice = voice
        self.listener = Listener(config, partial_interval_s=interval_s, name="s")
        self.sound = audio(len(voice) * WINDOW)
        self.fed = 0  # samples
        self.unjudged: list[int] = []
        self.windows: list[bytes] = []
        self.asked: dict[int, Recognize] = {}
        self.forgotten: set[int] = set()
        self.decodes: list[Recognize] = []
        self.events: list[ListenOutcome] = []
        self.finished = False

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert not self.finished
            match effect:
                case Detect(window):
                    self.unjudged.append(len(self.windows))
                    self.windows.append(window)
                case Recognize(ticket):
                    self.asked[ticket] = effect
                    self.decodes.append(effect)
                case Forget(ticket):
                    del self.asked[ticket]
                    self.forgotten.add(ticket)
                case Emit(event):
                    self.events.append(event)
                case Finished():
                    self.finished = True

    def judge(self, count: int | None = None) -> None:
        for _ in range(len(self.unjudged) if count is None else min(count, len(self.unjudged))):
            window = self.unjudged.pop(0)
            loud = window < len(self.voice) and self.voice[window] == "#"
            self.perform(self.listener.probability(0.9 if loud else 0.1))

    def hear(self, samples: int, *, judge: bool = True) -> None:
        self.perform(self.listener.feed(self.sound[2 * self.fed : 2 * (self.fed + samples)]))
        self.fed += samples
        if judge:
            self.judge()

    def hear_all(self) -> None:
        while self.fed < len(self.sound) // 2:
            self.hear(WINDOW)

    def answer(self, ticket: int) -> None:
        self.perform(self.listener.answer(ticket, self.recognize(self.asked.pop(ticket).decode)))

    def answer_all(self) -> None:
        while self.asked:
            self.answer(min(self.asked))

    def stop(self) -> None:
        self.perform(self.listener.stop())
        self.judge()
        self.answer_all()
        assert self.finished

    def recognize(self, decode: Decode) -> Hypothesis:
        """One word for every four loud windows, named after the first of them."""
        heard = set(memoryview(decode.pcm).cast("H"))
        loud = [window for window in sorted(heard) if self.voice[window] == "#"]
        return Hypothesis(" ".join(f"w{window}" for window in loud if window % 4 == 0))

    @property
    def finals(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]


def test_an_utterance_is_looked_at_guessed_at_and_told() -> None:
    world = World("." * 20 + "#" * 20 + "." * 20, replace(CONFIG, events=True))
    world.hear_all()
    kinds = [(recognize.kind, *span(recognize.decode.pcm)) for recognize in world.decodes]
    assert kinds == [
        (Kind.PARTIAL, 15, 27),
        (Kind.PARTIAL, 15, 35),
        (Kind.SPECULATIVE, 15, 44),
    ]
    world.answer_all()
    assert world.events == [
        SpeechStarted(20 * 0.032),
        SpeechStopped(40 * 0.032),
        Final("w20 w24 w28 w32 w36", 20 * 0.032, 40 * 0.032, 1, "en"),
    ]


def test_partials_grow_and_settle_while_speech_goes_on() -> None:
    world = World("#" * 50, replace(CONFIG, max_utterance_s=20), interval_s=0.64)
    for _ in range(50):
        world.hear(WINDOW)
        world.answer_all()
    assert world.events == [
        Partial("w0 w4 w8 w12 w16", 0, 1, 0.0, 0.64),
        Partial("w0 w4 w8 w12 w16 w20 w24 w28 w32 w36", len("w0 w4 w8 w12 w16"), 1, 0.0, 1.28),
    ]


def test_the_interval_of_partials_can_change_under_load() -> None:
    world = World("#" * 38)
    world.hear(WINDOW * 10)
    world.listener.partial_interval_s = 0.6
    world.hear_all()
    assert [span(recognize.decode.pcm)[1] for recognize in world.decodes] == [7, 26]


def test_no_sound_no_words() -> None:
    world = World("." * 200)
    world.hear_all()
    world.stop()
    assert world.decodes == []
    assert world.events == [Final("", 6.4, 6.4, 1, "en", last=True)]


def test_the_last_samples_are_judged_and_the_made_up_ones_are_not_recognised() -> None:
    world = World("." * 20 + "#" * 11)
    world.hear(30 * WINDOW + 100)
    world.perform(world.listener.stop())
    assert world.windows[-1] == audio(31 * WINDOW)[-1024:][:200] + bytes(824)
    world.judge()
    (final,) = [recognize for recognize in world.decodes if recognize.kind is Kind.FINAL]
    assert len(final.decode.pcm) == 2 * (15 * WINDOW + 100)
    world.answer_all()
    assert world.finals[0].end == (30 * WINDOW + 100) / 16000
    assert world.finished


def test_a_guess_at_the_very_end_is_no_longer_than_the_audio() -> None:
    world = World("#" * 11 + "." * 5)
    world.hear(15 * WINDOW + 10)
    world.perform(world.listener.stop())
    world.judge()
    world.answer_all()
    assert [len(recognize.decode.pcm) for recognize in world.decodes][-1] == 2 * (15 * WINDOW + 10)
    assert world.decodes[-1].kind is Kind.SPECULATIVE
    assert world.finished


def test_after_stop_nothing_is_heard() -> None:
    world = World("#" * 10)
    world.hear_all()
    world.perform(world.listener.stop())
    for effects in (
        world.listener.feed(bytes(1024)),
        world.listener.finalize(),
        world.listener.configure({}),
        world.listener.stop(),
        world.listener.probability(0.9),
    ):
        assert effects == []


def test_finalize_in_mid_speech_ends_the_utterance_at_the_very_sample() -> None:
    world = World("#" * 40)
    world.hear(20 * WINDOW + 100)
    world.perform(world.listener.finalize())
    assert len(world.decodes[-1].decode.pcm) == 2 * (20 * WINDOW + 100)
    world.answer_all()
    assert [(final.start, final.end) for final in world.finals] == [(0.0, (20 * WINDOW + 100) / 16000)]
    world.hear(20 * WINDOW - 100)
    world.stop()
    first, second = (recognize for recognize in world.decodes if recognize.kind is Kind.FINAL)
    assert first.decode.pcm + second.decode.pcm == world.sound, "no sample twice, none lost"
    assert world.finals[1].start == world.finals[0].end


def test_finalize_in_a_pause_takes_the_guess() -> None:
    world = World("#" * 10 + "." * 8)
    world.hear_all()
    world.perform(world.listener.finalize())
    world.answer_all()
    assert [(final.text, final.end) for final in world.finals] == [("w0 w4 w8", 0.32)]
    assert world.decodes[-1].kind is Kind.SPECULATIVE


def test_finalize_waits_for_the_judgement_of_what_came_before_it() -> None:
    world = World("#" * 20)
    world.hear(10 * WINDOW, judge=False)
    world.perform(world.listener.finalize())
    world.hear(10 * WINDOW, judge=False)
    assert world.listener.backlog == 21
    world.judge()
    assert world.listener.backlog == 0
    assert [span(recognize.decode.pcm) for recognize in world.decodes if recognize.kind is Kind.FINAL] == [(0, 9)]


def test_finalize_is_always_answered() -> None:
    world = World("." * 10 + "#" * 10)
    world.hear(10 * WINDOW)
    world.perform(world.listener.finalize())
    assert world.events == [Final("", 0.32, 0.32, 1, "en")]
    world.hear(10 * WINDOW)
    world.perform(world.listener.finalize())
    world.perform(world.listener.finalize())  # answered by the one that is under way
    world.answer_all()
    assert [final.text for final in world.finals] == ["", "w12 w16"]


# -- configure -----------------------------------------------------------------------------------------


def test_changes_hold_from_the_next_utterance_on() -> None:
    world = World(("#" * 10 + "." * 12) * 2)
    world.hear(5 * WINDOW)
    world.perform(world.listener.configure({"language": "vi", "vad": {"min_silence_ms": 128}, "prompt": "xin"}))
    world.hear_all()
    world.answer_all()
    assert [(final.language, final.text) for final in world.finals] == [("en", "w0 w4 w8"), ("vi", "w24 w28")]
    ends = [span(recognize.decode.pcm)[1] for recognize in world.decodes if recognize.kind is not Kind.PARTIAL]
    assert ends == [14, 34]


def test_changes_have_their_place_in_the_audio() -> None:
    world = World(("#" * 10 + "." * 12) * 2)
    world.hear(22 * WINDOW, judge=False)
    world.perform(world.listener.configure({"language": "vi"}))
    world.hear(22 * WINDOW, judge=False)
    world.judge()
    world.answer_all()
    assert [final.language for final in world.finals] == ["en", "vi"]


def test_a_longer_prefix_takes_what_is_still_there() -> None:
    world = World("." * 20 + "#" * 5)
    world.hear(20 * WINDOW)
    world.perform(world.listener.configure({"vad": {"prefix_padding_ms": 640}}))
    world.hear_all()
    world.perform(world.listener.finalize())
    assert span(world.decodes[-1].decode.pcm) == (15, 24)


@pytest.mark.parametrize("changes", [{"model": "x"}, {"audio": None}, {"vad": {"x": 1}}, {"vad": 0.5}, {"nonsense": 1}])
def test_what_cannot_change_is_reported_and_changes_nothing(changes: Mapping[str, object]) -> None:
    world = World("#" * 10)
    world.perform(world.listener.configure({"language": "vi", **changes}))
    (failed,) = world.events
    assert isinstance(failed, Failed) and not failed.fatal
    assert failed.error.code is Code.BAD_REQUEST
    world.hear_all()
    world.stop()
    assert world.finals[0].language == "en"


@pytest.mark.parametrize(
    ("now", "change"),
    [(VadOptions(), {"threshold": VAD_OFF}), (OFF, {"threshold": 0.6}), (OFF, {"min_silence_ms": 300})],
)
def test_detection_stays_on_or_off(now: VadOptions, change: Mapping[str, object]) -> None:
    with pytest.raises(VoiceError) as refused:
        changed(replace(CONFIG, vad=now), {"vad": change, "prompt": "x"})
    assert refused.value.facts["field"] == "vad"
    assert changed(replace(CONFIG, vad=OFF), {"vad": {"threshold": VAD_OFF}}).vad == OFF  # said once more


def test_changed_keeps_the_rest() -> None:
    config = changed(CONFIG, {"prompt": "x", "vad": {"threshold": 0.7}})
    assert config == replace(CONFIG, prompt="x", vad=replace(CONFIG.vad, threshold=0.7))


# -- engines that fail -----------------------------------------------------------------------------------


def test_a_partial_that_is_superseded_or_fails_is_not_missed() -> None:
    world = World("#" * 20 + "." * 10)
    world.hear(20 * WINDOW)
    first, second = list(world.asked)
    del world.asked[first], world.asked[second]
    world.perform(world.listener.superseded(first))
    world.perform(world.listener.failed(second, VoiceError(Code.BUSY, "no time")))
    world.hear_all()
    world.answer_all()
    assert [final.text for final in world.finals] == ["w0 w4 w8 w12 w16"]


def test_a_final_that_is_lost_ends_the_session_and_does_not_hang_it() -> None:
    for lost in (True, False):
        world = World("#" * 20 + "." * 10)
        world.hear_all()
        ticket, listener = max(world.asked), world.listener
        error = VoiceError(Code.ENGINE_RESTARTED, "gone")
        world.perform(listener.failed(ticket, error) if lost else listener.superseded(ticket))
        assert isinstance(world.events[-1], Failed) and world.events[-1].fatal
        assert world.finished
        for effects in (world.listener.feed(bytes(2048)), world.listener.probability(0.9), world.listener.stop()):
            assert effects == []


# -- over-long speech and long sessions -------------------------------------------------------------------


def test_speech_without_a_pause_is_split_and_nothing_is_lost() -> None:
    world = World("#" * 200)
    while world.fed < 200 * WINDOW:
        world.hear(WINDOW)
        world.answer_all()
    world.stop()
    finals = [recognize.decode.pcm for recognize in world.decodes if recognize.kind is Kind.FINAL]
    assert b"".join(finals) == world.sound
    assert " ".join(final.text for final in world.finals) == world.recognize(Decode(world.sound)).text
    assert all(before.end == after.start for before, after in pairwise(world.finals))


def test_three_hours_stay_small_and_exact() -> None:
    """RELIABILITY S12: what a listener holds does not grow, and the clock of a stream does not drift."""
    voice = "#" * 20 + "." * 20
    world = World(voice)
    sizes = []
    for hour in range(3):
        for _ in range(3600 * 16000 // (len(voice) * WINDOW)):
            for window in range(len(voice)):
                world.perform(world.listener.feed(bytes(2 * WINDOW)))
                world.unjudged.clear()
                world.perform(world.listener.probability(0.9 if voice[window] == "#" else 0.1))
            for ticket in list(world.asked):
                world.perform(world.listener.answer(ticket, Hypothesis("yes")))
            world.asked.clear()
            world.decodes.clear()
            world.windows.clear()
            last, world.events = world.events[-1], world.events[-1:]
        sizes.append(held(world.listener))
        assert isinstance(last, Final)
        assert last.end - last.start == pytest.approx(20 * 0.032, abs=1e-9)
        assert last.utterance == (hour + 1) * 2812
        assert last.start == pytest.approx((last.utterance - 1) * 40 * 0.032, abs=1e-6)
    assert sizes[0] == sizes[1] == sizes[2]
    assert sizes[0] < 64 * 1024


def held(thing: object) -> int:
    """Bytes of audio and items of lists and dictionaries that hang on an object."""
    total = 0
    for name in getattr(type(thing), "__slots__", ()):
        value = getattr(thing, name)
        if isinstance(value, bytes | bytearray | list | dict):
            total += len(value)
        elif type(value).__module__.startswith("protocol."):
            total += held(value)
    return total


# -- any cut, any order (RELIABILITY F2) -------------------------------------------------------------------

Controls = list[tuple[float, Mapping[str, object] | None]]  # where in the audio, 0 to 1; what to change, None: finalize


def voices() -> st.SearchStrategy[str]:
    runs = [sign * count for sign in "#." for count in range(1, 25)]
    return some_of(runs, min_size=1, max_size=8).map("".join)


def controls() -> st.SearchStrategy[Controls]:
    changes = [None, {"language": "vi"}, {"vad": {"min_silence_ms": 96}}, {"max_utterance_s": 0.6}]
    moves: Controls = [(place / 1000, change) for place in range(1001) for change in changes]
    return some_of(moves, max_size=3).map(lambda drawn: sorted(drawn, key=itemgetter(0)))


def live(voice: str, tail: int, controls: Controls, cuts: Iterator[int]) -> World:
    """Lead a life: audio in pieces as ``cuts`` says, controls at their places."""
    world = World(voice, replace(CONFIG, events=True), interval_s=0.45)  # never more partials than may be under way
    length = max(0, len(voice) * WINDOW - tail)
    for place, changes in [*controls, (1.0, {})]:
        while world.fed < int(place * length):
            world.hear(min(next(cuts), int(place * length) - world.fed), judge=False)
            yield_to(world, next(cuts))
        world.perform(world.listener.finalize() if changes is None else world.listener.configure(changes))
    world.perform(world.listener.stop())
    return world


def yield_to(world: World, choice: int) -> None:
    """Let the engines catch up a little, answering in an order that depends on ``choice``."""
    world.judge(choice % 7)
    waiting = list(world.asked)
    if waiting and choice % 3 == 0:
        world.answer(waiting[choice % len(waiting)])


def complete(world: World, choices: Iterator[int]) -> None:
    while world.unjudged or world.asked:
        world.judge(next(choices) % 9)
        if world.asked:
            waiting = list(world.asked)
            world.answer(waiting[next(choices) % len(waiting)])


def outcome(world: World) -> tuple[object, ...]:
    """All that must not depend on how it came about: what was judged, what was asked and what was told."""
    looked = [r.decode for r in world.decodes if r.kind is Kind.PARTIAL]
    decided = [r.decode for r in world.decodes if r.kind is not Kind.PARTIAL]
    said = [replace(final, last=False) for final in world.finals if final.end > final.start]
    told = [event for event in world.events if isinstance(event, SpeechStarted | SpeechStopped)]
    return world.windows, looked, decided, said, told


@settings(max_examples=2000, deadline=None)
@given(voices(), st.integers(0, 700), controls(), st.integers(0, 1 << 32))
def test_any_cut_of_the_audio_and_any_order_of_answers_give_the_same(
    voice: str, tail: int, controls: Controls, seed: int
) -> None:
    chance = random.Random(seed)
    steady = live(voice, tail, controls, iter(lambda: 3 * 10_001, 0))
    complete(steady, iter(lambda: 8, -1))
    wild = live(voice, tail, controls, iter(lambda: chance.randrange(1, 4000), 0))
    complete(wild, iter(lambda: chance.randrange(100), -1))
    assert outcome(wild) == outcome(steady)
    for world in (steady, wild):
        check(world)


def check(world: World) -> None:
    """What holds of every life."""
    assert world.finished
    finals = world.finals
    assert [final.last for final in finals] == [False] * (len(finals) - 1) + [True]
    assert [final.utterance for final in finals] == sorted({final.utterance for final in finals})
    spoken = [final for final in finals if final.end > final.start]
    assert all(before.end <= after.start for before, after in pairwise(spoken))
    seen: dict[int, str] = {}
    over: set[int] = set()
    for event in world.events:
        if isinstance(event, Partial):
            assert event.utterance not in over
            assert event.text[: event.stable].startswith(seen.get(event.utterance, ""))
            seen[event.utterance] = event.text[: event.stable]
        elif isinstance(event, Final):
            assert event.text.startswith(seen.get(event.utterance, ""))
            over.add(event.utterance)
    for kind in (SpeechStarted, SpeechStopped):
        assert len([event for event in world.events if isinstance(event, kind)]) == len(spoken)
