"""What is trained in which order: four phases, and the batches of each step."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import DataLoader, Dataset, Sampler

from tests.checkpoints.nano_whisper.bank import load_bank
from tests.checkpoints.nano_whisper.batches import Batch, draw_mode, generator, make_batch
from tests.checkpoints.nano_whisper.clips import Recipe, Rng, make_clip


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training. ``windows`` are (share, shortest, longest) in seconds; the learning rate runs linearly
    between its two values; ``alone`` is the share of windows above 5 s with a single utterance and ``chain`` how
    likely at least each utterance in the others is followed by one more; in a phase of ``frames_only`` the decoder
    rests."""

    name: str
    steps: int
    learning_rates: tuple[float, float]
    windows: tuple[tuple[float, float, float], ...]
    offset_share: float
    alone: float = 0.5
    chain: float = 0.0
    frames_only: bool = False


_SHORT = ((1.0, 2.0, 4.5),)
_ALL = ((0.7, 1.5, 5.0), (0.18, 5.0, 10.0), (0.04, 10.0, 20.0), (0.08, 30.0, 30.0))
_LONG = ((0.5, 1.5, 5.0), (0.42, 5.0, 15.0), (0.08, 30.0, 30.0))
PHASES = (
    Phase("frames", 1400, (1.5e-3, 1.5e-3), _SHORT, offset_share=0.4, frames_only=True),
    Phase("short", 5350, (1.5e-3, 1.338e-3), _SHORT, offset_share=0.3),
    Phase("windows", 4200, (1.3e-3, 0.3e-4), _ALL, offset_share=0.1),
    Phase("dialogues", 2400, (0.5e-3, 0.2e-4), _LONG, offset_share=0.05, alone=0.15, chain=0.75),
)
#: Seconds of window a batch holds in all, which bounds its cost.
_BATCH_SECONDS = 34.0
_LARGEST_BATCH, _SMALLEST_BATCH = 8, 2
_TIMESTAMP_SHARE = 0.4


def total_steps() -> int:
    """Steps of all phases together."""
    return sum(phase.steps for phase in PHASES)


def phase_at(step: int) -> tuple[Phase, int]:
    """The phase a step belongs to, and its number within it."""
    for phase in PHASES:
        if step < phase.steps:
            return phase, step
        step -= phase.steps
    raise ValueError("past the end of the schedule")


def learning_rate(step: int) -> float:
    """Learning rate of a step; the first 200 of all warm up."""
    phase, inside = phase_at(step)
    first, last = phase.learning_rates
    return min(1.0, (step + 1) / 200) * (first + (last - first) * inside / phase.steps)


class Batches(Dataset[Batch]):  # type: ignore[misc]
    """The batch of each step, made from the seed and the step alone, so that training can resume anywhere."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._bank = load_bank(folder)
        self._seed = seed

    def __getitem__(self, step: int) -> Batch:
        rng = generator(self._seed, step)
        phase, _ = phase_at(step)
        window = draw_window(phase, rng)
        size = max(_SMALLEST_BATCH, min(_LARGEST_BATCH, int(_BATCH_SECONDS / window)))
        several = 0.0 if window < 3.0 else min(0.75, window / 30 + 0.1)
        if window > 5:
            several = 0.0 if rng.random() < phase.alone else max(several, phase.chain)
        cut = 0.0 if phase.frames_only else 0.17
        recipe = Recipe(window=window, several=several, cut=cut)
        clips = [make_clip(self._bank, recipe, rng) for _ in range(size)]
        modes = [draw_mode(clip, window, phase.offset_share, _TIMESTAMP_SHARE, rng) for clip in clips]
        return make_batch(clips, modes, round(window * 100), rng)


def draw_window(phase: Phase, rng: Rng) -> float:
    """Seconds of a batch's window, a multiple of 0.1."""
    shares = [share for share, _, _ in phase.windows]
    _, shortest, longest = phase.windows[int(rng.choice(len(shares), p=shares))]
    return float(round(rng.uniform(shortest, longest), 1))


class _Steps(Sampler[int]):  # type: ignore[misc]
    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._first, total_steps()))

    def __len__(self) -> int:
        return total_steps() - self._first


def batches_from(folder: Path, seed: int, first_step: int) -> DataLoader[Batch]:
    """Batches from a step to the end, made by one process beside the one that trains."""
    steps = _Steps(first_step)
    return DataLoader(Batches(folder, seed), batch_size=None, sampler=steps, num_workers=1, prefetch_factor=16)
