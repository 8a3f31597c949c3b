"""The checkpoint's file: safetensors in float16 whose metadata says how to build the model, as demucs'
own published files do."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.checkpoints.nano_demucs.shape import KEYWORDS, NAME, SOURCES


def export(state: dict[str, Tensor], folder: Path) -> None:
    """Write ``nano.yaml`` and ``nano.safetensors`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": json.dumps([list(SOURCES)]),
        "kwargs": json.dumps(KEYWORDS),
    }
    halves = {name: value.to(torch.float16).contiguous() for name, value in state.items()}
    save_file(halves, folder / f"{NAME}.safetensors", metadata)
    (folder / f"{NAME}.safetensors").chmod(0o644)
    (folder / f"{NAME}.yaml").write_text(f"models: ['{NAME}']\n", encoding="utf-8")
