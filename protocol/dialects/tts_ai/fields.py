"""The kinds of fields of seed D's requests, in forms and in JSON alike."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from protocol.checking import Wrong, check, plain, web_url
from protocol.errors import Code, VoiceError
from protocol.language_names import language_code

M = TypeVar("M", bound=BaseModel)

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
MAX_NAME, MAX_URL = 100, 2000
SPEED = (0.5, 2.0)  # D5, D12


def _boolean(value: object) -> object:
    """As curl ("true"), Python's requests ("True") and JSON write it."""
    word = str(value).strip().lower() if isinstance(value, bool | str | int) else ""
    if word not in TRUE + FALSE:
        raise Wrong("true or false", ["true", "false"])
    return word in TRUE


def _language(value: str) -> str:
    code = language_code(value)
    if code is None:
        raise Wrong('the code of a language ("en", "es"), or "auto"')
    return code


def one_of(*allowed: int) -> BeforeValidator:
    """A whole number of a list, which a form writes as text."""

    def read(value: object) -> object:
        written = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if written not in map(str, allowed):
            raise Wrong("one of " + ", ".join(map(str, allowed)), list(allowed))
        return int(written)

    return BeforeValidator(read)


_BOOLEAN: dict[str, Any] = {"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false", "1", "0"]}]}
Boolean = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema(_BOOLEAN)]
Language = Annotated[str, AfterValidator(_language), WithJsonSchema({"type": "string", "examples": ["en", "auto"]})]
Name = Annotated[str, AfterValidator(plain), Field(min_length=1, max_length=MAX_NAME)]
Speed = Annotated[float, Field(ge=SPEED[0], le=SPEED[1], allow_inf_nan=False, description="1.0 is the usual pace.")]
WebhookUrl = Annotated[
    str,
    AfterValidator(web_url),
    Field(
        max_length=MAX_URL,
        json_schema_extra={"format": "uri", "pattern": "^https?://[^/?#\\s]"},
        description="Answer at once; the event is posted here when it is done.",
    ),
]


def _without_null(schema: dict[str, Any]) -> None:
    """Not given is not given: a form has no null, and in JSON it means just that."""
    for field in schema.get("properties", {}).values():
        kinds = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
        if len(kinds) != 1 or "anyOf" not in field:
            continue
        del field["anyOf"], field["default"]
        field |= kinds[0]


class Asked(BaseModel):
    """A request of seed D; fields nobody knows are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra=_without_null)


def read_json(model: type[M], body: object) -> M:
    """A parsed body, checked; null and "" count as not given. Raises BAD_REQUEST with ``field`` and ``allowed``."""
    if not isinstance(body, dict):
        raise VoiceError(Code.BAD_REQUEST, "The body must be a JSON object.")
    return check(model, {name: value for name, value in body.items() if value is not None and value != ""})
