"""Free words about a voice, English or Vietnamese, to ``Traits``: what ``instruct`` and ``style`` say (A14).

The longest phrase wins where several begin at the same place ("miền Nam" is a region, "nam" a man), a trait is taken
from the first phrase that names it, and words nobody here knows are passed over.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import cast

from protocol.traits import Age, Gender, Manner, Pace, Pitch, Traits
from protocol.work import VoiceDesign

_Trait = Gender | Age | Pitch | Manner | Pace | str  # a plain string is an accent's tag

# Each line: what the phrases after it mean.
_PHRASES: tuple[tuple[tuple[_Trait, ...], str], ...] = (
    ((Gender.MALE,), "male, man, masculine, gentleman, nam, nam giới, giọng nam, đàn ông, con trai, chàng trai"),
    ((Gender.FEMALE,), "female, woman, feminine, lady, nữ, nữ giới, giọng nữ, phụ nữ, đàn bà, con gái, cô gái"),
    ((Age.CHILD,), "child, childlike, kid, trẻ em, trẻ con, em bé, thiếu nhi, trẻ thơ"),
    ((Gender.MALE, Age.CHILD), "boy, little boy, bé trai, cậu bé"),
    ((Gender.FEMALE, Age.CHILD), "girl, little girl, bé gái, cô bé"),
    ((Age.TEENAGER,), "teenager, teen, teenage, adolescent, thiếu niên, vị thành niên, tuổi teen"),
    ((Age.YOUNG,), "young adult, young, youthful, trẻ, trẻ tuổi, trẻ trung, thanh niên, người trẻ"),
    ((Gender.MALE, Age.YOUNG), "young man, nam thanh niên"),
    ((Gender.FEMALE, Age.YOUNG), "young woman, young lady, thiếu nữ"),
    ((Age.MIDDLE,), "middle-aged, middle aged, middle age, mature, trung niên"),
    ((Age.ELDERLY,), "elderly, old, aged, senior, già, cao tuổi, lớn tuổi, người già, cụ già"),
    ((Gender.MALE, Age.ELDERLY), "old man, grandfather, grandpa, ông già, ông lão, ông cụ"),
    ((Gender.FEMALE, Age.ELDERLY), "old woman, old lady, grandmother, grandma, bà già, bà lão, bà cụ"),
    ((Pitch.VERY_LOW,), "very low pitch, very low, very deep, rất trầm, rất thấp"),
    ((Pitch.LOW,), "low pitch, low-pitched, low, deep, bass, trầm, giọng trầm, giọng thấp, trầm ấm"),
    ((Pitch.MODERATE,), "moderate pitch, moderate, medium pitch, giọng vừa, cao độ vừa"),
    ((Pitch.HIGH,), "high pitch, high-pitched, high, cao, bổng, giọng cao, trong trẻo"),
    ((Pitch.VERY_HIGH,), "very high pitch, very high, rất cao"),
    ((Manner.NORMAL,), "normal, neutral, plain, bình thường, tự nhiên, trung tính"),
    ((Manner.CHEERFUL,), "cheerful, happy, joyful, cheery, vui, vui vẻ, vui tươi, tươi vui, hạnh phúc"),
    ((Manner.EXCITED,), "excited, energetic, lively, enthusiastic, hào hứng, phấn khích, sôi nổi, năng động"),
    ((Manner.CALM,), "calm, relaxed, soothing, peaceful, bình tĩnh, điềm tĩnh, thư giãn"),
    ((Manner.GENTLE,), "gentle, soft, tender, warm, friendly, nhẹ nhàng, dịu dàng, ấm áp, thân thiện"),
    ((Manner.SERIOUS,), "serious, formal, solemn, newsreader, news, nghiêm túc, trang trọng, trang nghiêm, tin tức"),
    ((Manner.SAD,), "sad, sorrowful, melancholy, melancholic, gloomy, buồn, buồn bã, u buồn, đau khổ"),
    ((Manner.FEARFUL,), "fearful, scared, afraid, anxious, nervous, sợ, sợ hãi, lo lắng, run rẩy"),
    ((Manner.ANGRY,), "angry, furious, mad, giận, giận dữ, tức giận, phẫn nộ, cáu gắt"),
    ((Manner.WHISPER,), "whisper, whispering, whispered, whispery, thì thầm, thầm thì"),
    ((Pace.SLOW,), "slow, slowly, chậm, chậm rãi, nói chậm"),
    ((Pace.FAST,), "fast, quick, quickly, rapid, nhanh, nói nhanh, nhanh nhẹn"),
    (("en-us",), "american, american accent"),
    (("en-gb",), "british, british accent, english accent"),
    (("en-gb-scotland",), "scottish, scottish accent"),
    (("en-au",), "australian, australian accent"),
    (("en-ca",), "canadian, canadian accent"),
    (("en-in",), "indian, indian accent"),
    (("en-cn",), "chinese accent"),
    (("en-jp",), "japanese accent"),
    (("en-kr",), "korean accent"),
    (("en-pt",), "portuguese accent"),
    (("en-ru",), "russian accent"),
    (("vi",), "northern vietnamese, miền bắc, giọng bắc, hà nội"),
    (("vi-vn-x-central",), "central vietnamese, miền trung, giọng trung, giọng huế"),
    (("vi-vn-x-south",), "southern vietnamese, miền nam, sài gòn"),
    ((), "việt nam, low energy, high energy, high quality, chất lượng cao"),  # name nothing, for all their words do
)
_KINDS = {Gender: "gender", Age: "age", Pitch: "pitch", Manner: "manner", Pace: "pace", str: "accent"}


def understand(words: str) -> Traits:
    """What a description says of a voice."""
    table, pattern = _vocabulary()
    found: dict[str, _Trait] = {}
    for phrase in pattern.findall(_folded(words)):
        for trait in table[phrase]:
            found.setdefault(_KINDS[type(trait)], trait)
    return Traits(
        cast(Gender | None, found.get("gender")),
        cast(Age | None, found.get("age")),
        cast(Pitch | None, found.get("pitch")),
        cast(Manner | None, found.get("manner")),
        cast(Pace | None, found.get("pace")),
        str(found.get("accent", "")),
    )


def traits_of(design: VoiceDesign) -> Traits:
    """What a design asks for: its ``instruct`` alone if it has one, else its other fields (A14)."""
    if design.instruct.strip():
        return understand(design.instruct)
    style = understand(design.style)
    return Traits(
        Gender(design.gender) if design.gender else None,
        Age(design.age) if design.age else None,
        Pitch(design.pitch) if design.pitch else None,
        style.manner,
        style.pace,
    )


def in_words(traits: Traits) -> str:
    """Traits as a description ``understand`` reads back, in the words of A14: "male, young adult, low pitch"."""
    parts = (traits.gender, traits.age, traits.pitch, traits.manner, traits.pace)
    return ", ".join(part.value for part in parts if part)


def _folded(words: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", words).casefold())


@cache
def _vocabulary() -> tuple[Mapping[str, tuple[_Trait, ...]], re.Pattern[str]]:
    table = {phrase: traits for traits, phrases in _PHRASES for phrase in phrases.split(", ")}
    longest_first = sorted(table, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    return MappingProxyType(table), pattern
