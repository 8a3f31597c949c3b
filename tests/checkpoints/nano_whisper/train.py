"""Train the nano checkpoint: ``python -m tests.checkpoints.nano_whisper.train --help``.

Everything follows from the seed, but for espeak-ng, whose samples differ by a hair from run to run. Stop it at any
time: started again on the same work folder it goes on from its last save.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tests.checkpoints.nano_whisper.bank import load_bank, make_bank
from tests.checkpoints.nano_whisper.batches import FRAME_CLASSES, IGNORED, SILENCE_CLASS, Batch
from tests.checkpoints.nano_whisper.model import NanoWhisper
from tests.checkpoints.nano_whisper.schedule import batches_from, learning_rate, phase_at, total_steps
from tests.checkpoints.nano_whisper.tokens import build_tokens

_FRAME_WEIGHT, _GUIDE_WEIGHT, _TIMESTAMP_WEIGHT = 0.5, 0.3, 0.6
#: In timestamps of 20 ms.
_TIMESTAMP_SPREAD = 2.0
_SAVE_EVERY, _SHOW_EVERY = 250, 50


@dataclass(slots=True)
class Progress:
    """Running means since the last line shown."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, **values: float) -> None:
        """Note one value of each name."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> str:
        """The means as text, and start over."""
        text = "  ".join(f"{name} {total / self.counts[name]:.3f}" for name, total in self.sums.items())
        self.sums.clear()
        self.counts.clear()
        return text


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The next token. Nobody can tell a timestamp to the last 20 ms, so its neighbours are right as well."""
    first = build_tokens().first_timestamp
    asked = labels != IGNORED
    scores, wanted = logits[asked].log_softmax(1), labels[asked]
    time = wanted >= first
    text_losses = -scores[~time, wanted[~time]]
    away = torch.arange(scores.shape[1] - first)[None, :] - (wanted[time] - first)[:, None]
    near = torch.softmax(-0.5 * (away / _TIMESTAMP_SPREAD) ** 2, dim=1)
    time_losses = -(near * scores[time, first:]).sum(1)
    weight = len(text_losses) + _TIMESTAMP_WEIGHT * len(time_losses)
    return (text_losses.sum() + _TIMESTAMP_WEIGHT * time_losses.sum()) / weight


def frame_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Which word is being said at each position; silence counts little, as there is so much of it."""
    weights = torch.ones(FRAME_CLASSES)
    weights[SILENCE_CLASS] = 0.2
    return functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), weight=weights, ignore_index=IGNORED)


def guide_loss(attention: list[Tensor], guides: Tensor) -> Tensor:
    """How little of the guided heads' attention falls where the word or the timestamp is heard."""
    if not len(guides):
        return torch.zeros(())
    clip, target, layer, head, first, end = guides.unbind(1)
    losses = []
    for index, weights in enumerate(attention):
        mine = layer == index
        rows = weights[clip[mine], head[mine], target[mine]]
        places = torch.arange(rows.shape[1])[None, :]
        inside = (places >= first[mine, None]) & (places < end[mine, None])
        losses.append(-torch.log((rows * inside).sum(1) + 1e-4))
    return torch.cat(losses).mean()


def step_loss(model: NanoWhisper, batch: Batch, frames_only: bool, progress: Progress) -> Tensor:
    """The loss of one batch."""
    window = f"{2 if batch.mel.shape[2] < 500 else 5 if batch.mel.shape[2] < 1500 else 30}s"
    if frames_only:
        logits = model.frames_only(batch.mel, batch.offsets)
        loss = frame_loss(logits, batch.frames)
        spoken = batch.frames > SILENCE_CLASS
        progress.add(frame=loss.item(), hit=float((logits.argmax(2) == batch.frames)[spoken].float().mean()))
        return loss
    output = model(batch.mel, batch.offsets, batch.tokens)
    token = token_loss(output.logits, batch.labels)
    frame, guide = frame_loss(output.frames, batch.frames), guide_loss(output.attention, batch.guides)
    asked = (batch.labels != IGNORED) & (batch.labels < build_tokens().first_timestamp)
    hit = float((output.logits.argmax(2) == batch.labels)[asked].float().mean())
    progress.add(**{f"token/{window}": token.item(), f"hit/{window}": hit}, frame=frame.item(), guide=guide.item())
    return token + _FRAME_WEIGHT * frame + _GUIDE_WEIGHT * guide


def train(work: Path, seed: int, stop_at: int) -> None:
    """Run or go on with the schedule; leaves ``state.pt`` in the work folder."""
    torch.manual_seed(seed)
    model = NanoWhisper(build_tokens().size, FRAME_CLASSES)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step, spent = 0, 0.0
    if (work / "state.pt").exists():
        state = torch.load(work / "state.pt", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["seconds"]
    began, progress = time.monotonic() - spent, Progress()
    for batch in batches_from(work, seed, step):
        phase, _ = phase_at(step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        step_loss(model, batch, phase.frames_only, progress).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        seconds = time.monotonic() - began
        if step % _SHOW_EVERY == 0:
            _say(f"{phase.name} {step}/{total_steps()}  {seconds / 60:.1f} min  {progress.take()}")
        if step % _SAVE_EVERY == 0 or step in (stop_at, total_steps()):
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
            torch.save(state, work / "state.new")
            (work / "state.new").replace(work / "state.pt")
        if step == stop_at:
            return


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Train the nano Whisper checkpoint on espeak-ng speech.")
    parser.add_argument("--work", type=Path, default=Path("/tmp/nano-whisper"), help="folder for speech and state")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="threads of the training process")
    parser.add_argument("--stop-at", type=int, default=total_steps(), help="stop after this step, to go on later")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder for the exported model")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    if not (options.work / "bank.json").exists():
        make_bank(options.work, options.seed)
    _say(f"{len(load_bank(options.work).texts)} utterances, {total_steps()} steps")
    train(options.work, options.seed, options.stop_at)
    if options.stop_at >= total_steps():
        from tests.checkpoints.nano_whisper.export import export
        from tests.checkpoints.nano_whisper.score import print_scores

        export(options.work / "state.pt", options.output)
        print_scores(options.output / "model")


if __name__ == "__main__":
    main()
