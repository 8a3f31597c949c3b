"""What there is, as seed D's API lists it: models (D19) and voices (D20)."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from protocol.checking import check
from protocol.dialects.tts_ai.fields import Asked
from protocol.dialects.tts_ai.models import MODELS, Kind, Model, Tier, engine_model
from protocol.pricing import Price, PriceTable, Route, format_credits

Body = dict[str, Any]
PREVIEW = "/v1/voices/preview/"  # D21
_PER_MINUTE = {
    Kind.RECOGNITION: Route.TTS_AI_STT,
    Kind.CONVERSION: Route.TTS_AI_CONVERT,
    Kind.SEPARATION: Route.TTS_AI_SEPARATE,
}


class ModelRow(BaseModel):
    """A model (D19). ``engine``: who does it here. Prices are a thousand characters' or a minute's."""

    id: str
    name: str
    type: Kind
    tier: Tier
    languages: list[str]
    supports_cloning: bool
    supports_streaming: bool
    credits_per_1k_chars: int | float | None = None
    credits_per_minute: int | float | None = None
    engine: str


class Models(BaseModel):
    """All of them."""

    models: list[ModelRow]


class Here(BaseModel):
    """What the engines of a server can do."""

    spoken: Sequence[str] = ()  # language codes
    cloned: Sequence[str] = ()
    recognized: Sequence[str] = ()
    speakers: Sequence[str] = ()  # engines, the most preferred first
    cloner: str = ""
    converter: str = ""
    recognizer: str = ""
    separator: str = ""


class VoiceQuery(Asked):
    """``GET /v1/voices/``."""

    model: str = Field("", max_length=100, description="A model's id: the voices it can speak with.")
    language: str = Field("", max_length=40, description='A language\'s code: "en".')
    gender: Literal["", "male", "female", "neutral"] = ""


class VoiceRow(BaseModel):
    """A voice (D20). ``engine``: who speaks for it here."""

    id: str
    name: str
    model: str
    language: str
    gender: str
    preview_url: str
    engine: str


class Voices(BaseModel):
    """All that were asked for."""

    voices: list[VoiceRow]
    total: int


def models_body(here: Here, prices: PriceTable) -> Body:
    """The reply to ``GET /v1/models/``: only what can be done here."""
    known = [one for one in MODELS if _possible(one, here)]
    named = {one.id for one in known}
    known += [engine_model(engine) for engine in here.speakers if engine not in named]
    rows = [_model_row(one, here, prices) for one in known]
    return Models(models=rows).model_dump(mode="json", exclude_none=True)


def voices_body(rows: Iterable[VoiceRow], query: VoiceQuery) -> Body:
    """The reply to ``GET /v1/voices/``. A model of the document that is but a tier speaks with every voice."""
    wanted, found = query.model.lower(), list(rows)
    if wanted and wanted not in {row.model for row in found}:
        known = any(one.id == wanted and one.kind is Kind.SPEECH for one in MODELS)
        found = [row.model_copy(update={"model": wanted}) for row in found] if known else []
    elif wanted:
        found = [row for row in found if row.model == wanted]
    language = query.language.lower().replace("_", "-").partition("-")[0]
    found = [row for row in found if language in ("", row.language) and query.gender in ("", row.gender)]
    return Voices(voices=found, total=len(found)).model_dump(mode="json")


def voice_query(given: dict[str, str]) -> VoiceQuery:
    """The filters of a request. Raises BAD_REQUEST."""
    return check(VoiceQuery, given)


def _possible(model: Model, here: Here) -> bool:
    return {
        Kind.SPEECH: bool(here.speakers),
        Kind.RECOGNITION: bool(here.recognizer),
        Kind.CONVERSION: bool(here.converter and here.speakers),
        Kind.SEPARATION: bool(here.separator),
    }[model.kind]


def _model_row(model: Model, here: Here, prices: PriceTable) -> ModelRow:
    speech = model.kind is Kind.SPEECH
    engines = {
        Kind.SPEECH: here.speakers[0] if here.speakers else "",
        Kind.RECOGNITION: here.recognizer,
        Kind.CONVERSION: here.converter,
        Kind.SEPARATION: here.separator,
    }
    languages = here.recognized if model.kind is Kind.RECOGNITION else here.spoken if speech else ()
    return ModelRow(
        id=model.id,
        name=model.name,
        type=model.kind,
        tier=model.tier,
        languages=list(languages),
        supports_cloning=speech and model.clones and bool(here.cloner),
        supports_streaming=speech,
        credits_per_1k_chars=_price(prices[model.tier.route], 1000) if speech else None,
        credits_per_minute=None if speech else _price(prices[_PER_MINUTE[model.kind]], 60),
        engine=model.engine or engines[model.kind],
    )


def _price(price: Price, quantity: int) -> int | float:
    credits = format_credits(price.of(quantity))
    return int(credits) if credits == int(credits) else credits
