"""What work costs: a quantity of a route to whole units, by a table an admin can change and named rules of rounding.

The documents state prices and examples, and the two do not always agree (CONTRACT A61): the stated price rules. Prices
no document states are inferred, and ``docs/billing.md`` says which.
"""

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from protocol.errors import Code, VoiceError

UNITS = 10_000  # of a credit: amounts are integers of these


class Route(StrEnum):
    """What can be asked for at a price of its own."""

    STUDIO_TTS = "studio.tts"
    STUDIO_STT = "studio.stt"
    STUDIO_STT_VIDEO = "studio.stt_video"
    STUDIO_STT_V2_WEB = "studio.stt_v2_web"
    STUDIO_STT_V2_API = "studio.stt_v2_api"
    STUDIO_DUB = "studio.dub"
    STUDIO_SEPARATE = "studio.separate"
    VBEE_TTS = "vbee.tts"
    VBEE_REALTIME = "vbee.realtime"
    STT_AI_TRANSCRIBE = "stt_ai.transcribe"
    STT_AI_ENHANCE = "stt_ai.enhance"
    STT_AI_CLONE = "stt_ai.clone"
    TTS_AI_FREE = "tts_ai.free"
    TTS_AI_STANDARD = "tts_ai.standard"
    TTS_AI_PREMIUM = "tts_ai.premium"
    TTS_AI_STT = "tts_ai.stt"
    TTS_AI_CLONE = "tts_ai.clone"
    TTS_AI_CONVERT = "tts_ai.convert"
    TTS_AI_ENHANCE = "tts_ai.enhance"
    TTS_AI_SEPARATE = "tts_ai.separate"
    TTS_AI_TRANSLATE = "tts_ai.translate"
    TTS_AI_CHAT = "tts_ai.chat"
    TTS_AI_TOOLS = "tts_ai.tools"
    LIVE_LISTEN = "live.listen"
    LIVE_SPEAK = "live.speak"


class Unit(StrEnum):
    """What is counted."""

    CHARACTERS = "characters"  # Unicode code points (B11)
    SECONDS = "seconds"  # of sound, fractions too
    TURNS = "turns"


class Rounding(StrEnum):
    """How a quantity that is no multiple of ``per`` is charged."""

    EXACT = "exact"  # in proportion, half up to the unit
    STARTED = "started"  # each ``per`` that was begun counts whole (C4)
    NEAREST = "nearest"  # whole ``per``s, half up, one at least (A61: 180.5 s are 3 minutes)


