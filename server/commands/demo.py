"""``voxline demo``: speech through a real server and back, with a recogniser that knows a few words and says so."""

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engines.resample import resample_file
from server import client
from server.client import Heard, Message, Server, ServerRefused
from server.commands.listen import Captions
from server.commands.private_server import private_server
from server.commands.terminal import CommandError, err, out, run

EXAMPLES = "Example: `voxline demo`"

_NANO = Path(__file__).resolve().parents[2] / "tests" / "checkpoints" / "nano_whisper"
# Sentences the demonstration model was never trained on, all of words it knows, and the voices that say them.
VOICE, VIETNAMESE_VOICE = "en-us-male-1", "vi-north-male-1"
SENTENCES = (
    ("please turn off the light now", VOICE),
    ("xin chào bật đèn", VIETNAMESE_VOICE),
    ("show next my red window now", VOICE),
)
_RATE = 16000
_BEFORE_S, _BETWEEN_S = 0.4, 1.2


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence, and where it ends in the sound."""

    text: str
    end: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sentence: its text, and the seconds from the end of speech to it."""

    said: str
    heard: str
    delay: float


def demo() -> None:
    """Stream speech through a real server, watch it being recognised, let it speak, and recognise that."""
    if not (_NANO / "model" / "model.bin").is_file():
        raise CommandError("the demonstration model is not here", "run this from a checkout of the repository")
    run(_demo())


async def _demo() -> None:
    console = out()
    words = demonstration_words()
    console.print(f"The recogniser is a demonstration model of {words} words, made by this project; it knows no more.")
    console.print("For real speech, pull a model: voxline models pull small\n")
    async with AsyncExitStack() as stack:
        with err().status("starting a server ..."):
            began = time.monotonic()
            model = str(_NANO / "model")
            server = await stack.enter_async_context(private_server(whisper_model=model, whisper_languages="en,vi"))
        console.print(f"A server is up at {server.base} after {time.monotonic() - began:.1f} s, its engines warm.\n")
        try:
            await _show(server, console)
        except ServerRefused as error:
            raise CommandError(str(error)) from None


async def _show(server: Server, console: Console) -> None:
    console.print(f"1. It speaks {len(SENTENCES)} sentences (POST /v1/tts), which are streamed in as they are said:")
    sound, said = await _record(server)
    outcomes = await _recognise(server, sound, said, console)
    answer = " ".join(outcome.heard for outcome in outcomes[:1])
    console.print(f"\n2. It speaks what it understood (/v1/stream/tts): {answer!r}")
    spoken, first = await _speak_back(server, answer)
    seconds = len(spoken) / 2 / _RATE
    console.print(f"           {seconds:.1f} s of sound; its beginning came after {first * 1000:.0f} ms")
    console.print("\n3. And that sound, streamed in again:")
    again = await _recognise(server, _padded(spoken), [Said(answer, _BEFORE_S + seconds)], console)
    console.print("")
    console.print(_table([*outcomes, *again]))
    console.print("\nThe end of an utterance is known by 500 ms of silence, which is most of that time; to the")
    console.print("detector it begins while a voice still fades out.")


async def _record(server: Server) -> tuple[bytes, list[Said]]:
    """The sentences in one recording, with pauses, and where each ends."""
    sound, said = bytes(int(_BEFORE_S * _RATE) * 2), []
    for sentence, voice in SENTENCES:
        sound += trimmed(await client.speak(server, sentence, voice))
        said.append(Said(sentence, len(sound) / 2 / _RATE))
        sound += bytes(int(_BETWEEN_S * _RATE) * 2)
    return sound, said


async def _recognise(server: Server, sound: bytes, said: list[Said], console: Console) -> list[Outcome]:
    """Stream the sound in at its own pace, show what comes back, and time each final from the end of its speech."""
    outcomes: list[Outcome] = []
    loop = asyncio.get_running_loop()
    began = 0.0

    async def sounding() -> AsyncIterator[bytes]:
        nonlocal began
        began = loop.time()
        async for piece in client.paced(sound):
            yield piece

    with Captions(console, time.monotonic) as captions:
        async for heard in client.listen(server, {"language": "auto"}, sounding()):
            if heard.message.get("text"):
                outcome = _outcome(heard, said, began)
                outcomes.append(outcome)
                captions.show(heard, f"(final {outcome.delay * 1000:.0f} ms after the end of speech)")
            else:
                captions.show(heard)
    console.print(f"           {captions.partials} partial results, revised as the speech went on")
    return outcomes


def _outcome(heard: Heard, said: list[Said], began: float) -> Outcome:
    """Which sentence a final is of: the one that ends nearest to it."""
    end = float(heard.message["end"])
    nearest = min(said, key=lambda one: abs(one.end - end))
    return Outcome(nearest.text, str(heard.message["text"]), heard.at - began - nearest.end)


async def _speak_back(server: Server, text: str) -> tuple[bytes, float]:
    """The text as s16le over the WebSocket, and the seconds until its first sound."""
    config: Message = {"voice": VOICE, "format": "pcm_s16le", "sample_rate": 22050, "pace": False}
    pcm, began, first = b"", 0.0, 0.0
    async for part in client.speak_stream(server, config, text):
        if not isinstance(part, bytes):
            began = began or time.monotonic()
        else:
            first = first or time.monotonic() - began
            pcm += part
    return trimmed(resample_file(pcm, 22050, _RATE)), first


def trimmed(pcm: bytes, quiet: int = 200) -> bytes:
    """Sound without the silence at its ends."""
    samples = memoryview(pcm).cast("h")
    loud = [at for at in range(0, len(samples), 80) if max(map(abs, samples[at : at + 80])) > quiet]
    return pcm[2 * loud[0] : 2 * (loud[-1] + 80)] if loud else b""


def _padded(pcm: bytes) -> bytes:
    return bytes(int(_BEFORE_S * _RATE) * 2) + pcm + bytes(int(_BETWEEN_S * _RATE) * 2)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("said", "recognised", "right", "end of speech to final", box=None, pad_edge=False)
    for one in outcomes:
        right = "yes" if _plain(one.said) == _plain(one.heard) else "no"
        table.add_row(one.said, one.heard, right, f"{one.delay * 1000:.0f} ms")
    return table


def _plain(text: str) -> str:
    return " ".join(text.lower().replace(".", "").replace(",", "").split())


def demonstration_words() -> int:
    """How many words the demonstration model knows, by the list it was trained with."""
    spec = importlib.util.spec_from_file_location("demonstration_vocabulary", _NANO / "vocabulary.py")
    if spec is None or spec.loader is None:
        raise CommandError("the demonstration model's word list is not here")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return len({*module.words_of("en"), *module.words_of("vi")})
