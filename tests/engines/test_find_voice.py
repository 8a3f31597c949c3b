"""Which voice speaks, and what is said when none can."""

from typing import cast

import pytest

from engines.catalogue import Catalogue
from engines.fleet import Fleet
from engines.voices import find_voice
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
