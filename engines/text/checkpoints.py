"""Models of transformers that work on texts: how they are run, and how they are read from a directory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import huggingface_hub.constants
import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer

from engines.base import Options
from protocol.errors import Code, VoiceError

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError, SafetensorError)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is run. ``read_settings`` reads it from an engine's options, by these names."""

    directory: str
    model: str = ""  # its name in answers; the directory's when empty
    device: str = "cpu"
    threads: int = 2

    @property
    def name(self) -> str:
        """What answers call it."""
        return self.model or Path(self.directory).name


def read_settings(options: Options) -> Settings:
    """An engine's options as settings."""
    return Settings(**cast(dict[str, Any], dict(options)))


def load(settings: Settings, kind: Any, install: str) -> tuple[Any, Any]:
    """The tokenizer and the model, on its device. Only safetensors are read, no code, and no hub is asked.

    Raises NOT_INSTALLED when there is none in the directory that can be read.
    """
    huggingface_hub.constants.HF_HUB_OFFLINE = True  # the library asks the hub about files that are optional
    torch.set_num_threads(settings.threads)
    device = torch.device(settings.device)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    directory = Path(settings.directory)
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        model = kind.from_pretrained(directory, local_files_only=True, use_safetensors=True, dtype=dtype)
    except _UNREADABLE as error:
        what = f"there is no model in {directory} that can be read as one ({type(error).__name__})"
        raise VoiceError(Code.NOT_INSTALLED, what, install=install) from error
    return tokenizer, model.eval().to(device)


def described(model: Any) -> str:
    """How large a model is and where it runs, in words."""
    count = sum(parameter.numel() for parameter in model.parameters())
    size = f"{count / 1e9:.1f} billion" if count >= 1e8 else f"{count / 1e6:.1f} million"
    return f"{size} parameters on {model.device.type}"
