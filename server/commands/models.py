"""``voxline models``: the models that can be pulled, and those that are here."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engines import models, pulling
from engines.hub import Hub
from server.commands.terminal import CommandError, out, progress
from server.engines import models_root
from server.machine import engine_of, find_machine, misfit
from server.settings import load_settings

Data = Annotated[Path | None, typer.Option(help="The server's data directory.")]
Name = Annotated[str, typer.Argument(help="A name of `voxline models list`.", show_default=False)]
Source = Annotated[
    Path | None, typer.Option("--from", help="Copy the model in this directory instead of downloading.", exists=True)
]

app = typer.Typer(no_args_is_help=True, help="List, pull, verify and remove models.", rich_markup_mode="markdown")


@app.command("list", epilog="Example: `voxline models list`")
def list_models(data: Data = None) -> None:
    """List the models there are: what they are for, what they take, whether they fit here, and which are here."""
    root, machine = models_root(load_settings(data=data)), find_machine()
    here = {model.name: model for model in models.installed(root)}
    table = Table("model", "engine", "for", "size", "fits here", "installed", "about", box=None, pad_edge=False)
    for model in models.PUBLISHED:
        found = here.pop(model.name, None)
        size = found.bytes // 1_000_000 if found else model.megabytes
        row = (model.name, model.format.value, engine_of(model.format), f"{size} MB")
        table.add_row(*row, misfit(model, machine) or "yes", "yes" if found else "no", model.note)
    for found in here.values():
        row = (found.name, found.format.value, engine_of(found.format), f"{found.bytes // 1_000_000} MB")
        table.add_row(*row, "", "yes", "")
    out().print(table)
    out().print(f"\nThose that are installed lie in {root.resolve()}, each in a directory of its name.")


@app.command(epilog="Examples: `voxline models pull small`, `voxline models pull mine --from /srv/whisper-mine`")
def pull(name: Name, source: Source = None, data: Data = None) -> None:
    """Download a model, or copy one from a directory; an interrupted download goes on where it stopped."""
    settings = load_settings(data=data)
    with _bar(name) as show:
        if source is not None:
            model = pulling.adopt(models_root(settings), name, source, show)
        else:
            with closing(Hub(settings.hub)) as hub:
                model = pulling.pull(models_root(settings), name, hub, show)
    out().print(f"{model.name} is installed in {model.directory}; a server takes it up when it starts the next time")


@app.command(epilog="Example: `voxline models verify small`")
def verify(name: Name, data: Data = None) -> None:
    """Check an installed model, byte by byte where it was pulled."""
    directory = models.find(models_root(load_settings(data=data)), name).directory
    faults = models.verify(directory)
    if faults:
        raise CommandError(f"{name} is damaged: {'; '.join(faults)}", models.pull_command(name))
    unknown = f"{name} has all its files; there are no checksums to compare them with"
    out().print(f"{name} is whole" if models.has_checksums(directory) else unknown)


@app.command(epilog="Example: `voxline models remove small`")
def remove(name: Name, data: Data = None) -> None:
    """Delete an installed model."""
    models.remove(models_root(load_settings(data=data)), name)


@contextmanager
def _bar(name: str) -> Iterator[pulling.Progress]:
    with progress() as bar:
        task = bar.add_task(f"pulling {name}", total=None)

        def show(file: str, done: int, total: int) -> None:
            bar.update(task, description=f"pulling {name}: {file}", completed=done, total=total or None)

        yield show
