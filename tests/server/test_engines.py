"""Which engines a server starts, by its settings and by what is installed."""

import time
from pathlib import Path

import pytest

from accounts.policy import Policies
from accounts.store import Store
from engines.base import Task
from engines.fleet import Fleet
from engines.models import Format
from protocol.errors import Code, VoiceError
from server.engines import (
    ESPEAK,
    SPHINX,
    TRANSFORMERS,
    WHISPER,
    choose_engines,
    find_model,
    models_root,
    tune_batch_models,
)
from server.settings import Settings


def installed(data: Path, *names: str) -> Settings:
    """Settings of a server that has these models (their files are not read here)."""
    for name in names:
        folder = data / "models" / name
        folder.mkdir(parents=True)
        for file in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
            (folder / file).write_text("x")
    return Settings(data=data)


def names(settings: Settings) -> list[str]:
    return [spec.name for spec in choose_engines(settings)]


def test_without_a_model_pocketsphinx_recognises(tmp_path: Path) -> None:
    chosen = set(names(Settings(data=tmp_path)))
    assert {ESPEAK, SPHINX, "silero-vad", "repetition", "plain-texts"} <= chosen
    assert not chosen & {WHISPER, "transformers", "vits", "omnivoice", "demucs", "language-model", "translator"}


def test_with_a_model_whisper_does_and_pocketsphinx_only_if_asked(tmp_path: Path) -> None:
    settings = installed(tmp_path, "small")
    assert WHISPER in names(settings) and SPHINX not in names(settings)
    both = settings.model_copy(update={"pocketsphinx": "on"})
    assert {WHISPER, SPHINX} <= set(names(both))


def test_it_can_be_without_any_recogniser(tmp_path: Path) -> None:
    specs = choose_engines(Settings(data=tmp_path, pocketsphinx="off"))
    assert not any(spec.task is Task.RECOGNIZE for spec in specs)


def test_the_best_pulled_model_that_a_cpu_carries_live_is_taken(tmp_path: Path) -> None:
    settings = installed(tmp_path, "tiny", "small", "large-v3")
    on_cpu, on_gpu = find_model(settings), find_model(settings.model_copy(update={"whisper_device": "cuda"}))
    assert on_cpu is not None and on_cpu.name == "small"
    assert on_gpu is not None and on_gpu.name == "large-v3"


def test_a_named_model_is_taken_whatever_its_size(tmp_path: Path) -> None:
    settings = installed(tmp_path, "small", "large-v3").model_copy(update={"whisper_model": "large-v3"})
    model = find_model(settings)
    assert model is not None and model.directory == models_root(settings) / "large-v3"


def test_a_directory_is_called_by_a_name_that_says_something(tmp_path: Path) -> None:
    for path, name in (("whisper-vi", "whisper-vi"), ("nano/model", "nano")):
        (tmp_path / path).mkdir(parents=True)
        model = find_model(Settings(data=tmp_path, whisper_model=str(tmp_path / path)))
        assert model is not None and model.name == name


@pytest.mark.parametrize(("name", "code"), [("small", Code.NOT_INSTALLED), ("gpt", Code.NOT_FOUND)])
def test_a_named_model_that_is_not_here_says_what_to_do(tmp_path: Path, name: str, code: Code) -> None:
    with pytest.raises(VoiceError) as caught:
        choose_engines(Settings(data=tmp_path, whisper_model=name))
    assert caught.value.code is code
    assert (caught.value.facts.get("install") == f"voxline models pull {name}") == (code is Code.NOT_INSTALLED)


def test_the_settings_reach_the_engines(tmp_path: Path) -> None:
    settings = installed(tmp_path, "small").model_copy(
        update={"whisper_threads": 7, "whisper_languages": ("en", "vi"), "synthesizers": 3, "engine_memory_mb": 512}
    )
    specs = {spec.name: spec for spec in choose_engines(settings)}
    assert specs[WHISPER].options["threads"] == 7 and specs[WHISPER].options["languages"] == ["en", "vi"]
    assert specs[ESPEAK].processes == 3
    assert all(spec.memory_bytes == 512 << 20 for spec in specs.values())


