"""A separator of as many stems as its options say, reachable only through the spec made here."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from engines.base import Capabilities, Options, Task
from engines.registry import EngineSpec


def separator(*stems: str) -> EngineSpec:
    """A spec of it."""
    spec = EngineSpec("parts", Task.SEPARATE, "tests.batch.pipelines.parts:factory", {"stems": stems}, stems=stems)
    return replace(spec, memory_bytes=1 << 30, on_demand=True)


class Parts:
    """Each stem is a share of the mix of its own; "other" has the rest."""

    def __init__(self, stems: tuple[str, ...]) -> None:
        self._stems = stems

    def describe(self) -> Capabilities:
        return Capabilities("parts", Task.SEPARATE, rate=44_100, stems=self._stems)

    def close(self) -> None:
        """Nothing is held."""

    def separate(self, pcm: bytes, rate: int, channels: int) -> Mapping[str, bytes]:
        raise AssertionError("more than two stems were asked for")

    def take_apart(self, pcm: bytes, rate: int, channels: int) -> Mapping[str, bytes]:
        mix = np.frombuffer(pcm, "<i2")
        named = [stem for stem in self._stems if stem != "other"]
        parts = {stem: mix // (number + 3) for number, stem in enumerate(named)}
        parts["other"] = mix - np.sum(list(parts.values()), axis=0, dtype=np.int16)
        return {stem: part.astype("<i2").tobytes() for stem, part in parts.items()}


def factory(options: Options) -> Parts:
    """Factory."""
    stems = options["stems"]
    assert isinstance(stems, list | tuple)
    return Parts(tuple(stems))
