"""Seed B's API as its OpenAPI document tells of it."""

from protocol.dialects.vbee_batch import ERRORS, Envelope, Request
from server.api.operations import IDEMPOTENCY_KEY, JSON, Answer, Api, Operation, Parameter

_MEANINGS = {
    400: "Something in the request is missing or wrong, or no installed engine can do it.",
    401: "The token is missing, wrong or expired.",
    402: "Not enough credits.",
    403: "The app_id is not the token's.",
    404: "There is no such request, voice or path.",
    405: "Not with this method.",
    408: "It took too long.",
    409: "The Idempotency-Key belongs to another request.",
    410: "The file has expired.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too many requests, or too many at once.",
    500: "Something went wrong here.",
    503: "The server is full, starting or stopping; try again.",
}
_ID = Parameter("request_id", "path", "As the reply named it.", {"type": "string", "format": "uuid"})

VBEE = Api(
    "Voxline: Vbee text to speech (B)",
    "Text to a file; the result is posted to `callback_url` and can be asked for. Every reply has one envelope.",
    (
        Operation(
            "POST",
            "/api/v1/tts",
            "tts",
            "Speak a text, or sentences with voices of their own",
            (Answer("The request was accepted.", {JSON: Envelope}),),
            (400, 401, 402, 403, 404, 408, 409, 413, 415, 429, 500, 503),
            body=Request,
            parameters=(IDEMPOTENCY_KEY,),
        ),
        Operation(
            "GET",
            "/api/v1/tts/{request_id}",
            "request",
            "How a request fares",
            (Answer("Its state, and where the file is.", {JSON: Envelope}),),
            (401, 404, 429, 500, 503),
            parameters=(_ID,),
        ),
    ),
    Envelope,
    {status: _MEANINGS[status] for status in sorted({*ERRORS.values()})},
)
