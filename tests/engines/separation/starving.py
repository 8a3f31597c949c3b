"""Demucs on a machine without memory: each call runs out of it."""

from typing import NoReturn

import torch

from engines.base import Options
from engines.separation import demucs


def factory(options: Options) -> demucs.Demucs:
    """Loads as usual; the first segment is one too many."""
    engine = demucs.factory(options)
    for model in engine.models:
        model.forward = _starved
    return engine


def _starved(*_: object) -> NoReturn:
    raise torch.OutOfMemoryError("CUDA out of memory")
