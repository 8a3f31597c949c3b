"""What this machine has, and which models it can run with that."""

import os
from dataclasses import dataclass

import psutil

from engines.models import Format, Published
from server.gpu import Gpu, find_gpu
from server.settings import Settings

_SHARE = 0.7  # of the memory: the rest is for the server, the other engines, and what else runs here
_CORES_FOR_SMALL = 4
_GPU_MB_FOR_TURBO = 6000


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory and processors."""

    memory_mb: int
    cores: int
    gpu: Gpu | None


def find_machine() -> Machine:
    """The one this runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(int(psutil.virtual_memory().total) >> 20, cores, find_gpu())


def misfit(model: Published, machine: Machine) -> str:
    """Why a model does not fit into the memory here; "" when it does, on the GPU if there is one."""
    if machine.gpu is not None and model.gpu_memory_mb <= machine.gpu.memory_mb:
        return ""
    if model.memory_mb <= machine.memory_mb * _SHARE:
        return ""
    return f"needs about {-(-model.memory_mb // 1000)} GB of memory"


def recommended(settings: Settings, machine: Machine) -> str:
    """The name of the live recogniser this machine is best served by."""
    if settings.whisper_device != "cpu" and machine.gpu is not None and machine.gpu.memory_mb >= _GPU_MB_FOR_TURBO:
        return "large-v3-turbo"
    return "small" if machine.cores >= _CORES_FOR_SMALL else "base"


def engine_of(form: Format) -> str:
    """What a model is for, in words."""
    return {
        Format.CTRANSLATE2: "speech to text",
        Format.TRANSFORMERS: "recordings to text",
        Format.VITS: "text to speech",
        Format.OMNIVOICE: "text to speech",
        Format.DEMUCS: "separation",
        Format.LANGUAGE_MODEL: "texts",
        Format.TRANSLATOR: "translation",
    }[form]
