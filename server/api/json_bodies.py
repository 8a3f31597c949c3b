"""The body of a request as JSON, read under a cap, whatever its Content-Type says (X6)."""

from starlette.requests import ClientDisconnect, Request

from protocol.errors import Code, VoiceError
from protocol.fields import from_json

_JSON = ("", "application/json")


async def read_json(request: Request, *, most: int) -> object:
    """What the body holds. TOO_LARGE past ``most`` bytes; BAD_REQUEST for a body that is no JSON, UNSUPPORTED_MEDIA
    where its Content-Type does not even say that it is."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise VoiceError(Code.TOO_LARGE, f"The body may have at most {most} bytes.", allowed=most)
        return from_json(body)
    except ClientDisconnect:
        raise VoiceError(Code.BAD_REQUEST, "The client has gone.") from None
    except ValueError:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        code = Code.BAD_REQUEST if kind in _JSON else Code.UNSUPPORTED_MEDIA
        raise VoiceError(code, "The body must be JSON.") from None
