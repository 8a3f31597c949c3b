"""Which engines a server runs: the registry's, as the settings and what is installed here allow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from accounts.policy import Policies
from engines import models, registry
from engines.base import Task
from engines.fleet import Fleet
from engines.models import Format
from engines.registry import EngineSpec
from engines.separation import checkpoints
from engines.tts import checkpoints as voices
from engines.tts.checkpoints import OMNIVOICE, VITS
from protocol.errors import Code, VoiceError
from server.settings import Settings
from server.text_models import LANGUAGE_MODEL, TRANSLATOR, with_text_model

WHISPER, TRANSFORMERS, SPHINX, ESPEAK = "faster-whisper", "transformers", "pocketsphinx", "espeak-ng"
DEMUCS = "demucs"
_BEST_DEMUCS = "htdemucs"  # of pulled ones, when none is named
# On a CPU no larger model than this keeps up with live speech; one that is named in the settings runs whatever it is.
_LARGEST_ON_CPU = {Format.CTRANSLATE2: "small", Format.TRANSFORMERS: "whisper-small"}
_NEVER_S = 30 * 86_400.0  # what keeps a model loaded for good


def choose_engines(settings: Settings) -> list[EngineSpec]:
    """The engines to start. Raises VoiceError (NOT_INSTALLED, NOT_FOUND) for a model that is named and not there."""
    chosen = list(_chosen(settings))
    if not any(spec.task is Task.RECOGNIZE and not spec.on_demand for spec in chosen) or settings.pocketsphinx == "on":
        sphinx = registry.find(SPHINX)
        if sphinx is not None and settings.pocketsphinx != "off" and not sphinx.missing():
            chosen.append(sphinx)
    limit = settings.engine_memory_mb << 20
    return [replace(spec, memory_bytes=limit) if limit else spec for spec in chosen]


def find_model(settings: Settings, form: Format = Format.CTRANSLATE2) -> models.Installed | None:
    """The Whisper to run: the one the settings name, else the best pulled one that this machine is fast enough for.

    Of transformers' format that is the one for recordings.
    """
    named, setting, root = settings.whisper_model, "VOXLINE_WHISPER_MODEL", models_root(settings)
    if form is Format.TRANSFORMERS:
        named, setting = settings.transformers_model, "VOXLINE_TRANSFORMERS_MODEL"
    if named:
        directory = models.named(root, named, form, setting)
        return models.Installed(_name(directory), directory.resolve(), 0, form)
    here = {model.name: model for model in models.installed(root)}
    names = [model.name for model in models.PUBLISHED if model.format is form]
    if settings.whisper_device == "cpu":
        names = names[: names.index(_LARGEST_ON_CPU[form]) + 1]
    best = [here[name] for name in names if name in here]
    return best[-1] if best else None


def find_demucs(settings: Settings) -> Path | None:
    """The directory with the Demucs weights to run: the one the settings name, else one under the pulled models.

    Raises VoiceError when the one that is named is not there, or damaged.
    """
    named, root = settings.demucs_model, models_root(settings)
    if not named:
        here = [model for model in models.installed(root) if model.format is Format.DEMUCS]
        best = sorted(here, key=lambda model: model.name != _BEST_DEMUCS)
        return best[0].directory if best else None
    directory = models.named(root, named, Format.DEMUCS, "VOXLINE_DEMUCS_MODEL")
    checkpoints.find(directory)
    return directory


def with_model(spec: EngineSpec, settings: Settings) -> EngineSpec:
    """An engine of models with the one it is to run; without one, or another engine, as it was."""
    if spec.name == DEMUCS and (found := find_demucs(settings)):
        directory, name = str(found.resolve()), _name(found)
        device, threads = settings.demucs_device, settings.demucs_threads
        spec = spec.with_options(directory=directory, model=name, device=device, threads=threads)
        return replace(spec, stems=_stems(found))
    if spec.name in (VITS, OMNIVOICE):
        return with_voices(spec, settings)
    if spec.name in (LANGUAGE_MODEL, TRANSLATOR):
        return with_text_model(spec, settings, models_root(settings))
    if spec.name == WHISPER and (model := find_model(settings)):
        chosen = replace(spec.with_options(**whisper_options(settings, model)), idle_s=settings.whisper_idle_seconds)
        return _on_devices(chosen, settings.whisper_device)
    if spec.name == TRANSFORMERS and (model := find_model(settings, Format.TRANSFORMERS)):
        options = whisper_options(settings, model)
        del options["compute_type"]
        known = models.languages(model.directory) or spec.languages
        allowed = settings.whisper_languages or known
        languages, note = tuple(code for code in known if code in allowed), "for recordings, loaded when one comes"
        return replace(spec.with_options(**options), languages=languages, note=note)
    return spec


def more_stems(spec: EngineSpec, settings: Settings) -> EngineSpec | None:
    """A second Demucs, of pulled weights, for stems that ``spec`` does not know; None where there is none."""
    for model in models.installed(models_root(settings)):
        stems = _stems(model.directory) if model.format is Format.DEMUCS else ()
        if set(stems) > set(spec.stems):
            more = spec.with_options(directory=str(model.directory.resolve()), model=model.name)
            return replace(more, name=f"{spec.name} {model.name}", stems=stems, preference=spec.preference - 1)
    return None


def _stems(directory: Path) -> tuple[str, ...]:
    """What weights take apart; nothing but voices where they are damaged, which the job that asks for them says."""
    try:
        return checkpoints.stems_of(checkpoints.find(directory))
    except VoiceError:
        return ()


def with_voices(spec: EngineSpec, settings: Settings) -> EngineSpec:
    """A speech engine with the directory of its checkpoints, where there are any.

    Raises VoiceError (NOT_INSTALLED) when there are none in the one that is named.
    """
    vits = spec.name == VITS
    named, device = (
        (settings.vits_model, settings.vits_device) if vits else (settings.omnivoice_model, settings.omnivoice_device)
    )
    directory = Path(named) if named else models_root(settings)
    if not voices.find(directory, spec.name):
        if named:
            raise VoiceError(Code.NOT_INSTALLED, f"{named} holds no {spec.name} checkpoint", install=spec.install)
        return spec
    options: dict[str, object] = {"directory": str(directory.resolve()), "device": _devices(device)[0]}
    spec = spec.with_options(**options, **({"threads": settings.vits_threads} if vits else {}))
    spec = _on_devices(replace(spec, idle_s=settings.voices_idle_seconds), device)
    if named and spec.missing():
        what = f"{spec.name} needs {', '.join(spec.missing())}"
        raise VoiceError(Code.NOT_INSTALLED, what, install=spec.install)
    return spec


def whisper_options(settings: Settings, model: models.Installed) -> dict[str, object]:
    """How the settings want a model run, as options of its engine."""
    return {
        "directory": str(model.directory.resolve()),
        "model": model.name,
        "device": _devices(settings.whisper_device)[0],
        "compute_type": settings.whisper_compute_type,
        "threads": settings.whisper_threads,
        "trim": settings.whisper_trim,
        "languages": list(settings.whisper_languages),
    }


def absent_models(settings: Settings) -> list[dict[str, object]]:
    """The models that could be pulled, as ``GET /v1/models`` lists them. Reads the disk."""
    here = {model.name for model in models.installed(models_root(settings))}
    return [
        {"id": it.name, "engine": it.format.value, "megabytes": it.megabytes, "install": models.pull_command(it.name)}
        for it in models.PUBLISHED
        if it.name not in here
    ]


def models_root(settings: Settings) -> Path:
    """Where pulled models are kept."""
    return settings.data / "models"


def _chosen(settings: Settings) -> Iterator[EngineSpec]:
    for spec in registry.known():
        if spec.name == ESPEAK:
            spec = replace(spec, processes=settings.synthesizers)
        spec = with_model(spec, settings)
        if spec.name != SPHINX and not spec.missing():
            yield spec
            if spec.name == DEMUCS and (more := more_stems(spec, settings)):
                yield more


def _devices(setting: str) -> list[str]:
    return [part.strip() for part in setting.split(",")]


def _on_devices(spec: EngineSpec, setting: str) -> EngineSpec:
    """A process for each device, where there are several."""
    devices = _devices(setting)
    return spec if len(devices) == 1 else replace(spec, devices=tuple(devices), processes=len(devices))


def _name(directory: Path) -> str:
    """What clients call a model that was given as a directory: its name, or its parent's when that says nothing."""
    resolved = directory.resolve()
    generic = resolved.name in ("model", "models", "ctranslate2", "ctranslate2-int8", "transformers")
    return resolved.parent.name if generic else resolved.name


async def tune_batch_models(fleet: Fleet, policies: Policies) -> None:
    """What an admin set of the models of batch work (A52), for those that are started from now on."""
    chosen = (await policies.current()).stt_v2
    fleet.lanes.idle_s = chosen.idle_unload_s or _NEVER_S
    fleet.lanes.compute_type = chosen.compute_type
