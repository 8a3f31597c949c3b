"""Requests as pydantic models, and a model's complaint as one of ours: it names the field and what is allowed.

The same models describe the requests in the OpenAPI documents. ``read_form`` takes what a form has, text in every
field; an empty field counts as not given, since browsers send those nobody filled in.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from protocol.errors import Code, VoiceError

M = TypeVar("M", bound=BaseModel)

_KINDS = {
    "string_type": "text",
    "string_unicode": "valid Unicode text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def read_form(model: type[M], fields: Mapping[str, str]) -> M:
    """A form's fields, checked. Raises BAD_REQUEST with ``field`` and ``allowed``."""
    return check(model, {name: value for name, value in fields.items() if value.strip()})


def check(model: type[M], values: object) -> M:
    """Values as a model. Raises BAD_REQUEST with ``field`` and, where there is a choice, ``allowed``."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _complaint(model, dict(error.errors(include_url=False)[0])) from None


class Wrong(ValueError):
    """What a validator of a field raises: "<field> must be <must_be>"."""

    def __init__(self, must_be: str, allowed: object = None) -> None:
        super().__init__(f"must be {must_be}")
        self.must_be = must_be
        self.allowed = allowed


def speakable(text: str) -> str:
    """Text as it is spoken and counted: trimmed, composed (NFC), of what UTF-8 can carry, and not empty."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Wrong("valid Unicode text")
    text = unicodedata.normalize("NFC", text.strip())
    if not text:
        raise Wrong("text that is not empty")
    return text


def plain(text: str) -> str:
    """Text that may be empty, trimmed, of what UTF-8 can carry and a database can keep."""
    if any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
        raise Wrong("valid Unicode text")
    return text.strip()


def web_url(text: str) -> str:
    """An address of the web, as far as it alone tells; where it leads is looked at when it is called."""
    text = plain(text)
    if not re.match(r"https?://[^/?#\s]", text, re.IGNORECASE) or re.search(r"[\s\x00-\x1f]", text):
        raise Wrong("an http or https address")
    return text


Speakable = Annotated[str, AfterValidator(speakable), Field(json_schema_extra={"pattern": r"\S"})]
Plain = Annotated[str, AfterValidator(plain)]


def _complaint(model: type[BaseModel], problem: Mapping[str, Any]) -> VoiceError:
    field = _name(problem["loc"])
    if not field:
        return VoiceError(Code.BAD_REQUEST, "The request must be an object.")
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return VoiceError(Code.BAD_REQUEST, f"{field} is required.", field=field)
    must_be, allowed = _wanted(kind, context, _bounds(model, problem["loc"]))
    facts = {"field": field} if allowed is None else {"field": field, "allowed": allowed}
    return VoiceError(Code.BAD_REQUEST, f"{field} must be {must_be or problem['msg'].lower()}.", **facts)


def _wanted(kind: str, context: Mapping[str, Any], bounds: Mapping[str, Any]) -> tuple[str, object]:
    """What the field must be, in words and as a list."""
    if isinstance(raised := context.get("error"), Wrong):
        return raised.must_be, raised.allowed
    choices = [value for value in bounds.get("enum", ()) if value != ""]
    if choices:
        return "one of " + ", ".join(map(str, choices)), choices
    if kind == "string_too_long":
        return f"text of at most {context['max_length']} characters", context["max_length"]
    if kind == "string_too_short":
        return f"text of at least {context['min_length']} characters", None
    if kind == "too_long":
        return f"a list of at most {context['max_length']}", context["max_length"]
    if kind == "too_short":
        return f"a list of at least {context['min_length']}", None
    what = _KINDS.get(kind, "a number" if kind.startswith(("greater", "less")) else "")
    low, high = bounds.get("minimum"), bounds.get("maximum")
    if what and low is not None and high is not None:
        return f"{what} from {low:g} to {high:g}", [low, high]
    return what, None


def _bounds(model: type[BaseModel], location: tuple[int | str, ...]) -> Mapping[str, Any]:
    """What the schema says of a field of the model itself."""
    schema = _schema(model)
    found = schema.get("properties", {}).get(str(location[0]), {}) if len(location) == 1 else {}
    found = next((one for one in found.get("anyOf", ()) if one != {"type": "null"}), found)
    named = str(found.get("$ref", "")).rpartition("/")[2]  # an enum is described by its name
    bounds: Mapping[str, Any] = schema.get("$defs", {}).get(named, found)
    return bounds


@cache
def _schema(model: type[BaseModel]) -> Mapping[str, Any]:
    return model.model_json_schema(by_alias=True)


def _name(location: tuple[int | str, ...]) -> str:
    """("sentences", 0, "voice_code") as "sentences[0].voice_code"."""
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name
