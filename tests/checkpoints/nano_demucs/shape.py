"""The checkpoint's shape and place, for those who need no library to know it."""

from pathlib import Path
from typing import Any

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
