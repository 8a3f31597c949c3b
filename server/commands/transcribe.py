"""``voxline transcribe``: recordings into text or subtitles, without a server."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from engines.base import Task
from engines.decode import decode_file
from engines.fleet import Fleet
from protocol.errors import VoiceError
from protocol.events import Final, ListenConfig
from protocol.subtitles import Segment, SubtitleFormat, Transcript, render
from server import offline
from server.commands.terminal import CommandError, err, out, progress, run
from server.engines import choose_engines
from server.settings import load_settings

EXAMPLES = """
Examples:

- `voxline transcribe talk.mp3`

- `voxline transcribe talk.mp4 --format srt > talk.srt`

- `voxline transcribe *.wav --format vtt -o subtitles` writes one file each into that directory

- `VOXLINE_WHISPER_MODEL=small voxline transcribe rede.ogg --language de`
"""

_BYTES_A_SECOND = 32000


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings, audio or video.", show_default=False)],
    form: Annotated[SubtitleFormat, typer.Option("--format", help="How to write the text.")] = SubtitleFormat.TXT,
    language: Annotated[str, typer.Option(help="ISO 639-1 code, or auto.")] = "auto",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Directory for one file each.")] = None,
) -> None:
    """Write down what is said in recordings."""
    for file in files:
        if not file.is_file():
            raise CommandError(f"there is no file {file}")
    run(_transcribe(files, form, language, output))


async def _transcribe(files: list[Path], form: SubtitleFormat, language: str, output: Path | None) -> None:
    specs = offline.only(choose_engines(load_settings()), Task.RECOGNIZE, Task.DETECT)
    fleet = Fleet(specs, now=time.monotonic)
    try:
        with progress() as bar:
            starting = bar.add_task("starting the engines", total=None)
            await fleet.start()
            bar.remove_task(starting)
            for file in files:
                text = render(await _one(fleet, file, form, language, bar), form)
                _deliver(text, file, form, output, several=len(files) > 1)
    finally:
        await fleet.aclose()


async def _one(fleet: Fleet, file: Path, form: SubtitleFormat, language: str, bar: Progress) -> Transcript:
    segments: list[Segment] = []
    languages: list[str] = []

    def heard(final: Final) -> None:
        segments.append(Segment(final.start, final.end, final.text, final.words))
        languages.append(final.language)

    words = form in (SubtitleFormat.SRT, SubtitleFormat.VTT, SubtitleFormat.JSON)
    scheduler = fleet.recognizer(language, "auto")
    config = ListenConfig(
        language=language,
        interim_results=False,
        word_timestamps=words and scheduler.capabilities.word_timestamps,
    )
    task = bar.add_task(file.name, total=None)
    sound = _Sound(file, bar, task)
    try:
        await offline.transcribe(fleet, sound.pieces(), config, heard)
    except VoiceError as error:
        raise CommandError(f"{file}: {error.message}", str(error.facts.get("install", ""))) from None
    bar.remove_task(task)
    spoken = max(set(languages), key=languages.count, default="")
    return Transcript(tuple(segments), spoken, sound.seconds)


class _Sound:
    """A recording being decoded in a thread, a piece ahead, so that the engines do not wait for it."""

    def __init__(self, file: Path, bar: Progress, task: TaskID) -> None:
        self.seconds = 0.0
        self._file = file
        self._bar = bar
        self._task = task

    async def pieces(self) -> AsyncIterator[bytes]:
        decoder = decode_file(self._file)
        while piece := await asyncio.to_thread(_next, decoder):
            self.seconds += len(piece) / _BYTES_A_SECOND
            self._bar.update(self._task, description=f"{self._file.name} {self.seconds:.0f} s")
            yield piece


def _next(decoder: Iterator[bytes]) -> bytes:
    return next(decoder, b"")


def _deliver(text: str, file: Path, form: SubtitleFormat, output: Path | None, *, several: bool) -> None:
    if output is None:
        if several:
            err().print(f"{file}:")
        out().out(text, end="", highlight=False)
        return
    output.mkdir(parents=True, exist_ok=True)
    place = output / f"{file.stem}.{form}"
    place.write_text(text, encoding="utf-8")
    err().print(str(place))
