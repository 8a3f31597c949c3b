"""Logs: one style, and nothing in them that a person said or that opens a door (X5)."""

import json
import logging
from collections.abc import Iterator

import pytest

from protocol.errors import Code, VoiceError
from server.logs import configure_logs

KEY = "sk-ov-" + "A1b2" * 9 + "zz"
SAID = "my secret sentence"


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in ("uvicorn", "uvicorn.error", "websockets", "asyncio")}
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    logging.getLogger("voxline.test").info("session ended", extra={"seconds": 3})
    (line,) = lines(capsys)
    assert line["event"] == "session ended" and line["seconds"] == 3
    assert line["level"] == "info" and line["logger"] == "voxline.test" and str(line["timestamp"]).endswith("Z")


def test_people_get_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "console")
    logging.getLogger("voxline.test").info("hello %s", "there")
    assert "hello there" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["text", "transcript", "prompt", "key", "token", "Authorization", "query_string"])
def test_private_fields_are_dropped(capsys: pytest.CaptureFixture[str], field: str) -> None:
    configure_logs("debug", "json")
    logging.getLogger("voxline.test").info("x", extra={field: SAID, "kept": 1})
    written = capsys.readouterr().err
    assert SAID not in written and '"kept": 1' in written


@pytest.mark.parametrize(
    "message", [f"key {KEY} is bad", f"GET /v1/stream?token={KEY}", "/v1/stream?api_key=hunter2222"]
)
def test_keys_are_cut_out_of_messages(capsys: pytest.CaptureFixture[str], message: str) -> None:
    configure_logs("info", "json")
    logging.getLogger("voxline.test").warning(message, extra={"also": message})
    written = capsys.readouterr().err
    assert KEY[8:30] not in written and "hunter2222" not in written and "[withheld]" in written


def test_an_exception_that_quotes_data_keeps_it_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    try:
        raise ValueError(f"cannot speak {SAID}")
    except ValueError:
        logging.getLogger("voxline.test").exception("request failed")
    written = capsys.readouterr().err
    assert SAID not in written and "ValueError" in written and "test_logs.py" in written


@pytest.mark.parametrize("error", [VoiceError(Code.ENGINE_FAILED, "it said no"), OSError("it said no")])
def test_an_exception_that_does_not_is_told(capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    configure_logs("info", "json")
    logging.getLogger("voxline.test").error("failed", exc_info=error)
    assert "it said no" in capsys.readouterr().err


def test_what_any_client_can_cause_and_what_quotes_frames_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("debug", "json")
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.warning("Invalid HTTP request received.")
    uvicorn.error("ASGI callable returned without completing handshake.")
    uvicorn.info('%s - "WebSocket %s" [accepted]', "1.2.3.4", "/v1/stream?token=x")
    uvicorn.debug("< TEXT %s", SAID)
    assert capsys.readouterr().err == ""
