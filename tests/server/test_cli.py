"""The command line: what it prints, where, and with which exit status."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import psutil
import pytest
from typer.testing import CliRunner

import server.cli
from loadtest.recordings import CHECKPOINT
from server.cli import command_line
from server.machine import find_machine, recommended
from server.serving import StartError, check_data
from server.settings import Settings
from tests.server.conftest import MUTE, SHOWN_ONCE, environment, started
from tests.server.shell import Voxline, voxline

__all__ = ["voxline"]

# A test runner in the background may have SIGINT ignored, and children inherit that.
_ORDINARY_SIGINT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from server.cli import main
main()
"""
_TOLD_WHEN_IT_IMPORTS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from server import cli
load = cli.import_module
cli.import_module = lambda name: print("here", flush=True) or load(name)
cli.main()
"""
_ROOT = Path(__file__).resolve().parents[2]
_NOBODY = 65534


def process(*arguments: str, data: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    if data is not None:
        settings["data"] = str(data)
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *arguments],
        cwd=_ROOT, env=environment(**settings), input="", capture_output=True, text=True, timeout=120,
    )  # fmt: skip


COMMANDS = [
    ("serve",), ("demo",), ("say",), ("transcribe",), ("listen",), ("doctor",), ("keys",), ("models",),
    ("users",), ("apps",), ("credits",), ("audit",),
    *(("keys", name) for name in ("create", "list", "disable", "enable", "delete")),
    *(("users", name) for name in ("create", "list", "passwd", "disable", "enable", "plan", "limits", "admin")),
    *(("apps", name) for name in ("create", "renew", "list", "withdraw")),
    *(("credits", name) for name in ("show", "grant", "history")),
    *(("models", name) for name in ("list", "pull", "verify", "remove")),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(command_line(server.cli.COMMANDS), [*command, "--help"])
    assert shown.exit_code == 0 and "Usage" in shown.stdout
    if command not in (("keys",), ("models",), ("users",), ("apps",), ("credits",)):
        assert "Example" in shown.stdout and " ".join(("voxline", *command)) in shown.stdout


def test_without_a_command_it_shows_them_all() -> None:
    shown = process()
    assert all(name in shown.stdout + shown.stderr for (name, *_) in COMMANDS)


def test_keys_from_making_to_deleting(voxline: Voxline) -> None:
    """``keys create`` prints the key alone, so that a script can take it."""
    made = voxline("keys", "create", "--name", "laptop")
    assert made.status == 0 and made.out.startswith("sk-ov-") and made.out.count("\n") == 1
    key = made.out.strip()
    listed = voxline("keys", "list").out
    assert "laptop" in listed and key[-4:] in listed and key not in listed and "active" in listed
    assert voxline("keys", "disable", "1").status == 0
    assert "disabled" in voxline("keys", "list").out
    assert voxline("keys", "enable", "1").status == 0
    assert "active" in voxline("keys", "list").out
    assert voxline("keys", "delete", "1").status == 0
    assert "no key 1" in voxline("keys", "delete", "1").err
    gone = voxline("keys", "list")
    assert gone.out == "" and "no key yet" in gone.err


MISTAKES = {
    "no data where keys are looked for": (("keys", "list"), 1, "keys create"),
    "a key that is no number": (("keys", "delete", "seven"), 2, "key_id"),
    "an unknown command": (("sign",), 2, "sign"),
    "nothing to say": (("say", " ", "-o", "x.wav"), 1, "nothing to say"),
    "an unknown ending": (("say", "hello", "-o", "x.doc"), 1, "x.doc"),
    "an unknown voice": (("say", "hello", "-o", "x.wav", "--voice", "en-gollum"), 1, "en-gollum"),
    "an unknown language to speak": (("say", "hello", "-o", "x.wav", "--language", "xx"), 1, "xx"),
    "a recording that is not there": (("transcribe", "none.wav"), 1, "none.wav"),
    "a recording that is none": (("transcribe", "README.md"), 1, "README.md"),
    "a language nobody here recognises": (("transcribe", "sound.wav", "--language", "vi"), 1, "models pull"),
    "a server that is not there": (("listen", "sound.wav", "--server", "http://127.0.0.1:9"), 1, "voxline serve"),
    "a model that does not exist": (("models", "pull", "gpt"), 1, "large-v3"),
    "a model that is not here": (("models", "verify", "small"), 1, "voxline models pull small"),
    "what is said of it for another place": (("models", "verify", "small", "--data", "TMP"), 1, "small --data /"),
    "a model of another kind": (("models", "pull", "whisper"), 1, "no model of that name"),
    "two recordings in one file": (("transcribe", "sound.wav", "sound.wav", "-o", "README.md"), 1, "a directory"),
    "a directory for a recording": (("transcribe", "."), 1, "is a directory"),
    "a place that does not exist": (("transcribe", "sound.wav", "-o", "no/where/x.txt"), 1, "no/where"),
    "two transcripts in one place": (("transcribe", "sound.wav", "sound.wav", "-o", "TMP"), 1, "sound.wav.txt"),
    "text without a word": (("say", "!!!", "-o", "x.wav"), 1, "can be spoken"),
    "speech into no directory": (("say", "hello", "-o", "no/where/x.wav"), 1, "no/where"),
    "no recording to listen to": (("listen", "README.md"), 1, "README.md: "),
    "an address that is none": (("listen", "sound.wav", "--server", "ftp://box"), 1, "http://"),
    "a host that is none": (("serve", "--host", "192.0.2.1", "--port", "0"), 1, "--host"),
    "a port that is none": (("serve", "--port", "99999"), 2, "65535"),
}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A second of silence."""
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    return path


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_a_person_can_act_on(what: str, voxline: Voxline, tmp_path: Path, sound: Path) -> None:
    arguments, status, said = MISTAKES[what]
    places = {"sound.wav": str(sound), "TMP": str(tmp_path)}
    failed = voxline(*(places.get(part, part) for part in arguments))
    assert failed.status == status and said in failed.err, failed.err
    assert failed.out == ""


