"""Every setting of the server, and the only place that reads the environment.

Precedence: command line, then ``VOXLINE_*`` in the environment, then ``voxline.toml`` (in the data directory, or the
file named by ``VOXLINE_CONFIG``), then the defaults below. ``settings_table`` writes the README's table from the same
fields, so that it cannot lie.
"""

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from protocol.route import host_name

_PREFIX = "VOXLINE_"
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_NOT_SETTINGS = ("CONFIG", "KEY")  # read from the environment beside the settings: the file's place, a client's key
_GPUS = r"^(cpu|cuda(:\d+)?(\s*,\s*cuda:\d+)*)$"
_OF_ENGINES = (
    "whisper_", "vits_", "omnivoice_", "voices_", "demucs_", "transformers_", "pocketsphinx", "synthesizers", "engine_",
)  # fmt: skip


class SettingsError(Exception):
    """Settings that cannot be used; the message names each of them and what is allowed."""


class Settings(BaseSettings):
    """How this server runs. Counts of 0 mean "no limit" where the description says so."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    # -- where
    host: str = Field(default="127.0.0.1", description="Address to listen on; `0.0.0.0` for all.")
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    data: Path = Field(
        default=Path("var"), description="Directory of the database, the pulled models and `voxline.toml`."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks whose `X-Forwarded-For` is believed (comma separated), or `*`; "
        "none by default.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Web origins that may call the HTTP routes from a browser (comma separated), or `*`."
    )

    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Host names that are one API's alone (comma separated), such as `api.stt.ai=c, api.tts.ai=d`; "
        "see docs/dialects.md.",
    )

    database: str = Field(
        default="",
        description="The store: a `postgresql+asyncpg://` URL that several machines share; none = SQLite under `data`.",
    )
    redis_url: str = Field(
        default="", description="Redis that wakes workers and counts requests over several processes; none = neither."
    )
    public_url: str = Field(
        default="", description="Address clients reach this server at, for links in replies; none = the request's own."
    )

    # -- batch work and accounts
    workers: int = Field(
        default=2, ge=0, le=64, description="Jobs at once in this process; 0 = `voxline worker` does them."
    )
    lease_seconds: float = Field(
        default=30.0, gt=0, description="Seconds after which a job whose worker shows no life is given to another."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Deliver webhooks to private addresses too; for a trusted network only."
    )
    vbee_http_errors: bool = Field(
        default=True, description="Errors of the Vbee API (B) have HTTP statuses of their own; off: 200 and `status` 0."
    )
    registration: bool = Field(default=True, description="Anybody may make an account at `/register`.")
    secure_cookies: Literal["auto", "on", "off"] = Field(
        default="auto", description="`Secure` log-in cookies: `auto` sets it where `public_url` is https."
    )

    # -- engines
    whisper_model: str = Field(
        default="", description="Recogniser: a directory with a CTranslate2 Whisper, or the name of a pulled model."
    )
    whisper_device: str = Field(
        default="cpu",
        pattern=_GPUS.replace("cpu", "cpu|auto"),
        description="Where Whisper runs: `cpu`, `cuda`, `auto`, `cuda:1` (the second GPU); "
        "`cuda:0,cuda:1` = a process on each.",
    )
    whisper_idle_seconds: float = Field(
        default=0.0,
        ge=0,
        description="Seconds without use after which the live Whisper is put away until it is wanted; 0 = kept.",
    )
    whisper_compute_type: str = Field(
        default="int8", description="CTranslate2 compute type: `int8`, `float16`, `float32` ..."
    )
    whisper_threads: int = Field(default=2, ge=1, le=64, description="CPU threads of the Whisper process.")
    whisper_trim: bool = Field(
        default=True,
        description="Decode only the utterance instead of 30 s windows; faster, off if a model errs by it.",
    )
    whisper_languages: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Languages the model was trained for (comma separated ISO 639-1); none = all of Whisper's.",
    )
    transformers_model: str = Field(
        default="",
        description="For recordings (API A v1): directory of a transformers Whisper, or name of a pulled one; "
        "none = the best pulled.",
    )
    demucs_model: str = Field(
        default="", description="Separation: a directory with Demucs weights (HTDemucs), or the name of a pulled model."
    )
    demucs_device: str = Field(
        default="cpu",
        pattern=r"^(cpu|auto|cuda(:\d+)?)$",
        description="Where Demucs runs: `cpu`, `cuda`, `cuda:1` (the second GPU), `auto`.",
    )
    demucs_threads: int = Field(
        default=1, ge=1, le=64, description="CPU threads of the Demucs process; more pay off on a quiet machine only."
    )
    vits_model: str = Field(
        default="",
        description="Speech: directory of VITS (MMS-TTS) checkpoints, one or several; none = the pulled ones.",
    )
    vits_device: str = Field(
        default="cpu",
        pattern=_GPUS,
        description="Where VITS runs: `cpu`, `cuda`, or `cuda:0,cuda:1` = a process on each.",
    )
    vits_threads: int = Field(default=2, ge=1, le=64, description="CPU threads of the VITS process.")
    omnivoice_model: str = Field(
        default="",
        description="Speech: directory of an OmniVoice checkpoint; none = one among the pulled models. "
        "Needs the package `omnivoice`.",
    )
    omnivoice_device: str = Field(
        default="cpu",
        pattern=_GPUS,
        description="Where OmniVoice runs, as `vits_device`; on a CPU it speaks described and cloned voices only.",
    )
    voices_idle_seconds: float = Field(
        default=0.0, ge=0, description="The same as `whisper_idle_seconds` for the processes of VITS and OmniVoice."
    )
    text_url: str = Field(
        default="",
        description="Texts: an OpenAI-compatible address (`http://127.0.0.1:11434/v1`) with a language model; "
        "see docs/texts.md.",
    )
    text_key: SecretStr = Field(default=SecretStr(""), description="Its key, if it wants one.")
    text_model: str = Field(default="", description="The name of the model it is to use.")
    text_timeout: float = Field(default=300.0, gt=0, description="Seconds that work on a text may take.")
    language_model: str = Field(
        default="", description="Texts: directory of a transformers language model, or the name of a pulled one."
    )
    language_model_device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where it runs.")
    language_model_threads: int = Field(default=2, ge=1, le=64, description="CPU threads of its process.")
    translation_model: str = Field(
        default="",
        description="Translation: directory of a transformers model (MADLAD-400, NLLB, M2M-100, opus-mt), or the name "
        "of a pulled one.",
    )
    translation_model_device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where it runs.")
    translation_model_threads: int = Field(default=2, ge=1, le=64, description="CPU threads of its process.")
    hub: str = Field(default="https://huggingface.co", description="Where models are pulled from, or a mirror of it.")
    auto_pull: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto` pulls a Whisper for this machine when `voxline serve` finds none and the hub answers.",
    )
    pocketsphinx: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="PocketSphinx (US English, no download): `auto` runs it when there is no other recogniser.",
    )
    synthesizers: int = Field(default=2, ge=1, le=8, description="espeak-ng processes.")
    engine_memory_mb: int = Field(
        default=0, ge=0, description="Memory limit of one engine process, MiB; 0 = each its own."
    )

    # -- who may come in
    anonymous: bool = Field(default=True, description="Serve callers without a key, under the three limits below.")
    anonymous_mb: int = Field(
        default=100, ge=0, description="Size of a file from an address without a key, MiB; 0 = no limit."
    )
    anonymous_per_day: int = Field(
        default=3, ge=0, description="Sessions of each kind, and jobs, a day of an address without a key; 0 = no limit."
    )
    anonymous_at_once: int = Field(
        default=1, ge=0, description="Sessions of each kind, and jobs, at once of such an address; 0 = no limit."
    )
    sessions: int = Field(default=200, ge=1, description="Live sessions of each kind (speech in, speech out).")
    sessions_per_key: int = Field(default=20, ge=0, description="Live sessions of one key, of each kind; 0 = no limit.")
    sessions_per_address: int = Field(
        default=16, ge=0, description="Live sessions of one address, of each kind; 0 = no limit."
    )
    calls_per_key: int = Field(default=8, ge=0, description="`POST /v1/tts` calls of one key at once; 0 = no limit.")
    connections_per_address: int = Field(default=64, ge=0, description="TCP connections of one address; 0 = no limit.")
    token_seconds: int = Field(
        default=60, ge=1, le=600, description="Default life of a `POST /v1/tokens` token, 1 to 600."
    )

    # -- how long
    header_timeout: float = Field(default=5.0, gt=0, description="Seconds for a request's headers to arrive.")
    body_timeout: float = Field(default=30.0, gt=0, description="Seconds for a body, plus one for every 64 KiB of it.")
    first_message_timeout: float = Field(
        default=10.0, gt=0, description="Seconds until a session must send its first message."
    )
    idle_timeout: float = Field(
        default=60.0, gt=0, description="Seconds of silence without `keepalive` that end a session."
    )
    session_seconds: float = Field(default=10800.0, gt=0, description="Longest session, seconds.")
    send_timeout: float = Field(default=10.0, gt=0, description="Seconds a client may take to accept a message.")
    tcp_user_timeout: float = Field(
        default=20.0, gt=0, description="Seconds of unacknowledged data that drop a connection."
    )
    ping_interval: float = Field(default=10.0, gt=0, description="Seconds between pings; 18 or more if silent.")
    ping_timeout: float = Field(default=10.0, gt=0, description="Seconds a pong may take.")
    drain_timeout: float = Field(default=20.0, ge=0, description="Seconds live sessions get to finish after SIGTERM.")
    drain_hard: float = Field(default=5.0, ge=0, description="Further seconds until what is left is cut off.")

    # -- what is told
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`json` lines, `console` for people; `auto` looks whether a terminal reads."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )

    @field_validator("trusted_proxies", "cors_origins", "hosts", "whisper_languages", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("hosts")
    @classmethod
    def _names_of_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        bound = [_binding(one) for one in value]
        for name, dialect in bound:
            if any(other == name and whose != dialect for other, whose in bound):
                raise ValueError(f"{name} can be one API's alone")
        return tuple(f"{name}={dialect}" for name, dialect in bound)

    @field_validator("hub", "text_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http://)")
        return value.rstrip("/")

    @field_validator("database")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value and not value.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
            raise ValueError("must begin with postgresql+asyncpg:// (or sqlite+aiosqlite://)")
        return value

    @field_validator(
        "whisper_model", "transformers_model", "demucs_model", "vits_model", "omnivoice_model", "language_model",
        "translation_model",
    )  # fmt: skip
    @classmethod
    def _directory_exists(cls, value: str) -> str:
        if os.sep in value and not Path(value).is_dir():
            raise ValueError(f"there is no directory {value}")
        return value

    @property
    def bound_hosts(self) -> dict[str, str]:
        """The dialect of each host name that is one's alone."""
        return dict(map(_binding, self.hosts))

    @property
    def database_url(self) -> str:
        """The store's SQLAlchemy URL."""
        return self.database or f"sqlite+aiosqlite:///{self.data / 'voxline.db'}"

    @property
    def store_exists(self) -> bool:
        """Whether there can be a store already: an SQLite file, or a database elsewhere."""
        return bool(self.database) or (self.data / "voxline.db").exists()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, TOML file."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file(init_settings())))


