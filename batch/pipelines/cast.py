"""Who speaks a job's lines: each voice it names is found, designed or cloned once, by an engine that can."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batch.pipelines.base import JobContext, SavedVoice, Tools
from batch.pipelines.reference_words import with_words
from engines.base import Capabilities, Task
from engines.voices import find_voice, iso
from protocol.errors import Code, VoiceError
from protocol.requests import Diffusion, Reference, Speak, VoicePrompt
from protocol.script import guess_language
from protocol.traits import Traits
from protocol.voice_words import traits_of
from protocol.work import AnyVoice, Style, VoiceClone, VoiceDesign, VoiceNamed, VoiceSaved

_AUTO = ("", "auto")
_PLAIN = Style()
_SAMPLE = 2_000  # characters of a text that tell its language
_REFERENCE_RATE = 24_000
_REFERENCE_S = 60  # of a reference: more than any engine listens to


@dataclass(frozen=True, slots=True)
class Person:
    """A voice, and the engine that has it."""

    engine: str
    voice: str  # the engine's own
    rate: int  # Hz, of its sound
    language: str  # ISO 639-1
    design: Traits | None = None
    prompt: bytes = b""

    def saying(self, text: str, speed: float, style: Style = _PLAIN) -> Speak:
        """The request to make of the engine; of a ``style`` only what diffusion needs."""
        how = Diffusion(style.num_step, style.guidance_scale, style.denoise)
        return Speak(text, self.voice, speed, design=self.design, prompt=self.prompt, diffusion=how)


class Cast:
    """The people of one job. Where its ``language`` is "auto", what is said tells, in the line or in ``everything``."""

    def __init__(self, tools: Tools, context: JobContext, language: str, everything: str) -> None:
        self._tools = tools
        self._context = context
        self._language = "" if language in _AUTO else language
        self._likely = guess_language(everything[:_SAMPLE]) or ""
        self._people: dict[tuple[AnyVoice, str], Person] = {}
        self._saved: dict[VoiceSaved, SavedVoice] = {}
        self._prompts: dict[AnyVoice, VoicePrompt] = {}

    async def person(self, voice: AnyVoice, text: str) -> Person:
        """Who says ``text``.

        NOT_FOUND for a voice or a language nobody has, NOT_INSTALLED for what no engine here can do, BAD_REQUEST for a
        reference without speech, GONE for one that is no longer kept.
        """
        language = self._language or guess_language(text[:_SAMPLE]) or self._likely
        if isinstance(voice, VoiceSaved):
            if voice not in self._saved:
                self._saved[voice] = await self._tools.voices.get(self._context.user_id, voice.voice_id)
            own = self._saved[voice].language
            language = language or ("" if own in _AUTO else own)
        language = language or "en"
        if (voice, language) not in self._people:
            self._people[voice, language] = await self._find(voice, language)
        return self._people[voice, language]

    async def _find(self, voice: AnyVoice, language: str) -> Person:
        if isinstance(voice, VoiceSaved) and self._saved[voice].type == "design":
            voice = VoiceDesign.model_validate_json(self._saved[voice].design)
        match voice:
            case VoiceNamed():
                return self._named(voice.code, language)
            case VoiceDesign():
                return self._designed(traits_of(voice), language)
            case VoiceClone() | VoiceSaved():
                if voice not in self._prompts:
                    self._prompts[voice] = await self._prompt(voice)
                return self._cloned(self._prompts[voice], language)

    # -- the kinds of voices ---------------------------------------------------------------------------

    def _named(self, code: str, language: str) -> Person:
        entry = find_voice(self._tools.catalogue, self._tools.fleet, code, language)
        able = next(able for able in self._engines() if able.engine == entry.engine)
        return Person(entry.engine, entry.engine_voice, able.rate, entry.language)

    def _designed(self, traits: Traits, language: str) -> Person:
        able = next((able for able in self._engines() if able.designs and _speaks(able, language)), None)
        if able is None:
            raise self._nobody(language, "speaks as a description asks")
        return Person(able.engine, self._voice_of(able, language), able.rate, iso(language), design=traits)

    def _cloned(self, prompt: VoicePrompt, language: str) -> Person:
        able = next(able for able in self._engines() if able.engine == prompt.engine)
        if not _speaks(able, language):
            raise self._nobody(language, "clones a voice for")
        return Person(able.engine, self._voice_of(able, language), able.rate, iso(language), prompt=prompt.data)

    async def _prompt(self, voice: VoiceClone | VoiceSaved) -> VoicePrompt:
        """What an engine makes of the speech to clone: of the job's upload, or of what was saved, the latter once."""
        if isinstance(voice, VoiceClone):
            return await self._cloned_from(self._tools.uploads.path(voice.upload))
        data = await self._tools.voices.reference(self._context.user_id, voice.voice_id)
        if data is None:
            raise VoiceError(Code.GONE, "the recording of this voice is no longer kept", field="voice_id")
        kept, recording = self._context.directory / f"reference-{voice.voice_id}", data

        async def make() -> VoicePrompt:
            kept.write_bytes(recording)
            return await self._cloned_from(kept)

        engine = next((able.engine for able in self._engines() if able.cloning), "")
        return await self._tools.prompts.of(recording, engine, make)

    async def _cloned_from(self, path: Path) -> VoicePrompt:
        return await self._tools.fleet.clone(await with_words(await self._heard(path), self._tools.fleet))

    async def _heard(self, path: Path) -> Reference:
        decoded = await self._tools.media.decode(path, _REFERENCE_RATE, directory=self._context.directory)
        try:
            with decoded.open("rb") as file:
                return Reference(file.read(2 * _REFERENCE_RATE * _REFERENCE_S), _REFERENCE_RATE)
        finally:
            decoded.unlink()

    # -- engines ---------------------------------------------------------------------------------------

    def _engines(self) -> Iterator[Capabilities]:
        return (able for able in self._tools.fleet.capabilities if able.task is Task.SYNTHESIZE)

    def _voice_of(self, able: Capabilities, language: str) -> str:
        """The engine's voice for a language: the catalogue's choice, or the engine's first."""
        if able.engine == self._tools.catalogue.ENGINE:
            return self._tools.catalogue.default(language).engine_voice
        return next((voice.id for voice in able.voices if iso(voice.language) == iso(language)), "")

    def _nobody(self, language: str, what: str) -> VoiceError:
        self._tools.catalogue.default(language)  # a language nobody has at all is NOT_FOUND
        return VoiceError(Code.NOT_INSTALLED, f"no installed speech engine {what} in {language}", field="language")


def _speaks(able: Capabilities, language: str) -> bool:
    return not able.languages or iso(language) in able.languages
