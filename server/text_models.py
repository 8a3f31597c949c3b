"""Which models work on texts: those the settings name, else pulled ones."""

from pathlib import Path

from engines import models
from engines.models import Format
from engines.registry import EngineSpec
from server.settings import Settings

LANGUAGE_MODEL, TRANSLATOR = Format.LANGUAGE_MODEL.value, Format.TRANSLATOR.value


def with_text_model(spec: EngineSpec, settings: Settings, root: Path) -> EngineSpec:
    """An engine that writes or translates, with the model it is to run; without one as it was.

    ``root``: where pulled models are. Raises VoiceError (NOT_INSTALLED, NOT_FOUND) for one that is named and not there.
    """
    if spec.name == LANGUAGE_MODEL:
        named, device = settings.language_model, settings.language_model_device
        threads = settings.language_model_threads
    else:
        named, device = settings.translation_model, settings.translation_model_device
        threads = settings.translation_model_threads
    setting = "VOXLINE_LANGUAGE_MODEL" if spec.name == LANGUAGE_MODEL else "VOXLINE_TRANSLATION_MODEL"
    found = find_text_model(named, root, Format(spec.name), setting)
    if found is None:
        return spec
    options: dict[str, object] = {"directory": str(found.resolve()), "model": found.resolve().name}
    return spec.with_options(**options, device=device, threads=threads)


def find_text_model(named: str, root: Path, form: Format, setting: str) -> Path | None:
    """The directory of the model that ``setting`` names, else of the largest pulled one of that format."""
    if named:
        return models.named(root, named, form, setting)
    here = [model for model in models.installed(root) if model.format is form]
    return max(here, key=lambda model: model.bytes).directory if here else None