def load_settings(**given: object) -> Settings:
    """Settings of this process; ``given`` come from the command line (``None`` = not given). Raises SettingsError."""
    chosen = {name: value for name, value in given.items() if value is not None}
    _check_environment()
    try:
        return Settings(**chosen)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("\n".join(map(_problem, error.errors()))) from None
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise SettingsError(f"cannot read {_config_file(chosen)}: {error}") from None


def _check_environment() -> None:
    """A misspelt name would go unnoticed, and a file that is not there. Names like no setting are somebody else's."""
    known = [*(name.upper() for name in Settings.model_fields), *_NOT_SETTINGS]
    lines = []
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in known:
            for near in difflib.get_close_matches(name.removeprefix(_PREFIX), known, 1, cutoff=0.75):
                lines.append(f"{name}: there is no such setting; did you mean {_PREFIX}{near}?")
    named = os.environ.get(f"{_PREFIX}CONFIG")
    if named and not Path(named).is_file():
        lines.append(f"{_PREFIX}CONFIG: there is no file {named}")
    if lines:
        raise SettingsError("\n".join(lines))


def engine_settings(settings: Settings) -> dict[str, str]:
    """How the engines are to be run, as ``child_environment`` takes it."""
    chosen = settings.model_dump(include={name for name in Settings.model_fields if name.startswith(_OF_ENGINES)})
    for name in ("whisper_model", "transformers_model", "demucs_model", "vits_model", "omnivoice_model"):
        if chosen[name] and Path(chosen[name]).is_dir():
            chosen[name] = str(Path(chosen[name]).resolve())
    return {name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in chosen.items()}


