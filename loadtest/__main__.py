"""`python -m loadtest SCENARIO...`: measure, show a table, keep JSON and a picture."""

import inspect
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtest.recordings import CHECKPOINT
from loadtest.report import Report
from loadtest.scenarios import SCENARIOS

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="What to measure: " + ", ".join(SCENARIOS) + "; all when none is named.")
    ] = None,
    model: Annotated[
        Path,
        typer.Option(help="CTranslate2 Whisper directory for endpoint and capacity.", exists=True, file_okay=False),
    ] = CHECKPOINT,
    out: Annotated[Path, typer.Option(help="Directory for results.json and results.png.")] = Path("loadtest/results"),
) -> None:
    """Measure what callers of a Voxline server feel, on this machine.

    Starts servers of its own on free loopback ports and stops them again. Example: `python -m loadtest overhead speech`
    """
    wanted = scenarios or list(SCENARIOS)
    unknown = [name for name in wanted if name not in SCENARIOS]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}; choose from {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an ordinary exit, so that the servers are stopped too
    console, report = Console(), Report()
    try:
        for name in wanted:
            console.print(f"[bold]{name}[/bold]  {(SCENARIOS[name].__doc__ or '').splitlines()[0]}")
            scenario = SCENARIOS[name]
            if "model" in inspect.signature(scenario).parameters:
                scenario(report, model=model)
            else:
                scenario(report)
    except KeyboardInterrupt:
        console.print("stopped; reporting what was measured so far")
    console.print(report.table())
    for path in report.save(out):
        console.print(f"wrote {path}")


if __name__ == "__main__":
    app()
