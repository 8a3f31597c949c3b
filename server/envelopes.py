"""Whose error it is: the dialect a path belongs to, known before anybody looks at keys, bodies or routes (X11)."""

from starlette.responses import Response

from protocol.errors import VoiceError
from protocol.reply import Reply
from protocol.route import claimed
from server.dialects import DIALECTS, claims

_CLAIMS = claims()
_BY_NAME = {one.name: one for one in DIALECTS}


def error_reply(path: str, error: VoiceError, *, vbee_http_errors: bool = True) -> Reply:
    """A failure in the envelope of the dialect that owns the path; seed C's where none does.

    Without ``vbee_http_errors`` seed B's errors are told with status 200 (B14).
    """
    dialect = _BY_NAME[claimed(path, _CLAIMS)]
    if dialect.told_with_200 is not None and not vbee_http_errors:
        return dialect.told_with_200(error)
    return dialect.error_reply(error)


def error_response(path: str, error: VoiceError, *, vbee_http_errors: bool = True) -> Response:
    """``error_reply`` as Starlette sends it."""
    return to_response(error_reply(path, error, vbee_http_errors=vbee_http_errors))


def to_response(reply: Reply) -> Response:
    """A dialect's reply as Starlette sends it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    return Response(reply.body, reply.status, headers, media_type=reply.content_type)