def child_environment(**changes: str) -> dict[str, str]:
    """This process's environment for a server process of its own, with other ``VOXLINE_*`` settings removed.

    Such a server pulls nothing by itself.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
    changes = {"auto_pull": "off", **changes}
    return kept | {_PREFIX + name.upper(): value for name, value in changes.items()}


def given_key() -> str:
    """The API key of ``VOXLINE_KEY``, for commands that are clients of a server; "" when there is none."""
    return os.environ.get(f"{_PREFIX}KEY", "")


def settings_table() -> str:
    """All settings as a Markdown table, for the README."""
    rows = ["| setting | environment | default | what it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = ", ".join(default) if isinstance(default, tuple) else str(default)
        rows.append(f"| `{name}` | `{_PREFIX}{name.upper()}` | {f'`{shown}`' if shown else ''} | {field.description} |")
    return "\n".join(rows)


def _config_file(given: dict[str, object]) -> Path:
    named = os.environ.get(f"{_PREFIX}CONFIG")
    data = given.get("data") or os.environ.get(f"{_PREFIX}DATA") or "var"
    return Path(named) if named else Path(str(data)) / "voxline.toml"


def _binding(value: str) -> tuple[str, str]:
    """A host name and its API, of ``name=letter``."""
    from server.dialects import DIALECTS  # they need settings themselves, and few servers ask for this

    host, _, letter = (part.strip().lower() for part in value.partition("="))
    name, names = host_name(host), [one.name for one in DIALECTS]
    if letter not in names or not _HOST.fullmatch(name) or name != host.removesuffix("."):
        apis = ", ".join(names)
        raise ValueError(f"must be names of hosts, each with its API ({apis}), such as api.stt.ai=c; not {value!r}")
    return name, letter


def _problem(problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return f"{problem['loc'][0]}: there is no such setting"
    return f"{_name(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"


def _name(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "settings"
    return f"{name} ({_PREFIX}{name.upper()})"