def transformers_model(data: Path, name: str) -> Path:
    folder = data / "models" / name
    folder.mkdir(parents=True)
    for file in ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"):
        (folder / file).write_text("x")
    (folder / "generation_config.json").write_text('{"lang_to_id": {"<|en|>": 1, "<|vi|>": 2, "<|haw|>": 3}}')
    return folder


def test_a_pulled_model_of_transformers_is_for_recordings(tmp_path: Path) -> None:
    transformers_model(tmp_path, "whisper-base")
    transformers_model(tmp_path, "whisper-large-v3")
    specs = {spec.name: spec for spec in choose_engines(Settings(data=tmp_path))}
    chosen = specs[TRANSFORMERS]
    assert chosen.on_demand and chosen.options["model"] == "whisper-base"  # what a CPU can do
    assert chosen.languages == ("en", "vi", "haw")
    assert SPHINX in specs  # nobody can speak to it live
    on_gpu = find_model(Settings(data=tmp_path, whisper_device="cuda"), Format.TRANSFORMERS)
    assert on_gpu is not None and on_gpu.name == "whisper-large-v3"
    few = Settings(data=tmp_path, whisper_languages=("vi", "de"))
    assert {spec.name: spec for spec in choose_engines(few)}[TRANSFORMERS].languages == ("vi",)


def test_a_model_of_one_format_is_not_run_by_the_engine_of_the_other(tmp_path: Path) -> None:
    assert TRANSFORMERS not in names(installed(tmp_path, "small"))
    folder = transformers_model(tmp_path / "elsewhere", "mine")
    settings = Settings(data=tmp_path, transformers_model=str(folder))
    assert {spec.name: spec for spec in choose_engines(settings)}[TRANSFORMERS].options["model"] == "mine"
    with pytest.raises(VoiceError, match="whisper-tiny"):
        choose_engines(Settings(data=tmp_path, transformers_model="whisper-tiny"))


async def test_what_an_admin_sets_of_batch_models_is_in_force_while_the_server_runs(store: Store) -> None:
    """A52: lazy unload and the compute type; taken back, the server's own hold again."""
    policies, fleet = Policies(store, now=time.time, tick=time.monotonic), Fleet([])
    await policies.change({"stt_v2": {"idle_unload_s": 5, "compute_type": "float32"}})
    await tune_batch_models(fleet, policies)
    assert (fleet.lanes.idle_s, fleet.lanes.compute_type) == (5, "float32")
    await policies.change({"stt_v2": {"idle_unload_s": 0, "compute_type": None}})
    await tune_batch_models(fleet, policies)
    assert fleet.lanes.idle_s > 86_400
    assert fleet.lanes.compute_type == ""


def test_each_gpu_has_a_process_of_its_own(tmp_path: Path) -> None:
    settings = installed(tmp_path, "small").model_copy(update={"whisper_device": "cuda:0, cuda:1"})
    (spec,) = [spec for spec in choose_engines(settings) if spec.name == WHISPER]
    assert spec.processes == 2 and spec.options["device"] == "cuda:0"
    assert [spec.of_process(number).options["device"] for number in range(2)] == ["cuda:0", "cuda:1"]
    (one,) = [spec for spec in choose_engines(installed(tmp_path / "b", "small")) if spec.name == WHISPER]
    assert one.processes == 1 and one.of_process(0).options["device"] == "cpu"


@pytest.mark.parametrize("device", ["cpu", "cuda", "auto", "cuda:1", "cuda:0,cuda:3"])
def test_a_device_that_can_be_named(device: str) -> None:
    assert Settings(whisper_device=device).whisper_device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu,cuda:0", "cuda:0,cuda", ""])
def test_a_device_that_cannot(device: str) -> None:
    with pytest.raises(ValueError, match="whisper_device"):
        Settings(whisper_device=device)


def test_models_are_put_away_after_the_time_the_settings_say(tmp_path: Path) -> None:
    settings = installed(tmp_path, "small").model_copy(update={"whisper_idle_seconds": 300.0})
    specs = {spec.name: spec for spec in choose_engines(settings)}
    assert specs[WHISPER].idle_s == 300 and specs[ESPEAK].idle_s == 0