def test_a_wrong_setting_is_named(voxline: Voxline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLINE_PORT", "many")
    failed = voxline("serve")
    assert failed.status == 1 and "VOXLINE_PORT" in failed.err


@pytest.mark.parametrize("name", ["whisper", "transformers", "demucs", "language"])
def test_a_model_nobody_has_is_named_with_its_setting(
    name: str, voxline: Voxline, monkeypatch: pytest.MonkeyPatch, sound: Path
) -> None:
    monkeypatch.setenv(f"VOXLINE_{name.upper()}_MODEL", "nosuch")
    done = voxline("transcribe", str(sound))
    assert done.status == 1 and f"VOXLINE_{name.upper()}_MODEL=nosuch" in done.err
    assert ("htdemucs" in done.err) == (name == "demucs"), "only models of the kind are offered"


def test_data_of_another_user_is_named_before_anything_starts() -> None:
    """A command that root ran once, and now the service: it started, and failed at the first job."""
    with TemporaryDirectory() as place:
        database = Path(place, "voxline.db")
        database.touch()
        os.chmod(place, 0o755)
        Path(place, "voxline.db.bak").touch(0o444)  # somebody's own, and nobody's concern
        if os.geteuid():
            check_data(Settings(data=Path(place)))
        database.chmod(0o444)
        with somebody_else(), pytest.raises(StartError, match=r"voxline\.db: permission denied|write .*: permission"):
            check_data(Settings(data=Path(place)))


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("reading", [False, True])
def test_ctrl_c_ends_a_command_that_starts_or_waits_for_its_input(reading: bool) -> None:
    """It printed a traceback while modules were being imported, and did nothing while standard input stayed open."""
    command = [sys.executable, "-c", _TOLD_WHEN_IT_IMPORTS, "transcribe", "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=_ROOT, env=environment(**MUTE), **pipes) as working:  # type: ignore[call-overload]
        try:
            assert working.stdout.readline() == b"here\n"
            if reading:
                working.stdin.write(bytes(1 << 20))  # more than a pipe holds: somebody takes it
                working.stdin.flush()
                while unread(working.stdin) or psutil.Process(working.pid).status() != psutil.STATUS_SLEEPING:
                    time.sleep(0.01)
            working.send_signal(signal.SIGINT)
            assert working.wait(60) == 130
            assert b"Traceback" not in working.stderr.read()
        finally:
            working.kill()


def unread(pipe: IO[bytes]) -> int:
    """Bytes in a pipe that nobody has taken."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def test_a_data_directory_that_cannot_be_used_is_named(voxline: Voxline, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failed = voxline("serve", "--data", str(tmp_path / "file" / "data"))
    assert failed.status == 1 and str(tmp_path / "file") in failed.err


@pytest.mark.parametrize("ending", ["wav", "mp3", "ogg"])
def test_say_writes_a_file_and_transcribe_reads_it(voxline: Voxline, tmp_path: Path, ending: str) -> None:
    """PocketSphinx makes little of espeak-ng's voice: that there is a transcript with times is all that is asked."""
    path = tmp_path / f"said.{ending}"
    said = voxline("say", "Go forward ten meters. Then stop.", "-o", str(path))
    assert said.status == 0 and said.out == "" and path.stat().st_size > 3000, said.err
    heard = voxline("transcribe", str(path), "--format", "json")
    assert heard.status == 0, heard.err
    transcript = json.loads(heard.out)
    assert transcript["language"] == "en" and 1.5 < transcript["duration"] < 6
    assert all(0 <= segment["start"] < segment["end"] <= 6 for segment in transcript["segments"])


def test_say_speaks_standard_input_to_standard_output() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "server.cli", "say", "-", "-o", "-", "--language", "vi"],
        cwd=_ROOT, env=environment(), input="Xin chào. ".encode() * 50, capture_output=True, timeout=60,
    )  # fmt: skip
    assert said.returncode == 0 and said.stdout.startswith(b"RIFF") and len(said.stdout) > 1_000_000


