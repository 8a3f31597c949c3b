"""``voxline doctor``: what is installed, what it can do, what is missing and the command that adds it."""

import asyncio
import platform
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engines import models, registry
from engines.base import Capabilities, Task
from engines.host import EngineHost
from engines.registry import EngineSpec
from engines.tts.checkpoints import OMNIVOICE
from protocol.errors import VoiceError
from server.advice import advice
from server.commands.terminal import as_typed, err, out, run
from server.engines import WHISPER, models_root, with_model
from server.gpu import find_gpu
from server.machine import find_machine, recommended
from server.microphone import audio_problem
from server.settings import Settings, load_settings
from server.texts import endpoint_state

EXAMPLES = "Examples:\n\n- `voxline doctor`\n\n- `voxline doctor --data /srv/voxline`"

_JOBS = {
    Task.RECOGNIZE: "speech to text",
    Task.SYNTHESIZE: "text to speech",
    Task.DETECT: "finds speech",
    Task.SEPARATE: "separates sound",
    Task.TREAT: "works on sound",
    Task.DIARIZE: "tells speakers apart",
    Task.TEXT: "works on texts",
    Task.WRITE: "writes texts",
    Task.TRANSLATE: "translates texts",
}
_NEEDED = (Task.RECOGNIZE, Task.SYNTHESIZE, Task.DETECT)
_SHOWN_LANGUAGES = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one engine when it was started."""

    spec: EngineSpec
    found: Capabilities | None
    problem: str = ""


def doctor(data: Annotated[Path | None, typer.Option(help="The server's data directory.")] = None) -> None:
    """Start every engine that is installed; say what works, for which languages, what would add the rest, which models
    suit this machine, and how fast they are."""
    settings = load_settings(data=data)
    findings = run(_examine(settings))
    console = out()
    console.print(f"Voxline on Python {platform.python_version()}, {_machine()}\n")
    console.print(_engine_table(findings))
    if settings.text_url:
        console.print(f"text_url    {run(endpoint_state(settings))}", markup=False, highlight=False)
    console.print("")
    for finding in findings:
        if finding.found is not None and finding.found.languages:
            console.print(f"{finding.spec.name}: {' '.join(sorted(finding.found.languages))}")
    console.print("")
    console.print(_model_table(settings))
    console.print("")
    for line in advice(settings, find_machine(), "voxline"):
        console.print(as_typed(line), markup=False, highlight=False)
    console.print("")
    missing = list(_missing(findings, settings))
    for line in missing or ["Nothing is missing."]:
        console.print(line)
    working = {finding.spec.task for finding in findings if finding.found is not None}
    raise typer.Exit(0 if working.issuperset(_NEEDED) else 1)


async def _examine(settings: Settings) -> list[Finding]:
    """Every known engine, started and stopped again."""
    specs = []
    for spec in registry.known():
        try:
            specs.append(with_model(spec, settings))
        except VoiceError as error:
            err().print(f"{spec.name}: {error}")
            specs.append(spec)
    with err().status("starting the engines ..."):
        return list(await asyncio.gather(*(_try(replace(spec, processes=1)) for spec in specs)))


async def _try(spec: EngineSpec) -> Finding:
    missing = spec.missing()
    if missing:
        what = "needs a model" if "directory" in missing else f"needs {', '.join(missing)}"
        return Finding(spec, None, what)
    host = EngineHost(spec)
    try:
        return Finding(spec, await host.start())
    except VoiceError as error:
        return Finding(spec, None, str(error))
    finally:
        await host.aclose()


def _engine_table(findings: list[Finding]) -> Table:
    table = Table("engine", "does", "state", "languages", "about", box=None, pad_edge=False)
    for finding in findings:
        found, spec = finding.found, finding.spec
        languages = found.languages if found else spec.languages
        voices = f", {len(found.voices)} voices" if found and found.voices else ""
        state = "works" if found else finding.problem
        note = found.note if found and found.note else spec.note
        table.add_row(spec.name, _JOBS[spec.task], state, _shown(languages) + voices, note)
    return table


def _shown(languages: tuple[str, ...]) -> str:
    return (" ".join(languages) or "any") if len(languages) <= _SHOWN_LANGUAGES else f"{len(languages)} languages"


def _model_table(settings: Settings) -> Table:
    here = {model.name: model for model in models.installed(models_root(settings))}
    table = Table("model", "engine", "size", "state", "about", box=None, pad_edge=False)
    for model in models.PUBLISHED:
        state = "installed" if model.name in here else "not here"
        table.add_row(model.name, model.format.value, f"{model.megabytes} MB", state, model.note)
    for name in here.keys() - {model.name for model in models.PUBLISHED}:
        size = f"{here[name].bytes // 1_000_000} MB"
        table.add_row(name, here[name].format.value, size, "installed", "")
    return table


def _missing(findings: list[Finding], settings: Settings) -> list[str]:
    lines = [
        f"To add {finding.spec.name}: {as_typed(_install(finding.spec, settings))}"
        for finding in findings
        if finding.found is None and finding.spec.install
    ]
    problem = audio_problem()
    if problem:
        lines.append(f"For the microphone and for speaking aloud: {problem}")
    free = shutil.disk_usage(settings.data if settings.data.is_dir() else Path.cwd()).free
    if free < 2 << 30:
        lines.append(f"Only {free >> 20} MiB of disk are free.")
    return lines


def _install(spec: EngineSpec, settings: Settings) -> str:
    """The command that adds what an engine lacks: a model, where that is all."""
    if spec.missing() != ("directory",):
        return spec.install
    if spec.name == WHISPER:
        return models.pull_command(recommended(settings, find_machine()))
    return models.pull_command(spec.name) if spec.name == OMNIVOICE else spec.install


def _machine() -> str:
    gpu = find_gpu()
    return f"{platform.system()} {platform.machine()}, {gpu.name if gpu else 'no GPU'}"
