"""`python -m loadtest.null_server`: a Voxline server whose recogniser does nothing; never reachable by `voxline serve`.

LOADTEST_DETECTOR=silero keeps the real speech detection, to measure that alone.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from engines import registry
from engines.base import Task
from engines.registry import EngineSpec
from server.app import App
from server.logs import configure_logs
from server.serving import serve
from server.settings import load_settings


def _specs() -> list[EngineSpec]:
    detector = EngineSpec("null-vad", Task.DETECT, "loadtest.null_engines:detector")
    if os.environ.get("LOADTEST_DETECTOR") == "silero":
        detector = registry.find("silero-vad") or detector
    return [EngineSpec("null", Task.RECOGNIZE, "loadtest.null_engines:recognizer", languages=("en",)), detector]


def main(port: Annotated[int, typer.Option()], data: Annotated[Path, typer.Option()]) -> None:
    """Serve until a signal."""
    settings = load_settings(port=port, data=data)
    configure_logs(settings.log_level, settings.log_format)

    def started(app: App, port: int) -> None:
        sys.stdout.write(f"null server on port {port}\n")

    raise SystemExit(serve(settings, started=started, specs=_specs()))


if __name__ == "__main__":
    typer.run(main)
