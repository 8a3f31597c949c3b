"""The engines as the pages list them."""

from collections.abc import Iterable

from engines.base import Capabilities, Task

_FOR = {
    Task.RECOGNIZE: "speech to text",
    Task.SYNTHESIZE: "text to speech",
    Task.DETECT: "speech detection",
    Task.SEPARATE: "separation",
    Task.TREAT: "work on sound",
    Task.DIARIZE: "who speaks when",
    Task.TEXT: "work on texts",
    Task.WRITE: "language model",
    Task.TRANSLATE: "translation",
}


def engine_rows(engines: Iterable[Capabilities]) -> list[dict[str, str]]:
    """One row for each engine: what it is for, its name and model, its languages, what to know of it."""
    return [
        {
            "task": _FOR.get(one.task, one.task.value),
            "name": one.engine,
            "model": one.model,
            "languages": _languages(one.languages),
            "note": one.note,
        }
        for one in sorted(engines, key=lambda one: list(_FOR).index(one.task) if one.task in _FOR else len(_FOR))
    ]


def _languages(codes: tuple[str, ...]) -> str:
    return ", ".join(codes) if 0 < len(codes) <= 4 else f"{len(codes)} languages" if codes else "any"
