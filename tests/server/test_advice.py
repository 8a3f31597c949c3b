"""What ``voxline doctor`` tells the owner of a machine to pull."""

from engines import models
from server.advice import HEARD_A_SECOND, advice
from server.gpu import Gpu
from server.machine import Machine
from server.settings import Settings


def told(machine: Machine, settings: Settings | None = None) -> str:
    return "\n".join(advice(settings or Settings(), machine, "voxline"))


def test_two_cores_are_told_a_model_that_is_live_there_and_its_speed() -> None:
    text = told(Machine(memory_mb=8_000, cores=2, gpu=None))
    assert "models pull base (148 MB, " in text and "the same model does them" in text
    assert all(f"{speed} s of speech a second" in text for speed in HEARD_A_SECOND.values())


def test_more_cores_and_memory_are_told_more() -> None:
    text = told(Machine(memory_mb=16_000, cores=8, gpu=None))
    assert "models pull small (" in text and "models pull whisper-small" in text
    assert "whisper-small" not in told(Machine(memory_mb=4_000, cores=8, gpu=None))


def test_a_gpu_is_used_and_its_speed_not_made_up() -> None:
    text = told(Machine(memory_mb=16_000, cores=8, gpu=Gpu("a card", 24_000)))
    assert "large-v3-turbo" in text and "VOXLINE_WHISPER_DEVICE=cuda" in text
    assert "not measured on any GPU" in text and "s of speech a second" not in text
    assert "no GPU that models fit" in told(Machine(memory_mb=16_000, cores=8, gpu=Gpu("a small card", 2_000)))


def test_every_model_that_is_named_can_be_pulled() -> None:
    for machine in (Machine(16_000, 8, None), Machine(4_000, 2, None), Machine(16_000, 8, Gpu("a card", 24_000))):
        words = told(machine).replace(",", " ").split()
        for at, word in enumerate(words):
            if word == "pull":
                assert models.published(words[at + 1])
