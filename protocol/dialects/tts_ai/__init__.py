"""The wire of seed D (tts-ai), ``/v1/tts/`` and all that its document has beside it: requests, replies, errors."""

from protocol.dialects.tts_ai.errors import ERRORS as ERRORS
from protocol.dialects.tts_ai.errors import error_reply as error_reply
