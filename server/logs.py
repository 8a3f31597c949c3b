"""Structured logs: JSON lines for machines or coloured ones for people, on stderr, without transcripts or keys.

Everything goes through the standard library's ``logging``; this module decides how it looks and what never gets out.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

from protocol.errors import VoiceError

Event = MutableMapping[str, Any]

# What people said or typed, and what opens doors: never a field of a log line, whoever put it there.
_PRIVATE = frozenset(
    {"text", "transcript", "partial", "final", "prompt", "keyterms", "delta", "spoken"}
    | {"key", "secret", "token", "api_key", "authorization", "password", "query", "query_string", "headers"}
)
_SECRETS = re.compile(r"(sk-[a-z]+-|vt-)[0-9A-Za-z]{8,}|(?<=[?&])(token|api_key|key)=[^&\s\"']+", re.IGNORECASE)
# Messages of these say what was wrong with the data, and quote it.
_QUOTING = (ValueError, LookupError, TypeError)
# Lines any client can cause as often as it likes; the connection's end says enough.
_NOISE = (
    "Invalid HTTP request received.",
    "Invalid UTF-8 sequence received from client.",
    "Unsupported upgrade request.",
    "ASGI callable returned without completing handshake.",  # said of every handshake we refuse
)


def configure_logs(level: str, style: Literal["auto", "json", "console"]) -> None:
    """Send all log lines of this process to stderr in one style."""
    json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                describe_exception,
                withhold_private,
                renderer,
            ],
        )
    )
    handler.addFilter(lambda record: record.msg not in _NOISE)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # uvicorn tells of every WebSocket with its query string, and at debug level its library quotes every frame.
    for name in ("uvicorn", "uvicorn.error", "websockets", "asyncio", "sqlalchemy", "aiosqlite", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def describe_exception(_logger: object, _method: str, event: Event) -> Event:
    """The type and the place of an exception, and its message unless that may quote what a client sent."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info if isinstance(info, BaseException) else None
    if error is None:
        return event
    quoting = isinstance(error, _QUOTING) and not isinstance(error, VoiceError)
    event["error"] = type(error).__name__ if quoting else f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    event["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def withhold_private(_logger: object, _method: str, event: Event) -> Event:
    """Drop private fields, and cut keys and tokens out of everything else."""
    for name in list(event):
        if name.lower() in _PRIVATE:
            del event[name]
        elif isinstance(event[name], str):
            event[name] = _SECRETS.sub("[withheld]", event[name])
    return event
