"""``voxline say``: a text spoken aloud, or into a file."""

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from engines.base import Task
from engines.catalogue import Catalogue
from engines.encode import Encoder
from engines.fleet import Fleet
from engines.registry import EngineSpec
from engines.resample import Resampler
from engines.voices import find_voice
from protocol.audio import AudioFormat, Encoding
from protocol.errors import VoiceError
from server import offline
from server.commands.terminal import CommandError, check_writable, err, program, progress, run
from server.engines import choose_engines
from server.microphone import NoAudio, audio_problem, play
from server.settings import Settings, load_settings

EXAMPLES = """
Examples:

- `voxline say "Hello there."` speaks aloud

- `voxline say "Xin chào." --language vi -o hello.mp3`

- `voxline say "Hello there." --voice vits-en -o hello.wav` speaks with a model that was pulled

- `voxline say - -o book.wav < book.txt` speaks a text of any length from standard input
"""

_ENCODINGS = {".wav": Encoding.WAV, ".mp3": Encoding.MP3, ".ogg": Encoding.OPUS, ".opus": Encoding.OPUS}
_ENCODINGS |= {".pcm": Encoding.PCM_S16LE, ".raw": Encoding.PCM_S16LE}
_RATES = {Encoding.OPUS: 24000}  # one that Opus knows
_RATE = 22050
_AUTO = "auto"


def say(
    text: Annotated[str, typer.Argument(help="What to say; - reads standard input.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File: .wav, .mp3, .ogg or .pcm; - is standard output (wav).")
    ] = None,
    voice: Annotated[
        str, typer.Option(help="A voice of GET /v1/voices, those of installed models too; auto takes the language's.")
    ] = "auto",
    language: Annotated[str, typer.Option(help="ISO 639-1 code; used when no voice is named.")] = "auto",
    speed: Annotated[float, typer.Option(help="1 is the voice's own pace.", min=0.25, max=4.0)] = 1.0,
    data: Annotated[Path | None, typer.Option(help="Directory with the pulled models.")] = None,
) -> None:
    """Speak a text: aloud, or into a file with -o."""
    words = sys.stdin.read() if text == "-" else text
    if not words.strip():
        raise CommandError("there is nothing to say")
    to_stdout = output is not None and str(output) == "-"
    encoding = Encoding.WAV if output is None or to_stdout else _ENCODINGS.get(output.suffix.lower())
    if encoding is None:
        raise CommandError(f"{output} has no ending I know", f"use one of {', '.join(_ENCODINGS)}")
    if output is None and (problem := audio_problem()):
        raise CommandError("there is no loudspeaker to speak with", f"{problem}; or write a file with -o hello.wav")
    if output is not None and not to_stdout:
        check_writable(output)
    rate = _RATES.get(encoding, _RATE)
    pcm, speaker = run(_speak(words, _wanted(voice, language, load_settings(data=data)), speed, rate))
    if not pcm:
        raise CommandError("there is nothing in that text that can be spoken")
    if output is None:
        try:
            play(pcm, rate)
        except NoAudio as error:
            raise CommandError(str(error)) from None
        return
    encoder = Encoder(AudioFormat(encoding, rate), size=len(pcm))
    sound = encoder.encode(pcm) + encoder.finish()
    if to_stdout:
        sys.stdout.buffer.write(sound)
    else:
        output.write_bytes(sound)
        err().print(f"{output}: {len(pcm) / 2 / rate:.1f} s, {speaker}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A voice, and who may have it."""

    code: str
    language: str
    engines: tuple[EngineSpec, ...]


def _wanted(code: str, language: str, settings: Settings) -> _Wanted:
    """The engines that need to be started for a voice: the one that has it by its name, and no other."""
    catalogue, able = Catalogue.load(), offline.only(choose_engines(settings), Task.SYNTHESIZE)
    named = catalogue.find(code)
    if code == _AUTO:
        with suppress(VoiceError):
            named = catalogue.default(language)
            code = named.code
    if named is not None:
        return _Wanted(code, language, tuple(spec for spec in able if spec.name == named.engine))
    others = [spec for spec in able if spec.name != Catalogue.ENGINE]
    own = [spec for spec in others if code == _AUTO or code.lower().startswith(f"{spec.name}-")]
    if own:
        return _Wanted(code, language, tuple(own))
    if code == _AUTO:
        raise CommandError(f"no voice here speaks {language!r}", f"{program()} doctor lists the languages")
    near = [entry.code for entry in catalogue.all() if entry.code.startswith(code.split("-")[0])][:8]
    some = near or [entry.code for entry in catalogue.all()][:8]
    hint = f"try {', '.join(some)}; GET /v1/voices of a server lists them all"
    raise CommandError(f"there is no voice {code}", hint)


async def _speak(text: str, wanted: _Wanted, speed: float, rate: int) -> tuple[bytes, str]:
    """The whole text as s16le at ``rate``, and the name of who spoke."""
    fleet = Fleet(wanted.engines, now=time.monotonic)
    pcm, resampler, source = bytearray(), None, 0
    try:
        with progress() as bar:
            task = bar.add_task("speaking", total=len(text))
            await fleet.start()
            voice = find_voice(Catalogue.load(), fleet, wanted.code, wanted.language)
            async for chunk in offline.speak(
                fleet, text, engine=voice.engine, voice=voice.engine_voice, speed=speed,
                spoken=lambda done: bar.update(task, completed=done),
            ):  # fmt: skip
                if resampler is None or chunk.rate != source:
                    pcm += resampler.flush() if resampler is not None else b""
                    resampler, source = Resampler(chunk.rate, rate), chunk.rate
                pcm += resampler.push(chunk.pcm)
            pcm += resampler.flush() if resampler is not None else b""
    finally:
        await fleet.aclose()
    return bytes(pcm), voice.name
