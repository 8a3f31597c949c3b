"""Whether what is asked for can be done here, found out before it is paid for: engines, languages, voices."""

from accounts.voices import SavedVoices
from engines.base import Capabilities, Task
from engines.catalogue import Catalogue
from engines.encode_file import check_file
from engines.fleet import Fleet
from engines.voices import engine_voices, iso
from protocol.errors import Code, VoiceError
from protocol.languages import language_name
from protocol.work import (
    Analyzing,
    AnyVoice,
    Conversing,
    Converting,
    Deechoing,
    Dubbing,
    Enhancing,
    Interpreting,
    Revoicing,
    Separating,
    Speaking,
    Transcribing,
    VoiceClone,
    VoiceNamed,
    VoiceSaved,
    Work,
    voices_of,
)


class Abilities:
    """What the engines of this server and the saved voices of its users allow."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue, voices: SavedVoices) -> None:
        self._fleet = fleet
        self._catalogue = catalogue
        self._voices = voices

    async def check(self, user_id: int, work: Work) -> None:
        """Raises NOT_INSTALLED (with the command to ``install``), NOT_FOUND for a voice, BAD_REQUEST for a language."""
        if isinstance(work, Transcribing):
            self.recognizer(work.language, work.engine)
            if work.diarize and work.must_diarize:
                self._fleet.diarizer()  # raises where there is none
        elif isinstance(work, Separating):
            self._fleet.separator(work.stems)
        elif isinstance(work, Enhancing | Deechoing | Analyzing | Revoicing):
            self._fleet.sound_tool(work.kind)
        elif isinstance(work, Converting) and work.sample_rate:
            check_file(work.format, work.sample_rate, 1000 * work.bitrate if work.bitrate else None)
        if isinstance(work, Interpreting) or (isinstance(work, Conversing) and not work.text):
            self.recognizer(*((work.language, work.engine) if isinstance(work, Interpreting) else ("auto", "auto")))
        if isinstance(work, Speaking | Dubbing | Revoicing | Interpreting | Conversing):
            await self._check_speech(user_id, work)

    def recognizer(self, language: str, engine: str) -> str:
        """The name of the engine that will recognise it. Raises NOT_INSTALLED, BAD_REQUEST."""
        try:
            return self._fleet.transcriber(language, engine).engine
        except VoiceError as error:
            if error.code is not Code.NOT_FOUND or error.facts.get("field") != "language":
                raise
            raise _no_language(language, "recognises", self.recognized_languages()) from None

    def preferred(self, engine: str, language: str) -> str:
        """That engine where it is installed and knows the language, else "auto": the best that is."""
        able = [one for one in self._capable(Task.RECOGNIZE) if one.engine == engine]
        return engine if any(language in ("auto", *one.languages) for one in able) else "auto"

    def spoken_languages(self) -> list[str]:
        """The codes of all languages some voice here speaks."""
        engines = {one.engine for one in self._capable(Task.SYNTHESIZE)}
        return sorted({voice.language for voice in self._catalogue.all() if voice.engine in engines})

    async def _check_speech(
        self, user_id: int, work: Speaking | Dubbing | Revoicing | Interpreting | Conversing
    ) -> None:
        if not self._capable(Task.SYNTHESIZE):
            raise VoiceError(Code.NOT_INSTALLED, "No engine that speaks is installed.")
        for voice in dict.fromkeys(voices_of(work)):
            await self._check_voice(user_id, voice)
        if isinstance(work, Interpreting):
            language = work.target
        else:
            language = work.language if isinstance(work, Revoicing) else work.style.language
        if language != "auto":
            self._check_language(language)

    async def _check_voice(self, user_id: int, voice: AnyVoice) -> None:
        if isinstance(voice, VoiceSaved):
            await self._voices.get(user_id, voice.voice_id)
        elif isinstance(voice, VoiceNamed) and voice.code != "auto" and not self._has_voice(voice.code):
            raise VoiceError(Code.BAD_REQUEST, f"There is no voice {voice.code[:100]!r}.", field="voice_code")
        elif isinstance(voice, VoiceClone) and not any(one.cloning for one in self._capable(Task.SYNTHESIZE)):
            raise VoiceError(Code.NOT_INSTALLED, "No engine that clones voices is installed.", field="ref_audio")

    def _has_voice(self, code: str) -> bool:
        own = engine_voices(self._fleet)
        return self._catalogue.find(code) is not None or any(voice.code == code.lower() for voice in own)

    def _check_language(self, language: str) -> None:
        if any(iso(language) in one.languages for one in self._capable(Task.SYNTHESIZE)):
            return
        try:
            self._catalogue.default(language)
        except VoiceError:
            raise _no_language(language, "speaks", self.spoken_languages()) from None

    def recognized_languages(self) -> list[str]:
        """The codes of all languages some engine here recognises."""
        return sorted({code for one in self._capable(Task.RECOGNIZE) for code in one.languages})

    def _capable(self, task: Task) -> list[Capabilities]:
        return [one for one in self._fleet.capabilities if one.task is task]


def _no_language(language: str, does: str, known: list[str]) -> VoiceError:
    message = f"No engine here {does} {language_name(language)}."
    return VoiceError(Code.BAD_REQUEST, message, field="language", allowed=[language_name(code) for code in known])
