"""``voxline models``: the Whisper models that can be pulled, and those that are here."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engines import models
from server.commands.terminal import CommandError, out, progress
from server.engines import models_root
from server.settings import load_settings

Data = Annotated[Path | None, typer.Option(help="The server's data directory.")]
Name = Annotated[str, typer.Argument(help="A name of `voxline models list`.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="List, pull, verify and remove models.", rich_markup_mode="markdown")


@app.command("list", epilog="Example: `voxline models list`")
def list_models(data: Data = None) -> None:
    """List the models there are, and which of them are installed."""
    here = {model.name: model for model in models.installed(models_root(load_settings(data=data)))}
    table = Table("model", "download", "installed", "about", box=None, pad_edge=False)
    for model in models.PUBLISHED:
        found = here.pop(model.name, None)
        table.add_row(model.name, f"{model.megabytes} MB", str(found.directory) if found else "no", model.note)
    for found in here.values():
        table.add_row(found.name, "", str(found.directory), "")
    out().print(table)


@app.command(epilog="Example: `voxline models pull small`")
def pull(name: Name, data: Data = None) -> None:
    """Download a model; an interrupted download goes on where it stopped."""
    with progress() as bar:
        task = bar.add_task(f"pulling {name}", total=None)

        def show(file: str, done: int, total: int) -> None:
            bar.update(task, description=f"pulling {name}: {file}", completed=done, total=total or None)

        model = models.pull(models_root(load_settings(data=data)), name, show)
    out().print(f"{model.name} is installed in {model.directory}")


@app.command(epilog="Example: `voxline models verify small`")
def verify(name: Name, data: Data = None) -> None:
    """Check an installed model, byte by byte where it was pulled."""
    faults = models.verify(models.find(models_root(load_settings(data=data)), name).directory)
    if faults:
        raise CommandError(f"{name} is damaged: {'; '.join(faults)}", f"voxline models pull {name}")
    out().print(f"{name} is whole")


@app.command(epilog="Example: `voxline models remove small`")
def remove(name: Name, data: Data = None) -> None:
    """Delete an installed model."""
    models.remove(models_root(load_settings(data=data)), name)
