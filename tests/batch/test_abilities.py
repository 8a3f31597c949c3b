"""What can be done here, and what is said of what cannot."""

from collections.abc import Sequence
from typing import cast

import pytest

from accounts.voices import SavedVoices
from batch.abilities import Abilities
from engines.base import Capabilities, Task
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from protocol.errors import Code, VoiceError
from protocol.work import (
    Analyzing,
    AnyVoice,
    Converting,
    Cue,
    Deechoing,
    Dubbing,
    Enhancing,
    Line,
    Revoicing,
    Separating,
    Speaking,
    Style,
    Transcribing,
    VoiceClone,
    VoiceDesign,
    VoiceNamed,
    VoiceSaved,
    Work,
)

MINE, MY_VOICE = 7, 3
ESPEAK = Capabilities("espeak-ng", Task.SYNTHESIZE, languages=("en", "vi"), cloning=True)
WHISPER = Capabilities("whisper", Task.RECOGNIZE, languages=("en",))


class OneVoice:
    """A single saved voice."""

    async def get(self, user_id: int, voice_id: int) -> None:
        if (user_id, voice_id) != (MINE, MY_VOICE):
            raise VoiceError(Code.NOT_FOUND, "There is no saved voice.", field="voice_id")


class Able:
    """As much of a fleet as is asked."""

    def __init__(self, *able: Capabilities) -> None:
        self._able = able

    @property
    def capabilities(self) -> Sequence[Capabilities]:
        return self._able

    def transcriber(self, language: str, model: str) -> Capabilities:
        if model not in ("auto", "whisper"):
            raise VoiceError(Code.NOT_INSTALLED, "not here", install="voxline models pull it")
        if language not in ("auto", "en"):
            raise VoiceError(Code.NOT_FOUND, "no engine knows that language", field="language")
        return WHISPER

    def diarizer(self) -> None:
        raise VoiceError(Code.NOT_INSTALLED, "no diarizer", install="pip install voices")

    def separator(self, stems: Sequence[str] = ()) -> None:
        raise VoiceError(Code.NOT_INSTALLED, "no separator", install="pip install demucs")

    def sound_tool(self, name: str) -> None:
        if name != "revoice":
            raise VoiceError(Code.NOT_INSTALLED, f"no {name}", install=f"pip install {name}")


def abilities(*able: Capabilities) -> Abilities:
    fleet = Able(*(able or (ESPEAK, WHISPER)))
    return Abilities(cast(Fleet, fleet), Catalogue.load(), cast(SavedVoices, OneVoice()))


def saying(voice: AnyVoice, language: str = "auto") -> Speaking:
    return Speaking(lines=(Line(text="a", voice=voice),), style=Style(language=language))


async def refusal(work: Work, *able: Capabilities) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        await abilities(*able).check(MINE, work)
    return caught.value


@pytest.mark.parametrize(
    "work",
    [
        saying(VoiceNamed()),
        saying(VoiceNamed(), "vi"),
        saying(VoiceNamed(code="hn_female_ngochuyen_full_48k-fhg")),
        saying(VoiceDesign(gender="male")),
        saying(VoiceClone(upload="")),
        saying(VoiceSaved(voice_id=MY_VOICE)),
        Dubbing(cues=(Cue(start=0, end=1, text="a"),), voice=VoiceSaved(voice_id=MY_VOICE)),
        Transcribing(upload="", seconds=0, language="en"),
        Transcribing(upload="", seconds=0, language="en", diarize=True, must_diarize=False),
        Revoicing(upload="", seconds=0, voice=VoiceNamed(code="af_bella"), language="en"),
        Converting(upload="", seconds=0),
        Converting(upload="", seconds=0, format="aac", bitrate=320, sample_rate=22_050),
    ],
)
async def test_what_can_be_done(work: Work) -> None:
    await abilities().check(MINE, work)


async def test_a_voice_that_is_not_there() -> None:
    assert (await refusal(saying(VoiceSaved(voice_id=4)))).code is Code.NOT_FOUND
    unknown = await refusal(saying(VoiceNamed(code="nobody")))
    assert unknown.code is Code.BAD_REQUEST and unknown.facts["field"] == "voice_code"


async def test_a_language_nobody_speaks() -> None:
    error = await refusal(saying(VoiceNamed(), "la"))
    assert error.code is Code.BAD_REQUEST and error.facts["field"] == "language"
    assert error.message == "No engine here speaks latin." and "vietnamese" in cast(list[str], error.facts["allowed"])


async def test_a_language_nobody_recognises() -> None:
    error = await refusal(Transcribing(upload="", seconds=0, language="vi"))
    assert error.code is Code.BAD_REQUEST and error.facts == {"field": "language", "allowed": ["english"]}
    assert error.message == "No engine here recognises vietnamese."


async def test_what_is_not_installed() -> None:
    assert (await refusal(Separating(upload="", seconds=0))).facts["install"] == "pip install demucs"
    assert (await refusal(Transcribing(upload="", seconds=0, engine="large"))).code is Code.NOT_INSTALLED
    assert (await refusal(saying(VoiceNamed()), WHISPER)).code is Code.NOT_INSTALLED
    assert (await refusal(Transcribing(upload="", seconds=0, diarize=True))).facts["install"] == "pip install voices"
    mute = Capabilities("mute", Task.SYNTHESIZE)
    assert (await refusal(saying(VoiceClone(upload="")), mute)).facts["field"] == "ref_audio"


@pytest.mark.parametrize("work", [Enhancing, Deechoing, Analyzing])
async def test_tools_for_sound_that_are_not_installed(work: type[Enhancing | Deechoing | Analyzing]) -> None:
    asked = work(upload="", seconds=0)
    assert (await refusal(asked)).facts["install"] == f"pip install {asked.kind}"


async def test_a_voice_to_speak_with_instead() -> None:
    refused = await refusal(Revoicing(upload="", seconds=0, voice=VoiceNamed(code="nobody")))
    assert refused.facts["field"] == "voice_code"
    assert (await refusal(Revoicing(upload="", seconds=0, voice=VoiceSaved(voice_id=4)))).code is Code.NOT_FOUND


async def test_a_bitrate_that_a_rate_does_not_have() -> None:
    refused = await refusal(Converting(upload="", seconds=0, format="mp3", bitrate=320, sample_rate=22_050))
    assert (refused.code, refused.facts["field"]) == (Code.BAD_REQUEST, "bitrate")


def test_who_will_recognise_it() -> None:
    assert abilities().recognizer("en", "auto") == "whisper"


def test_spoken_languages() -> None:
    assert {"vi", "en"} <= set(abilities().spoken_languages())
    assert abilities(WHISPER).spoken_languages() == []


def test_an_engine_is_preferred_only_where_it_can_do_it() -> None:
    other = Capabilities("transformers", Task.RECOGNIZE, languages=("vi",))
    assert abilities(WHISPER, other).preferred("transformers", "vi") == "transformers"
    assert abilities(WHISPER, other).preferred("transformers", "auto") == "transformers"
    assert abilities(WHISPER, other).preferred("transformers", "en") == "auto"
    assert abilities(WHISPER).preferred("transformers", "vi") == "auto"
