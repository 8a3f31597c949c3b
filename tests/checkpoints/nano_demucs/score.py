"""Score a checkpoint against the classical method: ``python -m tests.checkpoints.nano_demucs.score --help``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.base import Separator
from engines.separation import demucs, repetition
from tests.checkpoints.nano_demucs.held_out import Mix, gains, held_out_mixes
from tests.checkpoints.nano_demucs.music import RATE
from tests.checkpoints.nano_demucs.shape import FOLDER

SECONDS = 20.0


def mean_gains(engine: Separator, mixes: Sequence[Mix]) -> tuple[float, float]:
    """Mean improvement of the SI-SDR of voices and of the rest, dB."""
    found = []
    for mix in mixes:
        stems = engine.separate(mix.pcm, RATE, 2)
        found.append(gains(mix, stems["vocals"], stems["instrumental"]))
    voices, rest = np.mean(found, axis=0)
    return float(voices), float(rest)


def print_scores(folder: Path, count: int = 12) -> None:
    """The table of the README."""
    nano = demucs.factory({"directory": str(folder), "threads": 1})
    engines: dict[str, Separator] = {"classical": repetition.factory({}), "nano": nano}
    for name, strangers in (("known voices", False), ("voices never heard", True)):
        mixes = held_out_mixes(count, SECONDS, strangers=strangers)
        for engine, separator in engines.items():
            voices, rest = mean_gains(separator, mixes)
            sys.stdout.write(f"| {name} | {engine} | {voices:+.1f} dB | {rest:+.1f} dB |\n")
            sys.stdout.flush()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="SI-SDR improvement on held-out mixes.")
    parser.add_argument("--model", type=Path, default=FOLDER)
    parser.add_argument("--count", type=int, default=12, help="mixes of each kind")
    options = parser.parse_args()
    print_scores(options.model, options.count)


if __name__ == "__main__":
    main()
