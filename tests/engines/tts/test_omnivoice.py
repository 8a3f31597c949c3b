"""OmniVoice on a checkpoint of random weights, in a process of its own as the server has it.

What is tested is the package's real loading and inference; not what a trained voice sounds like.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import pytest_asyncio

from engines.host import EngineHost
from engines.registry import find
from engines.speech import SpeechStream
from engines.supervisor import HostLimits
from engines.synthesis_queue import SynthesisQueue
from engines.tts.espeak import factory as espeak
from engines.tts.loudness import LOUDNESS, loudness
from engines.tts.omnivoice_model import _loaded
from engines.tts.omnivoice_prompt import from_bytes
from protocol.errors import Code, VoiceError
from protocol.requests import Diffusion, Priority, Reference, Speak
from protocol.traits import Gender, Manner, Traits
from tests.alone import HUSH, Alone
from tests.engines.hosting import hosting
from tests.engines.sound import samples

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(find_spec("omnivoice") is None, reason="the omnivoice extra is not installed"),
]
RATE = 24_000
QUICK = Diffusion(num_step=4)
TEXT = "Hello there, my friend: how are you? This is a second sentence, and it is longer. And a third."
SPOKEN = "The quick brown fox jumps over the lazy dog."
PATIENT = HostLimits(start_s=300, grace_s=60, wait_s=60, stop_s=10, missed_beats=200)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("omnivoice") / "nano"
    script = "tests.checkpoints.nano_omnivoice.make_nano_omnivoice"
    subprocess.run([sys.executable, "-m", script, str(directory)], check=True, capture_output=True, timeout=300)
    return directory


@pytest.fixture(scope="module")
def alone() -> Iterator[Alone]:
    """Whatever of the tests below ran, nobody wanted to go out for it."""
    with Alone() as network:
        yield network
        assert network.attempts() == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(checkpoint: Path, alone: Alone) -> AsyncIterator[EngineHost]:
    spec = find("omnivoice")
    assert spec is not None and spec.missing() == ("directory",)
    options = spec.with_options(directory=str(checkpoint), threads=1, together=2)
    with pytest.MonkeyPatch.context() as patch:
        for name in HUSH:
            patch.delenv(name, raising=False)
        async with AsyncExitStack() as stack:
            with alone.inside():
                host = await stack.enter_async_context(
                    hosting(replace(options, optional=False), limits=PATIENT)
                )
            yield host


async def spoken(host: EngineHost, text: str = "Hello there.", voice: str = "en", **more: object) -> bytes:
    request = Speak(text, voice, diffusion=QUICK, **more)  # type: ignore[arg-type]
    return b"".join([chunk.pcm async for chunk in host.speak(request)])


def reference(text: str = "", seconds: float = 60.0) -> Reference:
    pcm = b"".join(chunk.pcm for chunk in espeak({}).speak(Speak(SPOKEN, "en-us/male-1")))
    return Reference(pcm[: 2 * int(22_050 * seconds)], 22_050, text)


async def test_it_says_what_it_can(host: EngineHost) -> None:
    able = host.capabilities
    assert able.engine == "omnivoice" and able.rate == RATE and able.cloning and able.designs
    assert len(able.languages) > 600 and {"en", "vi", "zh"} <= set(able.languages)
    assert not able.word_timestamps and not able.live


async def test_a_text_is_its_clauses_and_the_pauses_between_them(host: EngineHost) -> None:
    whole = await spoken(host, TEXT)
    assert await spoken(host, TEXT) == whole
    longer = await spoken(host, TEXT + " And a fourth one.")
    assert len(longer) > len(whole) + 2 * round(0.35 * RATE)
    sound = samples(whole)
    assert abs(sound[0]) < 0.001 and abs(sound[-1]) < 0.001
    quiet = np.abs(sound).reshape(-1)[: len(sound) // 240 * 240].reshape(-1, 240).max(axis=1) == 0
    assert quiet.sum() >= (0.35 + 0.35 + 0.15) * 100 - 3  # 10 ms each
    assert abs(20 * np.log10(loudness(sound.astype(np.float32), RATE) / LOUDNESS)) < 2.0


async def test_speed(host: EngineHost) -> None:
    slow, plain, fast = [len(await spoken(host, SPOKEN, speed=speed)) for speed in (0.7, 1.0, 2.0)]
    assert slow > 1.2 * plain and plain > 1.5 * fast


async def test_a_design_is_spoken(host: EngineHost) -> None:
    design = Traits(Gender.MALE, manner=Manner.WHISPER, accent="en-gb")
    first = await spoken(host, design=design)
    assert first and await spoken(host, design=design) == first


async def test_a_clone_with_and_without_the_words_of_its_reference(host: EngineHost) -> None:
    """Without them nothing is recognised, let alone fetched."""
    for text in ("", SPOKEN):
        prompt = await host.clone(reference(text))
        kept = from_bytes(prompt, 8, 1024)
        assert kept.text == text and 40 < kept.codes.shape[1] < 100
        assert len(await spoken(host, prompt=prompt)) > RATE // 2


@pytest.mark.parametrize("pcm", [bytes(2 * 22_050 * 3), reference(seconds=0.5).pcm], ids=["silence", "short"])
async def test_a_reference_without_speech_is_refused(host: EngineHost, pcm: bytes) -> None:
    with pytest.raises(VoiceError) as raised:
        await host.clone(Reference(pcm, 22_050))
    assert raised.value.code is Code.BAD_REQUEST and raised.value.facts["field"] == "ref_audio"


async def test_clauses_of_several_sessions_are_made_in_one_call(host: EngineHost) -> None:
    """Whoever speaks: a kept voice, a described one, anybody. Each is heard to its own end."""
    assert host.capabilities.batch == 2
    prompt = await host.clone(reference(SPOKEN))
    queue = SynthesisQueue([host])
    asked = [
        Speak("The first one.", "en", diffusion=QUICK),
        Speak("Hello there, how are you? I am well.", "en", diffusion=QUICK, prompt=prompt),
        Speak("Good morning.", "vi", diffusion=QUICK, design=Traits(Gender.MALE)),
        Speak("?!", "en", diffusion=QUICK),
        Speak("Nobody speaks it.", "klingon", diffusion=QUICK),
    ]
    streams = [queue.speak(request, priority=Priority.BATCH) for request in asked]

    async def heard(stream: SpeechStream) -> bytes | Code:
        try:
            return b"".join([chunk.pcm async for chunk in stream])
        except VoiceError as error:
            return error.code

    first, long, short, silent, unknown = await asyncio.gather(*map(heard, streams))
    assert isinstance(first, bytes) and isinstance(long, bytes) and isinstance(short, bytes)
    assert min(len(first), len(short)) > RATE // 2 and len(long) > len(short)
    assert (silent, unknown) == (b"", Code.NOT_FOUND)
    assert first == await spoken(host, "The first one.")  # it was made alone


async def test_what_cannot_be_said_is_typed_or_silent(host: EngineHost) -> None:
    assert await spoken(host, "?!") == b""
    assert await spoken(host, "Hi <|text_end|> there.") != b""
    for more, code in (
        ({"voice": "klingon"}, Code.NOT_FOUND),
        ({"prompt": b"other"}, Code.BAD_REQUEST),
        ({"text": "a" * 5001}, Code.TEXT_TOO_LONG),
    ):
        with pytest.raises(VoiceError) as raised:
            await spoken(host, **more)
        assert raised.value.code is code


async def test_it_stops_between_two_steps(host: EngineHost) -> None:
    """A clause of a thousand steps is given up, and the next request is served by the same process."""
    child = host.pid
    await spoken(host)
    stream = host.speak(Speak(TEXT, "en", diffusion=Diffusion(num_step=128)))
    await stream.aclose()
    assert await spoken(host) and host.pid == child


async def test_a_directory_without_its_audio_tokenizer_is_refused(tmp_path: Path) -> None:
    """The package would fetch one."""
    with pytest.raises(VoiceError) as raised:
        _loaded(ModuleType("omnivoice"), ModuleType("torch"), tmp_path, "cpu")
    assert raised.value.code is Code.NOT_INSTALLED and "audio_tokenizer" in raised.value.message


async def test_a_damaged_checkpoint_is_said(checkpoint: Path, tmp_path: Path) -> None:
    """One process for all: it loads the libraries once."""
    harms: dict[str, Callable[[bytes], bytes]] = {
        "model.safetensors": lambda content: content[: len(content) // 2],
        "tokenizer.json": lambda content: content[: len(content) // 2],
        "audio_tokenizer/model.safetensors": lambda content: b"\xff" * len(content),
        "config.json": lambda content: content[: len(content) // 2],
    }
    for number, (name, harm) in enumerate(harms.items()):
        shutil.copytree(checkpoint, tmp_path / str(number))
        (tmp_path / str(number) / name).write_bytes(harm((checkpoint / name).read_bytes()))
    script = (
        "import sys\n"
        "from engines.tts.omnivoice import factory\n"
        "from protocol.errors import VoiceError\n"
        "for directory in sys.argv[1:]:\n"
        "    try:\n"
        "        factory({'directory': directory})\n"
        "    except VoiceError as error:\n"
        "        print(error.code.value)\n"
    )
    places = [str(tmp_path / str(number)) for number in range(len(harms))]
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *places, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said = (await asyncio.wait_for(done.communicate(), 300))[0].decode().split()
    assert said == ["engine_failed"] * 3 + ["not_installed"]