class Price(BaseModel):
    """So many credits for each ``per`` of a unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    credits: Decimal = Field(ge=0, le=1_000_000, max_digits=12, decimal_places=4)
    per: int = Field(ge=1, le=1_000_000, strict=True)
    unit: Unit
    rounding: Rounding = Rounding.EXACT

    def of(self, quantity: float | Decimal) -> int:
        """The units for a quantity; ValueError when it is negative or no number."""
        amount = Decimal(str(quantity))
        if not amount.is_finite() or amount < 0:
            raise ValueError(f"{quantity} {self.unit} have no price")
        portions = amount / self.per
        if self.rounding is Rounding.STARTED:
            portions = portions.to_integral_value(ROUND_CEILING)
        elif self.rounding is Rounding.NEAREST and amount:
            portions = max(portions.to_integral_value(ROUND_HALF_UP), Decimal(1))
        return int((portions * self.credits * UNITS).to_integral_value(ROUND_HALF_UP))


def _characters(credits: int) -> Price:
    return Price(credits=Decimal(credits), per=1000, unit=Unit.CHARACTERS)


def _minutes(credits: int, rounding: Rounding = Rounding.EXACT) -> Price:
    return Price(credits=Decimal(credits), per=60, unit=Unit.SECONDS, rounding=rounding)


# The second of each pair says where the price comes from.
_DEFAULTS: dict[Route, tuple[Price, str]] = {
    Route.STUDIO_TTS: (_characters(1200), "inferred from A57: its price is this one and a fifth"),
    Route.STUDIO_STT: (_minutes(3000), "A41"),
    Route.STUDIO_STT_VIDEO: (_minutes(3600), "A41"),
    Route.STUDIO_STT_V2_WEB: (_minutes(1500), "A50"),
    Route.STUDIO_STT_V2_API: (_minutes(2500), "A50"),
    Route.STUDIO_DUB: (_characters(1440), "A57"),
    Route.STUDIO_SEPARATE: (_minutes(4500, Rounding.NEAREST), "A60, rounded as the one example that fits (A61)"),
    Route.VBEE_TTS: (_characters(1200), "inferred: as studio.tts"),
    Route.VBEE_REALTIME: (_characters(1200), "inferred: as studio.tts"),
    Route.STT_AI_TRANSCRIBE: (_minutes(1, Rounding.STARTED), "C4"),
    Route.STT_AI_ENHANCE: (_minutes(1, Rounding.STARTED), "inferred: a minute of sound, as C4"),
    Route.STT_AI_CLONE: (_characters(1), "inferred: about a minute of speech, as C4"),
    Route.TTS_AI_FREE: (_characters(1), "D4"),
    Route.TTS_AI_STANDARD: (_characters(2), "D4"),
    Route.TTS_AI_PREMIUM: (_characters(4), "D4"),
    Route.TTS_AI_STT: (_minutes(2, Rounding.STARTED), "D4; its unit is garbled, taken as a minute as in C4"),
    Route.TTS_AI_CLONE: (_characters(4), "D4"),
    Route.TTS_AI_CONVERT: (_minutes(3, Rounding.STARTED), "D4; unit as tts_ai.stt"),
    Route.TTS_AI_ENHANCE: (_minutes(2, Rounding.STARTED), "D4; unit as tts_ai.stt"),
    Route.TTS_AI_SEPARATE: (_minutes(4, Rounding.STARTED), "D4 says 3-4; unit as tts_ai.stt"),
    Route.TTS_AI_TRANSLATE: (_minutes(5, Rounding.STARTED), "D4; unit as tts_ai.stt"),
    Route.TTS_AI_CHAT: (Price(credits=Decimal(3), per=1, unit=Unit.TURNS), "D4"),
    Route.TTS_AI_TOOLS: (_minutes(0), "D4: analysis and conversion are free"),
    Route.LIVE_LISTEN: (_minutes(1), "inferred from C4, by the second"),
    Route.LIVE_SPEAK: (_characters(1200), "inferred: as studio.tts"),
}


class PriceTable(RootModel[dict[Route, Price]]):
    """A price for every route. What a document leaves out is at the default, so a new route needs no migration."""

    model_config = ConfigDict(frozen=True)

    root: dict[Route, Price] = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for route, (default, _) in _DEFAULTS.items():
            given = self.root.setdefault(route, default)
            if given.unit is not default.unit:
                raise ValueError(f"{route} is counted in {default.unit}, not in {given.unit}")
        return self

    def __getitem__(self, route: Route) -> Price:
        return self.root[route]

    def routes(self) -> Iterator[tuple[Route, Price]]:
        """All prices, in the order of the routes."""
        return ((route, self.root[route]) for route in Route)

    def patched(self, patch: Mapping[str, Any]) -> "PriceTable":
        """A table with some fields changed, as ``{"studio.tts": {"per": 1}}``; BAD_REQUEST names a wrong one."""
        document = self.model_dump(mode="json")
        for route, change in patch.items():
            if not isinstance(change, Mapping):
                raise VoiceError(Code.BAD_REQUEST, f"prices.{route} must be an object.", field=f"prices.{route}")
            document[route] = {**document.get(route, {}), **change}
        try:
            return PriceTable.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            field = ".".join(["prices", *(str(part) for part in first["loc"] if part != "[key]")])
            raise VoiceError(Code.BAD_REQUEST, f"{field}: {first['msg']}.", field=field) from None


def price(route: Route, quantity: float | Decimal, table: PriceTable) -> int:
    """What a quantity of a route costs, in units."""
    return table[route].of(quantity)


def source(route: Route) -> str:
    """Where the default price of a route comes from: a row of the contract, or how it was inferred."""
    return _DEFAULTS[route][1]


def format_credits(units: int) -> float:
    """Units as the credits of a JSON reply (``"credits_used": 2.5``)."""
    return units / UNITS


def credits_text(units: int) -> str:
    """Units as the credits of a header or a page: no zeros at the end (D6: ``X-Credits-Used: 2``)."""
    return f"{Decimal(units) / UNITS:f}"


def to_units(credits: str | int | Decimal) -> int:
    """Credits a person wrote, in units; ValueError when they are no number or finer than a unit."""
    try:
        units = Decimal(credits) * UNITS
    except ArithmeticError:
        raise ValueError(f"{credits} is not a number of credits") from None
    if not units.is_finite() or units != int(units):
        raise ValueError(f"{credits} is not a number of credits with 4 decimals at most")
    return int(units)
