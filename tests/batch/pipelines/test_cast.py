"""Which engine speaks for whom, where not every engine can do everything."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from batch.pipelines.cast import Cast, Person
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.requests import Diffusion
from protocol.traits import Gender, Traits
from protocol.work import AnyVoice, Style, VoiceClone, VoiceDesign, VoiceNamed, VoiceSaved
from tests import engines_scripted as scripted
from tests.batch.pipelines.studio import ESPEAK, Kept, Studio, opened
from tests.engines.sound import samples

DESIGN = VoiceDesign(gender="male")
TONES = replace(scripted.synthesizer(clones=True), preference=50)


async def person(root: Path, voice: AnyVoice, language: str, *specs: EngineSpec) -> Person:
    async with opened(root, specs) as studio:
        _recorded(studio)
        return await Cast(studio.tools, studio.context(), language, "").person(voice, "hello")


def _recorded(studio: Studio) -> None:
    soundfile.write(studio.files.directory / "ref", samples(scripted.tone(2.0)), 16_000, format="wav")


async def test_a_design_is_for_an_engine_that_takes_designs(tmp_path: Path) -> None:
    """Whatever engine is preferred."""
    found = await person(tmp_path, DESIGN, "vi", TONES, ESPEAK)
    assert found == Person("espeak-ng", "vi/female-1", 22_050, "vi", design=Traits(Gender.MALE))


async def test_a_clone_is_spoken_by_the_engine_that_made_it(tmp_path: Path) -> None:
    found = await person(tmp_path, VoiceClone(upload="ref"), "vi", TONES, ESPEAK)
    assert (found.engine, found.voice, found.language) == ("tones", "high", "vi")
    assert found.prompt == b"96000 bytes at 24000"
    assert found.saying("hi", 1.5).prompt == found.prompt


async def test_a_saved_voice_is_cloned_once_for_all_jobs_and_for_its_own_recording_only(tmp_path: Path) -> None:
    async with opened(tmp_path, [TONES.with_options(notes=str(tmp_path / "notes"))]) as studio:

        async def prompt(voice_id: int) -> bytes:
            cast = Cast(studio.tools, studio.context(), "vi", "")
            return (await cast.person(VoiceSaved(voice_id=voice_id), "hello")).prompt

        def cloned() -> int:
            return (tmp_path / "notes").read_text().count("clone")

        sound = io.BytesIO()
        soundfile.write(sound, samples(scripted.tone(2.0)), 16_000, format="wav")
        studio.voices.kept[1, 1] = Kept("clone", sound=sound.getvalue())
        studio.voices.kept[1, 2] = Kept("clone", sound=sound.getvalue() + bytes(2))
        first = await prompt(1)
        assert first == b"96000 bytes at 24000" and cloned() == 1
        assert await prompt(1) == first and cloned() == 1
        await prompt(2)
        assert cloned() == 2


@pytest.mark.parametrize(
    ("recognizer", "words"),
    [
        (scripted.recognizer(), f": {scripted.words_of(2.0)}"),
        (scripted.recognizer(detects_language=False), ""),
        (scripted.recognizer(fail="typed"), ""),
        (None, ""),
    ],
    ids=["many languages", "one language", "broken", "none"],
)
async def test_an_engine_that_wants_the_words_of_a_reference_gets_them(
    tmp_path: Path, recognizer: EngineSpec | None, words: str
) -> None:
    """From a recogniser that knows languages; a clone never fails for want of them."""
    engines = [TONES.with_options(wants_words=True), *([recognizer] if recognizer else [])]
    found = await person(tmp_path, VoiceClone(upload="ref"), "vi", *engines)
    assert found.prompt == f"96000 bytes at 24000{words}".encode()


async def test_a_language_the_cloning_engine_does_not_speak(tmp_path: Path) -> None:
    with pytest.raises(VoiceError) as caught:
        await person(tmp_path, VoiceClone(upload="ref"), "fr", TONES, ESPEAK)
    assert (caught.value.code, caught.value.facts["field"]) == (Code.NOT_INSTALLED, "language")


async def test_auto_is_the_preferred_engine_that_knows_the_language(tmp_path: Path) -> None:
    found = await person(tmp_path, VoiceNamed(), "vi", TONES, ESPEAK)
    assert (found.engine, found.language) == ("tones", "vi")
    (tmp_path / "french").mkdir()
    assert (await person(tmp_path / "french", VoiceNamed(), "fr", TONES, ESPEAK)).engine == "espeak-ng"


async def test_the_numbers_of_diffusion_reach_the_engine(tmp_path: Path) -> None:
    found = await person(tmp_path, DESIGN, "vi", ESPEAK)
    style = Style(num_step=16, guidance_scale=3.0, denoise=False)
    assert found.saying("hi", 1.0, style).diffusion == Diffusion(16, 3.0, denoise=False)
    assert found.saying("hi", 1.0).diffusion == Diffusion()


@pytest.mark.parametrize("voice", [DESIGN, VoiceNamed(code="vi-north-male-1")])
async def test_what_no_engine_here_can_do(tmp_path: Path, voice: AnyVoice) -> None:
    with pytest.raises(VoiceError) as caught:
        await person(tmp_path, voice, "en", TONES)
    assert caught.value.code is Code.NOT_INSTALLED


@pytest.mark.parametrize("tag", ["en-GB", "en_gb"])
async def test_a_longer_tag_chooses_the_accent(tmp_path: Path, tag: str) -> None:
    found = await person(tmp_path, DESIGN, tag, ESPEAK)
    assert (found.voice, found.language) == ("en-gb/female-1", "en")


async def test_mandarin_by_either_name(tmp_path: Path) -> None:
    found = await person(tmp_path, DESIGN, "cmn-CN", ESPEAK)
    assert (found.voice, found.language) == ("cmn/female-1", "zh")
