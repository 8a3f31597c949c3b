"""Every API that has an OpenAPI document, by the letter of its seed."""

from server.api.operations import Api
from server.api.realtime_document import REALTIME
from server.api.streaming_document import STREAMING
from server.api.studio_document import STUDIO
from server.api.vbee_document import VBEE

APIS: dict[str, Api] = {"a": STUDIO, "b": VBEE, "c": STREAMING, "e": REALTIME}
