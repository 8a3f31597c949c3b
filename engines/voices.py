"""Which voice speaks: a client's words looked up in the catalogue, and its engine in the fleet."""

from engines import registry
from engines.catalogue import Catalogue, VoiceEntry
from engines.fleet import Fleet
from protocol.errors import Code, VoiceError


def find_voice(catalogue: Catalogue, fleet: Fleet, code: str, language: str = "auto") -> VoiceEntry:
    """The voice of that code, or the default of the language for "auto".

    Raises NOT_FOUND, or NOT_INSTALLED with the command that would ``install`` the voice's engine.
    """
    voice = catalogue.default(language) if code == "auto" else catalogue.find(code)
    if voice is None:
        raise VoiceError(Code.NOT_FOUND, "There is no voice of that name; GET /v1/voices lists them.", field="voice")
    if all(able.engine != voice.engine for able in fleet.capabilities()):
        spec = registry.find(voice.engine)
        what = f"The speech engine {voice.engine} is not installed."
        raise VoiceError(Code.NOT_INSTALLED, what, install=spec.install if spec else "")
    return voice
