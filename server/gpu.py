"""What graphics processor this machine has, asked of NVIDIA's management library alone (C19)."""

import ctypes
from dataclasses import dataclass

_NAME_BYTES = 96


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first NVIDIA device."""

    name: str
    memory_mb: int


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


def find_gpu() -> Gpu | None:
    """The first device, or None when there is none (or no driver)."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    if library.nvmlInit_v2() != 0:
        return None
    try:
        device, name, memory = ctypes.c_void_p(), ctypes.create_string_buffer(_NAME_BYTES), _Memory()
        if library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) != 0:
            return None
        library.nvmlDeviceGetName(device, name, _NAME_BYTES)
        library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory))
        return Gpu(name.value.decode(errors="replace"), memory.total >> 20)
    finally:
        library.nvmlShutdown()