def test_standard_input_is_transcribed_into_the_file_that_is_named(tmp_path: Path, sound: Path) -> None:
    place = tmp_path / "talk.vtt"
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "transcribe", "-", "--format", "vtt", "-o", str(place)],
        cwd=_ROOT, env=environment(), input=sound.read_bytes(), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and place.read_text() == "WEBVTT\n", done.stderr


def test_recordings_of_one_name_do_not_overwrite_each_other(voxline: Voxline, tmp_path: Path, sound: Path) -> None:
    other = sound.with_suffix(".wave")
    other.write_bytes(sound.read_bytes())
    done = voxline("transcribe", str(sound), str(other), "-o", str(tmp_path / "out"))
    assert done.status == 0, done.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sound.wav.txt", "sound.wave.txt"}


def test_listen_runs_the_model_of_the_settings(voxline: Voxline, tmp_path: Path) -> None:
    said = tmp_path / "said.wav"
    assert voxline("say", "Please turn off the light now.", "-o", str(said)).status == 0
    heard = process("listen", str(said), whisper_model=str(CHECKPOINT))
    assert "please turn off the light now" in heard.stdout.splitlines()[-1], heard.stderr


def test_a_first_key_nobody_saw_is_taken_back(tmp_path: Path) -> None:
    failed = process("serve", "--port", "0", data=tmp_path, whisper_model="small")
    assert failed.returncode == 1 and "models pull small" in failed.stderr
    with started(tmp_path, **MUTE) as second:
        assert SHOWN_ONCE.search(second.banner)
        assert second.end() == 0


def test_several_recordings_become_a_file_each(voxline: Voxline, tmp_path: Path, sound: Path) -> None:
    other = sound.with_name("other.wav")
    other.write_bytes(sound.read_bytes())
    done = voxline("transcribe", str(sound), str(other), "--format", "vtt", "-o", str(tmp_path / "out"))
    assert done.status == 0 and done.out == "", done.err
    assert [(tmp_path / "out" / name).read_text() for name in ("sound.vtt", "other.vtt")] == ["WEBVTT\n"] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_listen_and_the_server_it_started(tmp_path: Path, number: int) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000 * 60))
    listening = subprocess.Popen(
        [sys.executable, "-c", _ORDINARY_SIGINT, "listen", str(path)],
        cwd=_ROOT, env=environment(whisper_model=str(CHECKPOINT)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        family = psutil.Process(listening.pid)
        deadline = time.monotonic() + 60
        while len(family.children(recursive=True)) < 5:  # its server, and that one's engines
            assert listening.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        children = family.children(recursive=True)
        listening.send_signal(number)
        _, complaint = listening.communicate(timeout=30)
        assert listening.returncode == 130 and complaint.splitlines()[-1] == "stopped", complaint
        assert "Traceback" not in complaint
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive
    finally:
        listening.kill()
        listening.wait()


def test_doctor_tells_what_works_and_what_would_add_the_rest(tmp_path: Path) -> None:
    told = process("doctor", "--data", str(tmp_path))
    assert told.returncode == 0, told.stderr
    lines = {line.split()[0]: line for line in told.stdout.splitlines() if line.strip()}
    assert "works" in lines["pocketsphinx"] and "works" in lines["espeak-ng"] and "works" in lines["silero-vad"]
    here = f"--data {tmp_path}"
    live = f"models pull {recommended(Settings(), find_machine())} {here}"
    assert "needs a model" in lines["faster-whisper"]
    assert told.stdout.count(live) == 2, "as advice for this machine, and as what is missing"
    assert f"models pull omnivoice {here}" in told.stdout, "its package is here, and only its model is not"
    assert "works" in lines["plain-texts"] and "needs a model" in lines["language-model"]
    assert "models pull qwen2.5-1.5b-instruct" in told.stdout and "models pull madlad400-3b-mt" in told.stdout


def test_the_first_start_shows_a_key_and_the_next_does_not(tmp_path: Path) -> None:
    with started(tmp_path, **MUTE) as first:
        assert SHOWN_ONCE.search(first.banner)
        assert first.end() == 0
    with started(tmp_path, **MUTE) as second:
        assert not SHOWN_ONCE.search(second.banner) and "$VOXLINE_KEY" in second.banner
        taken = process("serve", "--port", second.base.rsplit(":", 1)[1], data=tmp_path / "other")
        assert taken.returncode == 1 and "--port" in taken.stderr
        assert second.end(signal.SIGINT) == 0
