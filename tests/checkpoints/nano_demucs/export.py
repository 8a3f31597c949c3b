"""The checkpoint's shape, and its file: safetensors in float16 whose metadata says how to build the model, as demucs'
own published files do."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

#: Where the committed checkpoint is.
FOLDER = Path(__file__).parent / "model"
SOURCES = ("other", "vocals")
KEYWORDS: dict[str, Any] = {
    "audio_channels": 2,
    "channels": 12,
    "growth": 2,
    "depth": 4,
    "nfft": 1024,
    "t_layers": 2,
    "t_heads": 4,
    "t_hidden_scale": 2.0,
    "bottom_channels": 64,
    "dconv_mode": 0,
    "samplerate": 16000,
    "segment": 2,
}
NAME = "nano"


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
