"""`python -m tests.chaos.scripted_server`: a whole Voxline server over scripted ears and the real espeak-ng.

What it hears is a function of the audio alone (see ``tests.engines_scripted``), so that a transcript that differs is a
fault of the server. With ``--real`` its engines are those of its settings. It says its port and its key on stdout.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from engines import registry
from server.app import App
from server.logs import configure_logs
from server.serving import first_key, serve
from server.settings import load_settings
from tests import engines_scripted


def main(data: Annotated[Path, typer.Option()], real: Annotated[bool, typer.Option()] = False) -> None:
    """Serve on a free port until a signal."""
    settings = load_settings(port=0, data=data)
    configure_logs(settings.log_level, "json")
    speech = registry.find("espeak-ng")
    assert speech is not None
    specs = [engines_scripted.recognizer(batch=8), engines_scripted.detector(), speech]
    key = first_key(settings)

    def started(_app: App, port: int) -> None:
        sys.stdout.write(f"{port} {key}\n")
        sys.stdout.flush()

    raise SystemExit(serve(settings, started=started, specs=None if real else specs))


if __name__ == "__main__":
    typer.run(main)
