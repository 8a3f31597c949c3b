"""What there is, as seed C tells it without asking for a key: models (C11), languages (C12), the machine (C19)."""

from collections.abc import Iterable

from protocol.languages import language_name

# C11: the document's names and speeds; other models are shown under their own id as "standard".
KNOWN_MODELS: dict[str, tuple[str, str]] = {
    "large-v3-turbo": ("Whisper Large V3 Turbo", "fast"),
    "large-v3": ("Whisper Large V3", "standard"),
    "medium": ("Whisper Medium", "fast"),
    "small": ("Whisper Small", "very_fast"),
    "base": ("Whisper Base", "very_fast"),
    "tiny": ("Whisper Tiny", "very_fast"),
    "pocketsphinx": ("PocketSphinx US English", "very_fast"),
}


def models_body(models: Iterable[tuple[str, int]]) -> dict[str, object]:
    """C11 from (id, number of languages) of what is installed; ``languages`` is a number here."""
    return {"models": [_model_row(model, languages) for model, languages in models]}


def _model_row(model: str, languages: int) -> dict[str, object]:
    name, speed = KNOWN_MODELS.get(model, (model, "standard"))
    return {"id": model, "name": name, "languages": languages, "speed": speed}


def languages_body(codes: Iterable[str]) -> dict[str, object]:
    """C12 from the language codes of what is installed, in order of their names."""
    rows = [{"code": code, "name": language_name(code)} for code in sorted(set(codes), key=language_name)]
    return {"languages": rows}


def health_body(*, gpu_name: str = "", gpu_memory_mb: int = 0) -> dict[str, object]:
    """C19; without a GPU the name is "" and the memory 0."""
    gpu = {"gpu_available": bool(gpu_name), "gpu_name": gpu_name, "gpu_memory_mb": gpu_memory_mb}
    return {"status": "ok"} | gpu
