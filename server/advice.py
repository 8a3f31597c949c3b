"""Which models a machine is best served by, and what speed to expect: from measurements, which say where they end.

The figures are seconds of speech that one core hears in a second of its time, finals of four seconds decoded alone by
models of the published sizes (``python -m loadtest sizes`` takes them anew). They are an EPYC core's of 2026; other
cores differ by a factor of two. Live sessions with partials take more: what is being said is heard about once a second.
"""

from collections.abc import Iterator

from engines import models
from server.machine import Machine, recommended
from server.settings import Settings

HEARD_A_SECOND = {"tiny": 55, "base": 29, "small": 9}
_ROOM_FOR_RECORDINGS_MB = 4_000
_GPU_MB = 6_000
_DEVICE = "VOXLINE_WHISPER_DEVICE=cuda"


def advice(settings: Settings, machine: Machine, program: str) -> list[str]:
    """What to do, in lines for a terminal; ``program`` is how the command is called."""
    gpu = machine.gpu
    if gpu is not None and gpu.memory_mb >= _GPU_MB:
        lines = [f"This machine has a GPU ({gpu.name}, {gpu.memory_mb // 1000} GB). For speech to text on it:"]
        return lines + [f"  {line}" for line in _on_gpu(program)]
    lines = [f"This machine has {machine.cores} cores and no GPU that models fit. For speech to text:"]
    return lines + [f"  {line}" for line in _on_cpu(settings, machine, program)]


def _on_gpu(program: str) -> Iterator[str]:
    yield f"live:        {program} models pull large-v3-turbo, and {_DEVICE}"
    yield f"recordings:  {program} models pull whisper-large-v3-turbo (API A v1)"
    yield f"voices:      {program} models pull omnivoice, and VOXLINE_OMNIVOICE_DEVICE=cuda"
    yield "How fast that is was not measured on any GPU."


def _on_cpu(settings: Settings, machine: Machine, program: str) -> Iterator[str]:
    name = recommended(settings.model_copy(update={"whisper_device": "cpu"}), machine)
    yield f"live:        {program} models pull {name} ({_speed(name)})"
    if machine.cores >= 4 and machine.memory_mb >= 2 * _ROOM_FOR_RECORDINGS_MB:
        took = "four fifths of a recording's length on a core"
        yield f"recordings:  {program} models pull whisper-small (API A v1; {took})"
    else:
        yield "recordings:  nothing more, the same model does them"
    yield f"voices:      {program} models pull mms-tts-eng (not for commercial use); espeak-ng needs none"
    for other in HEARD_A_SECOND:
        if other != name:
            yield f"             {other}: {_speed(other)}"
    yield "Finals of 4 s, measured on an EPYC core; yours may differ by a factor of two. With partials it is half."


def _speed(name: str) -> str:
    megabytes = models.published(name).megabytes
    return f"{megabytes} MB, {HEARD_A_SECOND[name]} s of speech a second on one core"
