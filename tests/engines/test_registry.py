"""Every line of the table names something that exists, and what is missing is found without importing it."""

import logging
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec

import pytest

from engines import registry
from engines.base import Task
from engines.registry import BUILT_IN, WHISPER_LANGUAGES, EngineSpec


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.name)
def test_a_built_in_engine_has_its_module_and_its_command(spec: EngineSpec) -> None:
    module, colon, attribute = spec.factory.partition(":")
    assert find_spec(module) is not None
    assert colon and attribute
    assert spec.install
    assert registry.find(spec.name) == spec


def test_what_is_installed_is_found_without_importing_it() -> None:
    before = set(sys.modules)
    names = {spec.name for spec in registry.installed()}
    assert {"espeak-ng", "silero-vad", "pocketsphinx", "faster-whisper", "repetition"} <= names
    assert not {"torch", "ctranslate2", "faster_whisper", "pocketsphinx"} & (set(sys.modules) - before)


def test_what_is_missing() -> None:
    spec = EngineSpec("x", Task.SEPARATE, "a:b", requires=("json", "no_such_module", "json.no"), needs=("directory",))
    assert spec.missing() == ("no_such_module", "json.no", "directory")
    assert replace(spec, requires=("json",)).with_options(directory="/x").missing() == ()


def test_options_are_set_over_the_engine_s_own() -> None:
    spec = EngineSpec("x", Task.SEPARATE, "a:b", {"a": 1, "b": 2})
    assert spec.with_options(b=3).options == {"a": 1, "b": 3}
    assert spec.options == {"a": 1, "b": 2}


@dataclass(frozen=True)
class Point:
    """What an entry point is to the registry."""

    name: str
    value: object

    def load(self) -> object:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def test_other_people_s_engines_join_and_their_faults_do_not_matter(caplog: pytest.LogCaptureFixture) -> None:
    good = EngineSpec("theirs", Task.SYNTHESIZE, "theirs:factory")
    points = [Point("a", good), Point("b", ImportError("x")), Point("c", "not a spec")]
    with caplog.at_level(logging.WARNING):
        specs = list(registry.known(points))  # type: ignore[arg-type]
    assert specs == [*BUILT_IN, replace(good, optional=True)]
    assert [record.args[0] for record in caplog.records if record.args] == ["b", "c"]  # type: ignore[index]


def test_the_languages_are_whisper_s() -> None:
    assert len(WHISPER_LANGUAGES) == len(set(WHISPER_LANGUAGES)) == 100
    assert {"en", "vi", "zh", "yue"} <= set(WHISPER_LANGUAGES)
