"""The kinds of fields of seed C's requests, in forms, in JSON and in queries."""

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from protocol.checking import Wrong
from protocol.language_names import language_code

TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
_BOOLEAN: dict[str, Any] = {"type": "string", "enum": [*TRUE, *FALSE]}
_LANGUAGE: dict[str, Any] = {"type": "string", "examples": ["en", "auto"]}


class Fields(BaseModel):
    """A request of seed C; fields nobody knows are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


def boolean(value: object) -> object:
    """A47's words in any case, since Python's clients write ``True``; anything else is no word at all."""
    word = str(value).strip().lower()
    return True if word in TRUE else False if word in FALSE else None


def language(value: str) -> str:
    """A language's code, by its code, tag or English name; "auto"."""
    code = language_code(value)
    if code is None:
        raise Wrong("an ISO 639-1 code such as 'en', or 'auto'")
    return code


def day(value: object) -> object:
    """A day as it is written; pydantic would take a number for seconds since 1970."""
    try:
        return date.fromisoformat(str(value)[:10]) if len(str(value)) >= 10 else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> date:
    raise Wrong("a day, as 2026-11-28")


# None: it was none of the words, and the default stands (A47).
Boolean = Annotated[bool | None, BeforeValidator(boolean), WithJsonSchema(_BOOLEAN)]
Language = Annotated[str, AfterValidator(language), WithJsonSchema(_LANGUAGE)]
Day = Annotated[date, BeforeValidator(day), WithJsonSchema({"type": "string", "format": "date"})]
