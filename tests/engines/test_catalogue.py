"""The table of voices: all of CONTRACT B15 and B16, Voxline's own, and nobody who cannot speak."""

import tomllib
from pathlib import Path

import pytest

from engines.catalogue import ALL_RATES, Catalogue, VoiceEntry
from engines.tts.characters import CHARACTERS
from engines.tts.espeak import factory
from protocol.errors import Code, VoiceError

B15 = (
    "hn_female_ngochuyen_full_48k-fhg",
    "hn_male_phuthang_news65dt_44k-fhg",
    "hn_male_thanhlong_talk_48k-fhg",
    "hn_female_maiphuong_vdts_48k-fhg",
    "hn_male_manhdung_news_48k-fhg",
    "sg_female_lantrinh_vdts_48k-fhg",
    "sg_male_trungkien_vdts_48k-fhg",
    "sg_male_minhhoang_full_48k-fhg",
    "sg_female_thaotrinh_full_48k-fhg",
    "hue_male_duyphuong_full_48k-fhg",
    "hue_female_huonggiang_full_48k-fhg",
)
B16 = (
    "af-ZA-Standard-A",
    "ar-XA-Standard-A",
    "ar-XA-Standard-B",
    "ar-XA-Standard-C",
    "ar-XA-Standard-D",
    "bg-bg-Standard-A",
    "bn-IN-Standard-A",
    "bn-IN-Standard-B",
    "ca-es-Standard-A",
    "cmn-CN-Standard-A",
    "cmn-CN-Standard-B",
    "cmn-CN-Standard-C",
    "cmn-CN-Standard-D",
    "cmn-TW-Standard-A",
    "cmn-TW-Standard-B",
    "cmn-TW-Standard-C",
    "cs-CZ-Standard-A",
    "da-DK-Standard-A",
    "da-DK-Standard-C",
    "da-DK-Standard-D",
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def found(catalogue: Catalogue, code: str) -> VoiceEntry:
    entry = catalogue.find(code)
    assert entry is not None, code
    return entry


def test_the_documents_list_11_and_20() -> None:
    assert (len(B15), len(B16)) == (11, 20)


@pytest.mark.parametrize("code", B15)
def test_vietnamese_voices_keep_region_and_gender(catalogue: Catalogue, code: str) -> None:
    entry = found(catalogue, code)
    region, gender = code.split("_")[:2]
    language = {"hn": "vi", "sg": "vi-vn-x-south", "hue": "vi-vn-x-central"}[region]
    assert (entry.code, entry.family, entry.language, entry.gender) == (code, "vbee", "vi", gender)
    assert entry.engine_voice.startswith(f"{language}/{gender}-")
    assert entry.name.startswith({"hn": "HN - ", "sg": "SG - ", "hue": "Huế - "}[region])


@pytest.mark.parametrize("code", B16)
def test_international_voices_keep_their_locale(catalogue: Catalogue, code: str) -> None:
    entry = found(catalogue, code)
    locale = {"bg-bg": "bg-BG", "ca-es": "ca-ES"}.get(code[:5], code[:5])
    assert (entry.family, entry.rates) == ("standard", (8000, 16000, 22050, 24000))
    assert entry.locale == ("cmn-CN" if code.startswith("cmn") else locale)


def test_rates_follow_the_code(catalogue: Catalogue) -> None:
    """E8: each voice has a subset, and the default is its highest."""
    assert found(catalogue, "hn_female_ngochuyen_full_48k-fhg").rates == ALL_RATES
    assert found(catalogue, "hn_female_ngochuyen_full_48k-fhg").default_rate == 48000
    assert found(catalogue, "hn_male_phuthang_news65dt_44k-fhg").default_rate == 44100
    assert 48000 not in found(catalogue, "hn_male_phuthang_news65dt_44k-fhg").rates
    assert found(catalogue, "cs-CZ-Standard-A").default_rate == 24000


def test_nobody_of_a_family_shares_a_voice(catalogue: Catalogue) -> None:
    for family in ("vbee", "standard", "voxline"):
        voices = [entry.engine_voice for entry in catalogue.all() if entry.family == family]
        assert len(voices) == len(set(voices)), family


def test_codes_are_unique_and_found_in_any_case(catalogue: Catalogue) -> None:
    codes = [entry.code.lower() for entry in catalogue.all()]
    assert len(codes) == len(set(codes))
    assert catalogue.find("HN_Female_NgocHuyen_full_48k-FHG") == catalogue.find("hn_female_ngochuyen_full_48k-fhg")
    assert catalogue.find("../../etc/passwd") is None
    assert catalogue.find("vi/female-1") is None, "an engine's id is no code of ours"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("auto", "en-us-female-1"),
        ("", "en-us-female-1"),
        ("en", "en-us-female-1"),
        ("en-GB", "en-gb-female-1"),
        ("en-AU", "en-us-female-1"),
        ("vi", "vi-north-female-1"),
        ("vi_VN", "vi-north-female-1"),
        ("vi-VN-x-south", "vi-south-female-1"),
        ("zh", "zh-female-1"),
        ("cmn-CN", "zh-female-1"),
        ("pt-BR", "pt-br-female-1"),
        ("no", "nb-female-1"),
    ],
)
def test_a_language_has_a_default_voice(catalogue: Catalogue, language: str, code: str) -> None:
    assert catalogue.default(language).code == code


def test_a_language_nobody_speaks_is_said_so(catalogue: Catalogue) -> None:
    with pytest.raises(VoiceError) as caught:
        catalogue.default("tlh")
    assert caught.value.code is Code.NOT_FOUND


def test_every_entry_is_a_voice_of_the_engine(catalogue: Catalogue) -> None:
    said = factory({}).describe()
    tags = {voice.id.partition("/")[0] for voice in said.voices}
    for entry in catalogue.all():
        tag, _, name = entry.engine_voice.partition("/")
        assert entry.engine == said.engine
        assert tag in tags, entry.code
        assert entry.language in said.languages, entry.code
        assert (entry.gender, name) == (CHARACTERS[name].gender, name), entry.code


def test_the_table_describes_the_characters_as_the_engine_has_them(repository: Path) -> None:
    table = tomllib.loads((repository / "engines" / "voices.toml").read_text(encoding="utf-8"))["characters"]
    assert table == {name: {"gender": who.gender, "age": who.age} for name, who in CHARACTERS.items()}


def test_names_of_kokoros(catalogue: Catalogue) -> None:
    """D20: the letters before the name are the language and the gender."""
    names = [entry for entry in catalogue.all() if entry.family == "kokoro"]
    assert len(names) == 54 and found(catalogue, "af_bella") in names
    languages = {"a": "en", "b": "en", "j": "ja", "z": "zh", "e": "es", "f": "fr", "h": "hi", "i": "it", "p": "pt"}
    for entry in names:
        language, gender = languages[entry.code[0]], {"f": "female", "m": "male"}[entry.code[1]]
        assert (entry.language, entry.gender) == (language, gender)
        assert entry.engine_voice.rpartition("/")[2] in CHARACTERS
