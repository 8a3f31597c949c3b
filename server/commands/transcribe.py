"""``voxline transcribe``: recordings into text or subtitles, without a server."""

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from engines.base import Task
from engines.decode import DecodeLimits, decode_file, decode_media
from engines.fleet import Fleet
from protocol.errors import VoiceError
from protocol.events import Final, ListenConfig
from protocol.subtitles import Segment, SubtitleFormat, Transcript, render
from server import offline
from server.commands.terminal import CommandError, check_readable, check_writable, err, out, progress, run
from server.engines import choose_engines
from server.settings import Settings, load_settings

EXAMPLES = """
Examples:

- `voxline transcribe talk.mp3`

- `voxline transcribe talk.mp4 --format srt > talk.srt`

- `voxline transcribe talk.mp4 -o talk.srt --format srt` writes that file

- `voxline transcribe *.wav --format vtt -o subtitles` writes one file each into that directory

- `ffmpeg -i rtmp://... -f wav - | voxline transcribe -` reads standard input to its end

- `VOXLINE_WHISPER_MODEL=small voxline transcribe rede.ogg --language de`
"""

_BYTES_A_SECOND = 32000
_STANDARD_INPUT = Path("-")
_ENDINGS = tuple(f".{form}" for form in SubtitleFormat)


def transcribe(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings, audio or video; - is standard input.", show_default=False)
    ],
    form: Annotated[SubtitleFormat, typer.Option("--format", help="How to write the text.")] = SubtitleFormat.TXT,
    language: Annotated[str, typer.Option(help="ISO 639-1 code, or auto.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Directory for one file each; for one recording also a file.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Directory with the pulled models.")] = None,
) -> None:
    """Write down what is said in recordings."""
    for file in files:
        if file != _STANDARD_INPUT:
            check_readable(file)
    places = _places(files, form, output)
    for place in places:
        check_writable(place)
    # Here and not in the work, where Ctrl-C could not end it. Most formats need to be seekable, so to its end.
    said = sys.stdin.buffer.read() if _STANDARD_INPUT in files else b""
    run(_transcribe(files, said, places, form, language, load_settings(data=data)))


async def _transcribe(
    files: list[Path], said: bytes, places: list[Path], form: SubtitleFormat, language: str, settings: Settings
) -> None:
    specs = offline.only(choose_engines(settings), Task.RECOGNIZE, Task.DETECT)
    fleet = Fleet(specs, now=time.monotonic)
    try:
        with progress() as bar:
            bar.add_task("starting the engines", total=None)
            await fleet.start()
        for number, file in enumerate(files):
            with progress() as bar:  # gone before anything else is written to the same terminal
                text = render(await _one(fleet, file, said, form, language, bar), form)
            if places:
                places[number].write_text(text, encoding="utf-8")
                err().print(str(places[number]))
                continue
            if len(files) > 1:
                err().print(f"{_name(file)}:")
            out().out(text, end="", highlight=False)
    finally:
        await fleet.aclose()


async def _one(
    fleet: Fleet, file: Path, said: bytes, form: SubtitleFormat, language: str, bar: Progress
) -> Transcript:
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
    sound = _Sound(file, said, bar, task)
    try:
        await offline.transcribe(fleet, sound.pieces(), config, heard)
    except VoiceError as error:
        raise CommandError(f"{_name(file)}: {error.message}", str(error.facts.get("install", ""))) from None
    spoken = max(set(languages), key=languages.count, default="")
    return Transcript(tuple(segments), spoken, sound.seconds)


class _Sound:
    """A recording being decoded in a thread, a piece ahead, so that the engines do not wait for it."""

    def __init__(self, file: Path, said: bytes, bar: Progress, task: TaskID) -> None:
        self.seconds = 0.0
        self._file = file
        self._said = said  # on standard input
        self._bar = bar
        self._task = task

    async def pieces(self) -> AsyncIterator[bytes]:
        decoder = await asyncio.to_thread(_decoder, self._file, self._said)
        while piece := await asyncio.to_thread(_next, decoder):
            self.seconds += len(piece) / _BYTES_A_SECOND
            self._bar.update(self._task, description=f"{self._file.name} {self.seconds:.0f} s")
            yield piece


def _next(decoder: Iterator[bytes]) -> bytes:
    return next(decoder, b"")


def _decoder(file: Path, said: bytes) -> Iterator[bytes]:
    if file != _STANDARD_INPUT:
        return decode_file(file)
    return decode_media(BytesIO(said), DecodeLimits(seconds=math.inf, size=sys.maxsize))


def _name(file: Path) -> str:
    return "standard input" if file == _STANDARD_INPUT else str(file)


def _places(files: list[Path], form: SubtitleFormat, output: Path | None) -> list[Path]:
    """Where each transcript is written; none when standard output takes them. Recordings of one name stay apart."""
    if output is None:
        return []
    if len(files) == 1 and not output.is_dir() and output.suffix.lower() in _ENDINGS:
        return [output]
    if output.exists() and not output.is_dir():
        hint = "several recordings need a directory, and one a file that ends in " + ", ".join(_ENDINGS)
        raise CommandError(f"{output} is a file", hint)
    output.mkdir(parents=True, exist_ok=True)
    stems = ["transcript" if file == _STANDARD_INPUT else file.stem for file in files]
    names = [stem if stems.count(stem) == 1 else file.name for stem, file in zip(stems, files, strict=True)]
    places = [output / f"{name}.{form}" for name in names]
    twice = sorted({place.name for place in places if places.count(place) > 1})
    if twice:
        raise CommandError(f"two recordings would both be written to {', '.join(twice)}", "transcribe them one by one")
    return places
