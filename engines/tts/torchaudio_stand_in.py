"""In place of torchaudio, where there is none that loads: the one function OmniVoice calls of it, done by julius.

torchaudio is no longer released for every torch, and its binary does not load beside another one. This is put into
``sys.modules`` of the engine's own process only.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = "torchaudio"


def install() -> None:
    """See that ``import torchaudio`` works; before transformers is imported, which looks for it then."""
    try:
        import_module(NAME)
    except (ImportError, OSError):
        stand_in, functional = _module(NAME), _module(f"{NAME}.functional")
        functional.__dict__["resample"] = _resample
        stand_in.__dict__["functional"] = functional
        stand_in.__path__ = []
        sys.modules[NAME], sys.modules[f"{NAME}.functional"] = stand_in, functional


def _module(name: str) -> ModuleType:
    module = ModuleType(name, __doc__)
    module.__spec__ = ModuleSpec(name, None)
    module.__dict__["__version__"] = "0"
    return module


def _resample(waveform: object, orig_freq: int, new_freq: int, **_: object) -> object:
    return import_module("julius").resample_frac(waveform, int(orig_freq), int(new_freq))
