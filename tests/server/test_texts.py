"""What works on texts, by the settings: the default engine, a model in a directory, an endpoint."""

from pathlib import Path

import psutil
import pytest

from engines.base import Task
from engines.fleet import Fleet
from engines.models import Format, format_of
from protocol.errors import Code, VoiceError
from protocol.texts import AnalysisType, Role, Turn
from server.engines import choose_engines
from server.settings import Settings, SettingsError, load_settings
from server.texts import endpoint_state, texts_of
from tests.batch.language_server import language_server, saying


def names(settings: Settings) -> set[str]:
    return {spec.name for spec in choose_engines(settings)}


async def test_without_any_setting_the_default_engine_is_there_while_it_is_used(tmp_path: Path) -> None:
    """C23: what it cannot do has a command that adds it. Its process is of low priority."""
    settings = Settings(data=tmp_path)
    specs = [spec for spec in choose_engines(settings) if spec.task is Task.TEXT]
    fleet = Fleet(specs)
    await fleet.start()
    try:
        texts = texts_of(settings, fleet)
        abilities = {ability.name: ability for ability in texts.abilities()}
        assert not fleet.pids()
        assert (await texts.analyze("Who asks?", AnalysisType.QUESTIONS)).data == {"questions": ["Who asks?"]}
        (pid,) = fleet.pids()
        assert psutil.Process(pid).nice() >= 10
        assert [able.engine for able in fleet.capabilities] == ["plain-texts"]
    finally:
        await fleet.aclose()
    assert abilities["embed"].model == "all-MiniLM-L6-v2-int8" and "key_quotes" in abilities["generate"].note
    assert abilities["chat"].install == "voxline models pull qwen2.5-1.5b-instruct"
    assert abilities["translate"].install == "voxline models pull madlad400-3b-mt"
    assert not names(settings) & {"language-model", "translator"}


def test_models_are_known_by_their_files_and_the_largest_pulled_one_is_taken(tmp_path: Path) -> None:
    from tests.engines.text.checkpoints import language_model, madlad

    models = tmp_path / "models"
    language_model(models / "mine", [])
    madlad(models / "theirs", [])
    assert format_of(models / "mine") is Format.LANGUAGE_MODEL and format_of(models / "theirs") is Format.TRANSLATOR
    chosen = {spec.name: spec for spec in choose_engines(Settings(data=tmp_path))}
    assert chosen["language-model"].options["model"] == "mine" and chosen["translator"].options["model"] == "theirs"
    named = choose_engines(Settings(data=tmp_path, language_model=str(models / "mine"), language_model_threads=5))
    options = next(spec.options for spec in named if spec.name == "language-model")
    assert options == {"directory": str(models / "mine"), "model": "mine", "device": "cpu", "threads": 5}
    with pytest.raises(VoiceError) as refused:
        choose_engines(Settings(data=tmp_path, translation_model="madlad400-3b-mt"))
    assert refused.value.code is Code.NOT_INSTALLED


async def test_an_endpoint_is_used_before_a_model_and_its_key_is_shown_nowhere(tmp_path: Path) -> None:
    async with language_server(lambda asked: saying("Yes.", asked["model"])) as server:
        settings = load_settings(data=tmp_path, text_url=f"{server.url}/", text_key="sk-secret", text_model="big")
        texts = texts_of(settings, Fleet([]))
        assert (await texts.chat("", [Turn(Role.USER, "Well?")])).model == "big"
        assert (await texts.translate(["Yes"], "auto", "vi")).texts == ("Yes.",)
        assert server.headers[0]["authorization"] == "Bearer sk-secret" and "sk-secret" not in repr(settings)
        assert await endpoint_state(settings) == f"{server.url} answers, with big"
    assert "cannot be reached" in await endpoint_state(settings)


def test_an_address_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="text_url"):
        load_settings(data=tmp_path, text_url="localhost:11434")
