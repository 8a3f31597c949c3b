"""Train the nano checkpoint: ``python -m tests.checkpoints.nano_demucs.train --help``.

Everything follows from the seed, but for espeak-ng, whose samples differ by a hair from run to run. Stop it at any
time: started again on the same work folder it goes on from its last save.
"""

import argparse
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from demucs.htdemucs import HTDemucs
from torch import Tensor

from tests.checkpoints.nano_demucs.export import export
from tests.checkpoints.nano_demucs.make_data import batches, load
from tests.checkpoints.nano_demucs.shape import FOLDER, KEYWORDS, SOURCES

_BATCH, _SEGMENT_S = 3, 2.0
_PEAK_RATE, _WARM_STEPS, _DECAY_SHARE = 2e-3, 60, 0.4
_AVERAGE = 0.995  # of the weights, over steps: what is exported
_FLOOR = 1e-3  # an error 30 dB under the mix is good enough
_SHOW_EVERY, _SAVE_EVERY = 25, 100


def loss_of(estimates: Tensor, voices: Tensor, played: Tensor) -> Tensor:
    """How loud the error of each stem is against the mix, in dB over ten."""
    truth = torch.stack([played, voices], 1)
    loud = (played + voices).pow(2).mean((1, 2))[:, None] + 1e-7
    errors = (estimates - truth).pow(2).mean((2, 3))
    return torch.log10(errors / loud + _FLOOR).mean()


def learning_rate(step: int, steps: int) -> float:
    """Up, level, and down along half a cosine."""
    decaying = (step - (1 - _DECAY_SHARE) * steps) / (_DECAY_SHARE * steps)
    down = 0.5 + 0.5 * math.cos(math.pi * min(max(decaying, 0.0), 1.0))
    return _PEAK_RATE * min(1.0, (step + 1) / _WARM_STEPS) * (0.02 + 0.98 * down)


def train(work: Path, seed: int, steps: int, stop_at: int) -> dict[str, Tensor]:
    """Run or go on with the schedule; leaves ``state.pt`` in the work folder and returns the averaged weights."""
    torch.manual_seed(seed)
    material = load(work)
    model = HTDemucs(list(SOURCES), **KEYWORDS).train()
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98))
    average = {name: value.clone() for name, value in model.state_dict().items()}
    step, spent, shown = 0, 0.0, 0.0
    if (work / "state.pt").exists():
        state = torch.load(work / "state.pt", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, spent = state["average"], state["step"], state["seconds"]
    began = time.process_time() - spent
    for voices, played in batches(material, _BATCH, _SEGMENT_S, seed, step):
        if step >= min(stop_at, steps):
            return average
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        heard, wanted = torch.from_numpy(voices), torch.from_numpy(played)
        loss = loss_of(model(heard + wanted), heard, wanted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        follow(average, model, step)
        shown += loss.item()
        if step % _SHOW_EVERY == 0:
            _say(f"{step}/{steps}  {time.process_time() - began:.0f} s of CPU  error {10 * shown / _SHOW_EVERY:.2f} dB")
            shown = 0.0
        if step % _SAVE_EVERY == 0 or step in (stop_at, steps):
            kept = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
            _save(work, {**kept, "step": step, "seconds": time.process_time() - began})
    raise AssertionError("there are always more mixes")


def follow(average: dict[str, Tensor], model: torch.nn.Module, step: int) -> None:
    """Move the average a little towards the weights; at first more, as there is little to average."""
    keep = min(_AVERAGE, 1 - 1 / (1 + step / 4))
    with torch.no_grad():
        for name, value in model.state_dict().items():
            average[name].mul_(keep).add_(value, alpha=1 - keep)


def _save(work: Path, state: dict[str, Any]) -> None:
    torch.save(state, work / "state.new")
    (work / "state.new").replace(work / "state.pt")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Train the nano HTDemucs checkpoint.")
    parser.add_argument("--work", type=Path, default=Path("/tmp/nano-demucs"), help="folder for material and state")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--stop-at", type=int, default=sys.maxsize, help="stop after this step, to go on later")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder for the checkpoint")
    options = parser.parse_args()
    os.nice(19)
    torch.set_num_threads(options.threads)
    average = train(options.work, options.seed, options.steps, options.stop_at)
    export(average, options.output)
    from tests.checkpoints.nano_demucs.score import print_scores

    print_scores(options.output)


STEPS = 1300

if __name__ == "__main__":
    main()
