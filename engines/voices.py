"""Which voice speaks: a client's words looked up in the catalogue and among the engines' own voices."""

from collections.abc import Iterator

from engines import registry
from engines.base import Capabilities, Task
from engines.catalogue import ALL_RATES, Catalogue, VoiceEntry
from engines.fleet import Fleet
from protocol.errors import Code, VoiceError

_AUTO = "auto"
_NAMES = "kokoro"  # the family of voices that are names only: whoever fits speaks for them


def find_voice(catalogue: Catalogue, fleet: Fleet, code: str, language: str = _AUTO) -> VoiceEntry:
    """The voice of that code; for "auto" the best one for the language that keeps up with a listener.

    Raises NOT_FOUND, or NOT_INSTALLED with the command that would ``install`` the voice's engine.
    """
    if code == _AUTO:
        voice = _best(catalogue, fleet, language)
    else:
        found = catalogue.find(code) or next((one for one in engine_voices(fleet) if one.code == code.lower()), None)
        if found is None:
            raise VoiceError(
                Code.NOT_FOUND, "There is no voice of that name; GET /v1/voices lists them.", field="voice"
            )
        voice = _stand_in(fleet, found) if found.family == _NAMES else found
    if all(able.engine != voice.engine for able in fleet.capabilities):
        spec = registry.find(voice.engine)
        what = f"The speech engine {voice.engine} is not installed."
        raise VoiceError(Code.NOT_INSTALLED, what, install=spec.install if spec else "")
    return voice


def voice_for(catalogue: Catalogue, fleet: Fleet, code: str, language: str) -> VoiceEntry:
    """The voice of that code, or where it speaks another language the one most like it that speaks this.

    Raises what ``find_voice`` does, NOT_FOUND for a language nobody speaks too.
    """
    voice = find_voice(catalogue, fleet, code, language)
    if language in ("", _AUTO) or iso(language) == voice.language:
        return voice
    like = (one for one in catalogue.all() if one.family == "voxline" and one.language == iso(language))
    nearest = next((one for one in like if (one.gender, one.age) == (voice.gender, voice.age)), None)
    return find_voice(catalogue, fleet, _AUTO, language) if nearest is None else _stand_in(fleet, nearest)


def engine_voices(fleet: Fleet) -> Iterator[VoiceEntry]:
    """The voices of engines whose voices are not in the catalogue, which depend on the models that are installed."""
    for able in _synthesizers(fleet):
        if able.engine != Catalogue.ENGINE:
            yield from (entry_of(able, voice.id) for voice in able.voices)


def entry_of(able: Capabilities, voice_id: str) -> VoiceEntry:
    """A voice of an engine as clients see it; its code is "<engine>-<voice>"."""
    voice = next(voice for voice in able.voices if voice.id == voice_id)
    return VoiceEntry(
        code=f"{able.engine}-{voice.id.replace('/', '-')}".lower(),
        name=voice.name,
        language=iso(voice.language),
        locale=voice.language,
        gender=voice.gender,
        age=voice.age,
        engine=able.engine,
        engine_voice=voice.id,
        rates=ALL_RATES,
        family="voxline",
    )


def iso(language: str) -> str:
    """The ISO 639 code of a tag, as engines list it."""
    code = language.lower().replace("_", "-").partition("-")[0]
    return "zh" if code == "cmn" else code


def _stand_in(fleet: Fleet, voice: VoiceEntry) -> VoiceEntry:
    """A voice that is but a name: the most preferred engine's of that language and gender, else as it is."""
    for able in _synthesizers(fleet):
        if able.engine == voice.engine:
            break
        for own in able.voices if able.live else ():
            if (iso(own.language), own.gender, own.age) == (voice.language, voice.gender, voice.age):
                return entry_of(able, own.id)
    return voice


def _best(catalogue: Catalogue, fleet: Fleet, language: str) -> VoiceEntry:
    """The most preferred engine's that knows the language. An accent that is asked for is the catalogue's."""
    tag = "en" if language in ("", _AUTO) else language
    try:
        usual = catalogue.default(tag)
        if usual != catalogue.default(iso(tag)):
            return usual
    except VoiceError:
        usual = None
    for able in _synthesizers(fleet):
        if usual is not None and able.engine == usual.engine:
            break
        voice = next((voice for voice in able.voices if able.live and iso(voice.language) == iso(tag)), None)
        if voice is not None:
            return entry_of(able, voice.id)
    return usual or catalogue.default(tag)


def _synthesizers(fleet: Fleet) -> Iterator[Capabilities]:
    return (able for able in fleet.capabilities if able.task is Task.SYNTHESIZE)
