"""What OmniVoice is asked to make: who speaks, how, what together, and what becomes of what it made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import numpy as np
import pytest

from engines.tts.loudness import Sound
from engines.tts.omnivoice import OmniVoice
from engines.tts.omnivoice_model import OmniVoiceModel, Order
from engines.tts.omnivoice_prompt import KeptVoice, to_bytes
from protocol.errors import Code, VoiceError
from protocol.requests import Diffusion, Reference, Speak, SpeechChunk
from protocol.traits import Age, Gender, Manner, Pace, Traits

RATE = 24_000
TEXT = "One two three four: five six. Seven eight nine. Ten eleven twelve. Thirteen."
FIRST, *LATER = ["One two three four:", "five six.", "Seven eight nine.", "Ten eleven twelve.", "Thirteen."]


@dataclass
class Scripted:
    """In place of the model: every clause is 0.4 s of noise between half seconds of silence; steps are told."""

    rate: int = RATE
    codebooks: int = 8
    codes: int = 1024
    languages: tuple[str, ...] = ("en", "vi", "yo")
    quiet_s: float = 0.5
    asked: list[tuple[Sequence[Order], Diffusion, int]] = field(default_factory=list)
    kept: list[Reference] = field(default_factory=list)

    def generate(
        self, orders: Sequence[Order], how: Diffusion, seed: int, at_each_step: Callable[[], None]
    ) -> list[Sound]:
        self.asked.append((orders, how, seed))
        for _ in range(3):
            at_each_step()
        noise = np.random.default_rng(seed).normal(0, 0.02, (len(orders), round(1.4 * RATE))).astype(np.float32)
        quiet = round(self.quiet_s * RATE)
        noise[:, :quiet] = noise[:, round(1.4 * RATE) - quiet :] = 0
        return list(noise)

    def keep(self, reference: Reference) -> KeptVoice:
        self.kept.append(reference)
        return KeptVoice(np.full((8, 20), len(self.kept), np.int16), reference.text, 0.1)


@pytest.fixture
def model() -> Scripted:
    return Scripted()


def engine(model: Scripted, together: int = 1) -> OmniVoice:
    return OmniVoice("scripted", cast(OmniVoiceModel, model), together, live=False)


def spoken(model: Scripted, request: Speak, together: int = 1) -> list[SpeechChunk]:
    return [chunk for chunk in engine(model, together).speak(request) if chunk.pcm]


@pytest.mark.parametrize(("together", "groups"), [(1, [1, 1, 1, 1, 1]), (3, [1, 3, 1]), (8, [1, 4])])
def test_the_first_clause_alone_and_the_others_together(model: Scripted, together: int, groups: list[int]) -> None:
    spoken(model, Speak(TEXT, "en"), together)
    _, *texts = model.asked  # the first was to pick a voice
    assert [len(orders) for orders, _, _ in texts] == groups
    assert [order.text for orders, _, _ in texts for order in orders] == [FIRST, *LATER]


def test_clauses_and_pauses_add_up(model: Scripted) -> None:
    pcm = b"".join(chunk.pcm for chunk in spoken(model, Speak(TEXT, "en")))
    clause, pauses = 0.4 + 2 * 0.03, 0.15 + 0.35 * 3
    assert abs(len(pcm) / 2 / RATE - (5 * clause + pauses)) < 5 * 0.02


def test_joins_do_not_click_however_suddenly_a_clause_begins() -> None:
    pcm = b"".join(chunk.pcm for chunk in spoken(Scripted(quiet_s=0.0), Speak(TEXT, "en")))
    sound = np.frombuffer(pcm, "<i2").astype(int)
    loud = np.flatnonzero(sound)
    parted = np.flatnonzero(np.diff(loud) > 0.1 * RATE)
    assert len(parted) == 4
    edges = [loud[0], loud[-1], *loud[parted], *loud[parted + 1]]
    assert all(abs(sound[edge]) < 0.02 * np.abs(sound).max() for edge in edges)


def test_a_description_picks_a_voice_once_and_keeps_it(model: Scripted) -> None:
    speaking = engine(model)
    for text in ("Hello.", "Hello again."):
        list(speaking.speak(Speak(text, "en", design=Traits(Gender.FEMALE, Age.YOUNG, manner=Manner.CHEERFUL))))
    picking, *said = [orders[0] for orders, _, _ in model.asked]
    assert picking.voice is None and picking.instruct == "female, young adult" and len(model.kept) == 1
    assert picking.text == model.kept[0].text
    assert [order.instruct for order in said] == ["female, young adult"] * 2
    assert all(order.voice is not None and order.voice.codes[0, 0] == 1 for order in said)
    list(speaking.speak(Speak("Hello.", "en", design=Traits(Gender.MALE))))
    list(speaking.speak(Speak("Hello.", "vi")))
    assert len(model.kept) == 3
    seeds = [seed for orders, _, seed in model.asked if orders[0].voice is None]
    assert len(set(seeds)) == 3


def test_every_process_picks_the_same_voice(model: Scripted) -> None:
    other = Scripted()
    for one in (model, other):
        list(engine(one).speak(Speak("Hello.", "en", design=Traits(Gender.MALE))))
    assert [seed for _, _, seed in model.asked] == [seed for _, _, seed in other.asked]


def test_a_clone_is_its_own_reference(model: Scripted) -> None:
    prompt = to_bytes(KeptVoice(np.full((8, 30), 7, np.int16), "Hi.", 0.1))
    spoken(model, Speak("Hello.", "en", prompt=prompt))
    ((orders, _, _),) = model.asked
    assert orders[0].voice is not None and orders[0].voice.text == "Hi." and orders[0].instruct == ""


def test_speed_language_and_steps_arrive(model: Scripted) -> None:
    how = Diffusion(num_step=16, guidance_scale=3.0, denoise=False)
    spoken(model, Speak("Hello.", "vi", 1.2, design=Traits(pace=Pace.FAST), diffusion=how))
    spoken(model, Speak("Hello.", "auto", diffusion=Diffusion(1000, 50.0)))
    orders, asked, _ = model.asked[1]
    assert orders[0].language == "vi" and abs(orders[0].speed - 1.5) < 1e-9 and asked == how
    orders, asked, _ = model.asked[3]
    assert orders[0].language is None and asked == Diffusion(128, 10.0)


def test_a_language_without_a_sentence_of_its_own_still_has_a_voice(model: Scripted) -> None:
    assert spoken(model, Speak("Bawo.", "yo"))
    assert [orders[0].language for orders, _, _ in model.asked] == ["en", "yo"]


def test_every_step_is_told_and_closing_stops_the_work(model: Scripted) -> None:
    chunks = engine(model).speak(Speak(TEXT, "en"))
    assert next(chunks).pcm == b"" and len(model.asked) == 1
    getattr(chunks, "close")()  # noqa: B009
    assert next(chunks, None) is None and len(model.asked) == 1


def test_sound_comes_in_small_pieces(model: Scripted) -> None:
    sizes = [len(chunk.pcm) for chunk in spoken(model, Speak(TEXT, "en"))]
    assert max(sizes) <= 2 * RATE and len(sizes) == 5 + 4
    assert all(before.rate == after.rate for before, after in pairwise(spoken(model, Speak(TEXT, "en"))))


def test_what_it_cannot_say(model: Scripted) -> None:
    assert spoken(model, Speak("...", "en")) == [] and model.asked == []
    for request, code in (
        (Speak("a" * 5001, "en"), Code.TEXT_TOO_LONG),
        (Speak("a", "xx"), Code.NOT_FOUND),
        (Speak("a", "en", prompt=b"{}"), Code.BAD_REQUEST),
    ):
        with pytest.raises(VoiceError) as raised:
            engine(model).speak(request)
        assert raised.value.code is code
