"""What the engines of a server can do, and how soon: as people and programs are told."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from engines.base import Capabilities, Task
from engines.host import EngineHost
from engines.on_demand import OnDemand
from engines.registry import EngineSpec


class State(StrEnum):
    """Whether an engine's model is in memory."""

    LOADED = "loaded"
    LOADING = "loading"
    ON_DEMAND = "on_demand"  # the first work that needs it loads it


class Offer(NamedTuple):
    """What an engine can do, and how soon."""

    capabilities: Capabilities
    state: State
    live: bool = True  # it serves sessions too, not recordings only
    load_s: float = 0.0  # what loading it took the last time; 0: it never was
    memory_bytes: int = 0  # its processes hold now


def standing(hosts: Sequence[EngineHost]) -> Offer:
    """Of an engine that has processes of its own, though they may rest."""
    able, load_s = hosts[0].capabilities, max(host.load_s for host in hosts)
    state = State.LOADED if any(host.alive for host in hosts) else State.LOADING
    if all(host.resting for host in hosts):
        state = State.ON_DEMAND
    return Offer(able, state, load_s=load_s, memory_bytes=sum(host.resident_bytes for host in hosts))


def on_demand(able: Capabilities, lane: OnDemand[Any], memory_bytes: int) -> Offer:
    """Of an engine that is there only while it is used."""
    state = State.LOADED if lane.ready else State.LOADING if lane.running else State.ON_DEMAND
    return Offer(able, state, live=False, load_s=lane.load_s, memory_bytes=memory_bytes)


def described(spec: EngineSpec) -> Capabilities:
    """What an engine for batch work will say of itself when it is loaded."""
    hears = spec.task is Task.RECOGNIZE
    model = str(spec.options.get("model", ""))
    return Capabilities(
        spec.name,
        spec.task,
        model,
        spec.languages,
        detects_language=len(spec.languages) > 1,
        word_timestamps=hears,
        stems=spec.stems,
        note=spec.note,
    )
