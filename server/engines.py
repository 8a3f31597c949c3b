"""Which engines a server runs: the registry's, as the settings and what is installed here allow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from engines import models, registry
from engines.base import Task
from engines.registry import EngineSpec
from server.settings import Settings

WHISPER, SPHINX, ESPEAK = "faster-whisper", "pocketsphinx", "espeak-ng"
# On a CPU no larger model than this keeps up with live speech; one that is named in the settings runs whatever it is.
_LARGEST_ON_CPU = "small"


def choose_engines(settings: Settings) -> list[EngineSpec]:
    """The engines to start. Raises VoiceError (NOT_INSTALLED, NOT_FOUND) for a model that is named and not there."""
    chosen = list(_chosen(settings, find_model(settings)))
    if not any(spec.task is Task.RECOGNIZE for spec in chosen) or settings.pocketsphinx == "on":
        sphinx = registry.find(SPHINX)
        if sphinx is not None and settings.pocketsphinx != "off" and not sphinx.missing():
            chosen.append(sphinx)
    limit = settings.engine_memory_mb << 20
    return [replace(spec, memory_bytes=limit) if limit else spec for spec in chosen]


def find_model(settings: Settings) -> models.Installed | None:
    """The Whisper model to run: the one the settings name, else the best pulled one that this machine can run live."""
    named, root = settings.whisper_model, models_root(settings)
    if named:
        directory = Path(named)
        if directory.is_dir():
            return models.Installed(_name(directory), directory.resolve(), 0)
        return models.find(root, named)
    here = {model.name: model for model in models.installed(root)}
    names = [model.name for model in models.PUBLISHED]
    if settings.whisper_device == "cpu":
        names = names[: names.index(_LARGEST_ON_CPU) + 1]
    best = [here[name] for name in names if name in here]
    return best[-1] if best else None


def whisper_options(settings: Settings, model: models.Installed) -> dict[str, object]:
    """How the settings want a model run, as options of its engine."""
    return {
        "directory": str(model.directory.resolve()),
        "model": model.name,
        "device": settings.whisper_device,
        "compute_type": settings.whisper_compute_type,
        "threads": settings.whisper_threads,
        "trim": settings.whisper_trim,
        "languages": list(settings.whisper_languages),
    }


def models_root(settings: Settings) -> Path:
    """Where pulled models are kept."""
    return settings.data / "models"


def _chosen(settings: Settings, model: models.Installed | None) -> Iterator[EngineSpec]:
    for spec in registry.known():
        if spec.name == WHISPER and model is not None:
            spec = spec.with_options(**whisper_options(settings, model))
        elif spec.name == ESPEAK:
            spec = replace(spec, processes=settings.synthesizers)
        if spec.name != SPHINX and not spec.missing():
            yield spec


def _name(directory: Path) -> str:
    """What clients call a model that was given as a directory: its name, or its parent's when that says nothing."""
    resolved = directory.resolve()
    generic = resolved.name in ("model", "models", "ctranslate2", "ctranslate2-int8")
    return resolved.parent.name if generic else resolved.name
