"""Settings: where they come from, what they refuse, and the table that documents them."""

from pathlib import Path

import pytest

from server.settings import Settings, SettingsError, child_environment, given_key, load_settings, settings_table


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests, and no ``var/voxline.toml`` of theirs."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VOXLINE_{name.upper()}", raising=False)
    for name in ("VOXLINE_CONFIG", "VOXLINE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_anything_the_server_listens_on_loopback_only() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 8000, Path("var"))
    assert settings.whisper_model == "", "a normal start never picks a demonstration model"


def test_the_command_line_beats_the_environment_and_that_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "voxline.toml").write_text("port = 1\nsessions = 2\nidle_timeout = 3\n")
    monkeypatch.setenv("VOXLINE_PORT", "10")
    monkeypatch.setenv("VOXLINE_SESSIONS", "20")
    settings = load_settings(data=tmp_path, port=100, host=None)
    assert (settings.port, settings.sessions, settings.idle_timeout) == (100, 20, 3.0)


def test_a_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('cors_origins = ["https://a.example"]\n')
    monkeypatch.setenv("VOXLINE_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().cors_origins == ("https://a.example",)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLINE_TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2,")
    assert load_settings().trusted_proxies == ("10.0.0.1", "10.0.0.2")


def test_hosts_are_bound_to_apis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOXLINE_HOSTS", "API.stt.ai.=c, api.tts.ai = d,[::1]=e")
    assert load_settings().bound_hosts == {"api.stt.ai": "c", "api.tts.ai": "d", "[::1]": "e"}
    monkeypatch.delenv("VOXLINE_HOSTS")
    (tmp_path / "voxline.toml").write_text('hosts = ["api.stt.ai=c"]\n')
    assert load_settings(data=tmp_path).bound_hosts == {"api.stt.ai": "c"}


@pytest.mark.parametrize(
    "value",
    ["api.stt.ai", "api.stt.ai=z", "=c", "https://api.stt.ai=c", "api.stt.ai:80=c", "a b=c", "x=c,x=d", "x=cd"],
)
def test_what_binds_no_host_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("VOXLINE_HOSTS", value)
    with pytest.raises(SettingsError, match="VOXLINE_HOSTS"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "x"), ("PORT", "70000"), ("LOG_FORMAT", "xml"), ("IDLE_TIMEOUT", "0"), ("WHISPER_MODEL", "/no/such")],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"VOXLINE_{name}", value)
    with pytest.raises(SettingsError, match=f"VOXLINE_{name}"):
        load_settings()


def test_a_misspelt_name_and_a_file_that_is_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLINE_SERVICE_HOST", "10.0.0.1")  # what Kubernetes sets for a service of our name
    load_settings()
    monkeypatch.setenv("VOXLINE_SESSONS", "3")
    with pytest.raises(SettingsError, match="VOXLINE_SESSIONS"):
        load_settings()
    monkeypatch.delenv("VOXLINE_SESSONS")
    monkeypatch.setenv("VOXLINE_CONFIG", "/no/such.toml")
    with pytest.raises(SettingsError, match=r"/no/such\.toml"):
        load_settings()


@pytest.mark.parametrize("text", ["port = ", "prot = 8000\n"])
def test_a_file_with_a_mistake_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "voxline.toml").write_text(text)
    with pytest.raises(SettingsError):
        load_settings(data=tmp_path)


def test_every_setting_is_described_and_in_the_table() -> None:
    table = settings_table()
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith((".", "`.")), name
        assert f"`VOXLINE_{name.upper()}`" in table


def test_a_child_gets_the_given_settings_and_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLINE_PORT", "1")
    monkeypatch.setenv("OTHER", "kept")
    environment = child_environment(log_format="json")
    assert environment["VOXLINE_LOG_FORMAT"] == "json" and environment["OTHER"] == "kept"
    assert "VOXLINE_PORT" not in environment


def test_the_key_of_a_client_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_key() == ""
    monkeypatch.setenv("VOXLINE_KEY", "sk-ov-x")
    assert given_key() == "sk-ov-x"
