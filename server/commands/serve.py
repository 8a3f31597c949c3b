"""``voxline serve``: the server, and what a person needs to know when it starts."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from engines.base import Capabilities, Task
from server import first_pull
from server.app import App
from server.commands.terminal import CommandError, err, out, program
from server.logs import configure_logs
from server.machine import find_machine, recommended
from server.serving import StartError, check_data, first_key, forget_key
from server.serving import serve as serve_until_signal
from server.settings import Settings, load_settings

EXAMPLES = """
Examples:

- `voxline serve` listens on http://127.0.0.1:8000 and keeps its state under var/

- `voxline serve --host 0.0.0.0 --port 9000` is for other machines

- `VOXLINE_WHISPER_MODEL=small voxline serve` uses a model pulled by `voxline models pull small`

- `VOXLINE_AUTO_PULL=off voxline serve` pulls no model by itself when there is none
"""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.", min=0, max=65535)] = None,
    data: Annotated[Path | None, typer.Option(help="Directory for the database and the models.")] = None,
) -> None:
    """Start the server. All other settings come from VOXLINE_* in the environment or voxline.toml."""
    settings = load_settings(host=host, port=port, data=data)
    configure_logs(settings.log_level, settings.log_format)
    waiting = err().status("starting the engines ...")
    try:
        check_data(settings)
    except StartError as error:
        raise CommandError(str(error)) from None
    key = first_key(settings)
    shown = False

    def announce(app: App, bound: int) -> None:
        nonlocal shown
        waiting.stop()
        _announce(app, bound, key)
        shown = True
        first_pull.start(settings, err().print)

    try:
        waiting.start()
        status = serve_until_signal(settings, started=announce)
    except StartError as error:
        raise CommandError(str(error)) from None
    finally:
        waiting.stop()
        if key is not None and not shown:
            forget_key(settings, key)
    raise typer.Exit(status)


def _announce(app: App, port: int, key: str | None) -> None:
    settings, console = app.settings, out()
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    base = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    console.print(f"Voxline is listening on {base}")
    for line in describe_engines(app.parts.fleet.capabilities, settings):
        console.print(f"  {line}")
    console.print(f"  state         {settings.data.resolve()}")
    if key is not None:
        console.print(f"\nAPI key, shown this once (more: {program()} keys create --data {settings.data}):\n  {key}")
    console.print("\nTry it:")
    voice = app.parts.catalogue.default("en").code
    for command in first_commands(base, key, voice, settings):
        console.print(f"  {command}")
    console.file.flush()


def describe_engines(engines: list[Capabilities], settings: Settings) -> list[str]:
    """What can be recognised and spoken here, one line each."""
    lines = []
    where = "" if settings.data == Settings.model_fields["data"].default else f" --data {settings.data}"
    for one in sorted(engines, key=lambda one: one.task):
        if one.task is Task.RECOGNIZE:
            count = len(one.languages)
            languages = f"{count} languages" if count > 3 else ", ".join(one.languages)
            model = f" {one.model}" if one.model and one.model != one.engine else ""
            lines.append(f"recognition   {one.engine}{model} ({one.note or languages})")
            if count < 3 and one.engine == "pocketsphinx":
                best = recommended(settings, find_machine())
                lines.append(f"              for 99 languages, and far better: {program()} models pull {best}{where}")
        elif one.task is Task.SYNTHESIZE:
            lines.append(f"speech        {one.engine} ({len(one.voices)} voices{f'; {one.note}' if one.note else ''})")
    return lines


def first_commands(base: str, key: str | None, voice: str, settings: Settings) -> list[str]:
    """Three commands to paste: hear it speak, have it listen, see what is installed."""
    secret = key or "$VOXLINE_KEY"
    text = "Hello, this is Voxline."
    body = json.dumps({"text": text, "voiceCode": voice, "outputFormat": "wav", "mode": "sync"})
    speak = (
        f'curl -X POST {base}/v1/tts -H "Authorization: Bearer {secret}" -H "App-Id: try" '
        f'-H "Content-Type: application/json" -d {shlex.quote(body)} -o hello.wav'
    )
    hear = f"{program()} listen hello.wav --server {base} --key {secret}"
    return [speak, hear, f"{program()} doctor --data {settings.data}"]
