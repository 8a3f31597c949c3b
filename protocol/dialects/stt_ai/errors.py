"""How seed C's HTTP API fails: the statuses of C20, and a body whose ``error`` is a plain string (C21)."""

from protocol.errors import Code, VoiceError
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to
from protocol.stream_errors import ERRORS as ERRORS
from protocol.stream_errors import close_code as close_code

NO_CREDITS = "No credits remaining. Upgrade your plan."  # C21's example


def error_reply(error: VoiceError) -> Reply:
    """C21: ``{"error": "a plain string"}``, with Retry-After where the error says when to come back.

    The string is all a client gets, so it names the command that adds what is missing (C23).
    """
    return reply_to(error, ERRORS[error.code][0], {"error": _told(error)})


def _told(error: VoiceError) -> str:
    facts, message = error.facts, error.message
    if error.code is Code.INSUFFICIENT_CREDITS and facts.get("available") == 0:
        return NO_CREDITS
    install = facts.get("install")
    if error.code is Code.NOT_INSTALLED and install and str(install) not in message:
        message = message.rstrip(".")
        return f"{message[:1].upper()}{message[1:]}. To add it: {install}"
    if error.code in (Code.TIMEOUT, Code.SHUTTING_DOWN) and "job_id" in facts:
        return f"{message} It goes on as /api/v1/transcripts/{facts['job_id']}/"
    return message
