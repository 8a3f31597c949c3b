"""Whose error it is: the dialect a path belongs to, known before anybody looks at keys, bodies or routes (X11)."""

import re
from collections.abc import Callable

from starlette.responses import Response

from protocol.dialects import stt_ai, tts_ai, vbee_batch, vbee_realtime
from protocol.dialects.studio import errors as studio
from protocol.errors import VoiceError
from protocol.reply import Reply

CALL_PATHS = ("/v1/tts", "/v1/tts/", "/e/v1/tts")  # the first two are shared by three dialects (X1, X2)

Render = Callable[[VoiceError], Reply]

# The first pattern that a path begins with decides. Under a prefix of its own a dialect has everything.
_OWNERS: tuple[tuple[re.Pattern[str], Render], ...] = tuple(
    (re.compile(pattern), render)
    for pattern, render in (
        (r"/a/", studio.error_reply),
        (r"/b/", vbee_batch.error_reply),
        (r"/c/", stt_ai.error_reply),
        (r"/d/", tts_ai.error_reply),
        (r"/e/|/v1/tts$", vbee_realtime.error_reply),
        (r"/v1/(.*/)?$", tts_ai.error_reply),  # seed D's paths end with a slash (X2-X4)
        (r"/api/v1/tts/(design|clone|auto|saved|dialogue)$", studio.error_reply),  # X5
        (r"/api/v1/tts(/|$)", vbee_batch.error_reply),
        (r"/api/|/audio/", studio.error_reply),
    )
)


def error_reply(path: str, error: VoiceError, *, vbee_http_errors: bool = True) -> Reply:
    """A failure in the envelope of the dialect that owns the path; seed C's where none does.

    Without ``vbee_http_errors`` seed B's errors are told with status 200 (B14).
    """
    render = next((render for pattern, render in _OWNERS if pattern.match(path)), stt_ai.error_reply)
    if render is vbee_batch.error_reply:
        return vbee_batch.error_reply(error, http_errors=vbee_http_errors)
    return render(error)


def error_response(path: str, error: VoiceError, *, vbee_http_errors: bool = True) -> Response:
    """``error_reply`` as Starlette sends it."""
    return to_response(error_reply(path, error, vbee_http_errors=vbee_http_errors))


def to_response(reply: Reply) -> Response:
    """A dialect's reply as Starlette sends it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    return Response(reply.body, reply.status, headers, media_type=reply.content_type)
