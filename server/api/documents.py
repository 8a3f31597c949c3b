"""Every API that has an OpenAPI document, by the letter of its seed."""

from server.api.operations import Api
from server.dialects import DIALECTS

APIS: dict[str, Api] = {one.name: one.document for one in DIALECTS if one.document is not None}
