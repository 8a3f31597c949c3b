"""Which voice speaks, and what is said when none can."""

from typing import cast

import pytest

from engines.base import Capabilities, Task
from engines.base import Voice as Voiced
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from engines.voices import engine_voices, find_voice, voice_for
from protocol.errors import Code, VoiceError
from tests.stream.speaking_server import Voice


def find(code: str, language: str = "auto", *, installed: bool = True) -> str:
    return find_voice(Catalogue.load(), cast(Fleet, Voice(installed=installed)), code, language).engine_voice


def test_by_code_by_language_and_by_default() -> None:
    assert find("vi-south-female-1") == "vi-vn-x-south/female-1"
    assert find("hn_female_ngochuyen_full_48k-fhg") == "vi/female-1"
    assert find("auto", "vi-VN").startswith("vi/")
    assert find("auto").startswith("en")
    assert find("vi-south-female-1", "en") == "vi-vn-x-south/female-1", "a voice speaks its own language"


@pytest.mark.parametrize(("code", "language"), [("nobody", "auto"), ("auto", "tlh")])
def test_unknown(code: str, language: str) -> None:
    with pytest.raises(VoiceError) as caught:
        find(code, language)
    assert caught.value.code is Code.NOT_FOUND and caught.value.facts["field"] in ("voice", "language")


def test_not_installed() -> None:
    with pytest.raises(VoiceError) as caught:
        find("auto", installed=False)
    assert caught.value.code is Code.NOT_INSTALLED and "pip install" in str(caught.value.facts["install"])


class Engines:
    """A fleet of synthesisers, the most preferred first."""

    def __init__(self, *able: Capabilities) -> None:
        self._able = able

    @property
    def capabilities(self) -> list[Capabilities]:
        return list(self._able)


ESPEAK = Capabilities("espeak-ng", Task.SYNTHESIZE, languages=("en", "vi", "fr"))
VITS = Capabilities(
    "vits",
    Task.SYNTHESIZE,
    languages=("vi", "yo"),
    voices=(Voiced("vi", "mms-tts-vie, vi", "vi"), Voiced("yo/0", "yo", "yo"), Voiced("yo/1", "yo", "yo")),
)
SLOW = Capabilities("slow", Task.SYNTHESIZE, languages=("vi",), voices=(Voiced("vi", "slow", "vi"),), live=False)


def chosen(code: str, language: str, *able: Capabilities) -> tuple[str, str]:
    found = find_voice(Catalogue.load(), cast(Fleet, Engines(*able)), code, language)
    return found.engine, found.engine_voice


def test_auto_is_the_best_that_is_installed_for_the_language() -> None:
    assert chosen("auto", "vi", VITS, ESPEAK) == ("vits", "vi")
    assert chosen("auto", "vi-VN", VITS, ESPEAK) == ("vits", "vi")
    assert chosen("auto", "fr", VITS, ESPEAK)[0] == "espeak-ng"
    assert chosen("auto", "yo", VITS, ESPEAK) == ("vits", "yo/0"), "a language that is not in the catalogue"
    assert chosen("auto", "auto", VITS, ESPEAK)[0] == "espeak-ng"
    assert chosen("auto", "vi", ESPEAK, VITS)[0] == "espeak-ng", "the order is that of preference"


def test_auto_is_nobody_too_slow_to_listen_to() -> None:
    assert chosen("auto", "vi", SLOW, VITS, ESPEAK)[0] == "vits"
    assert chosen("slow-vi", "vi", SLOW, ESPEAK) == ("slow", "vi"), "unless it is named"


def test_an_accent_that_is_asked_for_is_spoken() -> None:
    assert chosen("auto", "vi-VN-x-south", VITS, ESPEAK) == ("espeak-ng", "vi-vn-x-south/female-1")


def test_a_voice_of_an_engine_by_its_code() -> None:
    assert chosen("vits-yo-1", "auto", VITS, ESPEAK) == ("vits", "yo/1")
    assert chosen("VITS-vi", "auto", VITS, ESPEAK) == ("vits", "vi")
    assert chosen("vi-south-female-1", "auto", VITS, ESPEAK)[0] == "espeak-ng", "a voice is who it says it is"
    codes = [voice.code for voice in engine_voices(cast(Fleet, Engines(VITS, ESPEAK)))]
    assert codes == ["vits-vi", "vits-yo-0", "vits-yo-1"]


DESIGNED = Capabilities(
    "neural",
    Task.SYNTHESIZE,
    languages=("en", "es"),
    voices=(Voiced("us-woman", "a woman", "en-US", "female"), Voiced("es", "somebody", "es", "neutral")),
)


def test_a_name_is_spoken_by_the_best_engine_that_has_such_a_person() -> None:
    """D20: ``af_bella`` is a woman who speaks English, whoever that is here."""

    def speaker(code: str, *able: Capabilities) -> str:
        voice = find_voice(Catalogue.load(), cast(Fleet, Engines(*able)), code)
        return f"{voice.engine}:{voice.engine_voice}"

    assert speaker("af_bella", ESPEAK) == "espeak-ng:en-us/female-1"
    assert speaker("af_bella", DESIGNED, ESPEAK) == "neural:us-woman"
    assert speaker("am_adam", DESIGNED, ESPEAK) == "espeak-ng:en-us/male-1"
    assert speaker("af_bella", ESPEAK, DESIGNED) == "espeak-ng:en-us/female-1", "the preferred one has her"


def test_a_voice_of_another_language_gives_way_to_its_like() -> None:
    def speaker(code: str, language: str) -> str:
        fleet = cast(Fleet, Voice())
        return voice_for(Catalogue.load(), fleet, code, language).engine_voice

    assert speaker("af_bella", "auto") == speaker("af_bella", "en-GB") == "en-us/female-1"
    assert speaker("af_bella", "es") == "es/female-1"
    assert speaker("am_adam", "vi") == "vi/male-1"
    assert speaker("en-us-girl", "vi") == "vi/girl"
    assert speaker("en-us-girl", "fr") == "fr-fr/female-1", "there is no girl who speaks French"
    with pytest.raises(VoiceError) as caught:
        speaker("af_bella", "tlh")
    assert caught.value.code is Code.NOT_FOUND and caught.value.facts["field"] == "language"
