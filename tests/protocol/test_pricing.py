"""Prices: the documents' own as defaults, every rule of rounding by hand, and what an admin may change."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Code, VoiceError
from protocol.pricing import (
    UNITS,
    Price,
    PriceTable,
    Rounding,
    Route,
    Unit,
    credits_text,
    format_credits,
    price,
    source,
    to_units,
)

TABLE = PriceTable()

# Worked out by hand from the stated prices: (route, quantity, credits).
GOLDEN = [
    (Route.STUDIO_STT, 60, "3000"),
    (Route.STUDIO_STT, 45.2, "2260"),
    (Route.STUDIO_STT, 0.1, "5"),
    (Route.STUDIO_STT_VIDEO, 1200.0, "72000"),
    (Route.STUDIO_STT_VIDEO, 90, "5400"),
    (Route.STUDIO_STT_V2_WEB, 60, "1500"),
    (Route.STUDIO_STT_V2_API, 1200, "50000"),
    (Route.STUDIO_STT_V2_API, 1, "41.6667"),
    (Route.STUDIO_STT_V2_API, 2, "83.3333"),
    (Route.STUDIO_DUB, 1000, "1440"),
    (Route.STUDIO_DUB, 1, "1.44"),
    (Route.STUDIO_TTS, 1000, "1200"),
    (Route.STUDIO_TTS, 297, "356.4"),
    (Route.VBEE_TTS, 297, "356.4"),
    (Route.VBEE_REALTIME, 300, "360"),
    (Route.STUDIO_SEPARATE, 180.5, "13500"),
    (Route.STUDIO_SEPARATE, 1, "4500"),
    (Route.STUDIO_SEPARATE, 89.9, "4500"),
    (Route.STUDIO_SEPARATE, 90, "9000"),
    (Route.STT_AI_TRANSCRIBE, 60, "1"),
    (Route.STT_AI_TRANSCRIBE, 60.01, "2"),
    (Route.STT_AI_TRANSCRIBE, 0.2, "1"),
    (Route.STT_AI_ENHANCE, 61, "2"),
    (Route.STT_AI_CLONE, 250, "0.25"),
    (Route.TTS_AI_FREE, 1000, "1"),
    (Route.TTS_AI_STANDARD, 1000, "2"),
    (Route.TTS_AI_PREMIUM, 500, "2"),
    (Route.TTS_AI_CLONE, 250, "1"),
    (Route.TTS_AI_STT, 61, "4"),
    (Route.TTS_AI_CONVERT, 1, "3"),
    (Route.TTS_AI_ENHANCE, 60, "2"),
    (Route.TTS_AI_SEPARATE, 59, "4"),
    (Route.TTS_AI_TRANSLATE, 60, "5"),
    (Route.TTS_AI_CHAT, 2, "6"),
    (Route.TTS_AI_TOOLS, 600, "0"),
    (Route.LIVE_LISTEN, 90, "1.5"),
    (Route.LIVE_LISTEN, 1, "0.0167"),
    (Route.LIVE_SPEAK, 100, "120"),
]


@pytest.mark.parametrize(("route", "quantity", "credits"), GOLDEN)
def test_golden_prices(route: Route, quantity: float, credits: str) -> None:
    assert price(route, quantity, TABLE) == to_units(credits)


def test_every_route_has_a_price_a_source_and_a_golden_example() -> None:
    assert [route for route, _ in TABLE.routes()] == list(Route)
    assert all(source(route) for route in Route)
    assert {route for route, _, _ in GOLDEN} == set(Route)


@pytest.mark.parametrize("route", Route)
def test_nothing_costs_nothing(route: Route) -> None:
    assert price(route, 0, TABLE) == 0


def test_half_a_unit_is_rounded_up() -> None:
    one = Price(credits=Decimal("0.0001"), per=2, unit=Unit.CHARACTERS)
    assert [one.of(n) for n in range(5)] == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("quantity", [-1, -0.001, float("nan"), float("inf")])
def test_quantities_that_are_none_have_no_price(quantity: float) -> None:
    with pytest.raises(ValueError, match="no price"):
        price(Route.STUDIO_STT, quantity, TABLE)


@given(st.sampled_from(Route), st.floats(0, 100_000), st.floats(0, 100_000))
def test_more_never_costs_less(route: Route, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert price(route, less, TABLE) <= price(route, more, TABLE)


@given(st.lists(st.integers(0, 400), max_size=60))
def test_what_is_booked_cumulatively_never_drifts(pieces: list[int]) -> None:
    """Differences of the price of the total add up to the price of the total, whatever the pieces."""
    total, charged = 0, 0
    for piece in pieces:
        total += piece
        charged += price(Route.STUDIO_STT_V2_API, total, TABLE) - charged
    assert charged == price(Route.STUDIO_STT_V2_API, sum(pieces), TABLE)


def test_a_table_survives_json() -> None:
    changed = TABLE.patched({"studio.tts": {"credits": "0.5", "per": 1, "rounding": "started"}})
    assert PriceTable.model_validate_json(changed.model_dump_json()) == changed
    assert changed[Route.STUDIO_TTS] == Price(
        credits=Decimal("0.5"), per=1, unit=Unit.CHARACTERS, rounding=Rounding.STARTED
    )


def test_a_document_that_leaves_routes_out_has_the_defaults() -> None:
    assert PriceTable.model_validate_json("{}") == TABLE


def test_a_patch_changes_what_it_names_and_not_the_table_it_was_made_from() -> None:
    changed = TABLE.patched({"live.listen": {"credits": 2}})
    assert price(Route.LIVE_LISTEN, 60, changed) == 2 * UNITS
    assert price(Route.LIVE_LISTEN, 60, TABLE) == UNITS
    assert {route for route, cost in changed.routes() if cost != TABLE[route]} == {Route.LIVE_LISTEN}


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"studio.tts": {"credits": "-1"}}, "prices.studio.tts.credits"),
        ({"studio.tts": {"credits": "free"}}, "prices.studio.tts.credits"),
        ({"studio.tts": {"credits": "NaN"}}, "prices.studio.tts.credits"),
        ({"studio.tts": {"credits": "1.00001"}}, "prices.studio.tts.credits"),
        ({"studio.tts": {"credits": "10000000"}}, "prices.studio.tts.credits"),
        ({"studio.tts": {"per": 0}}, "prices.studio.tts.per"),
        ({"studio.tts": {"per": 1.5}}, "prices.studio.tts.per"),
        ({"studio.tts": {"rounding": "down"}}, "prices.studio.tts.rounding"),
        ({"studio.tts": {"colour": "red"}}, "prices.studio.tts.colour"),
        ({"studio.tts": 3}, "prices.studio.tts"),
        ({"studio.nothing": {"credits": 1, "per": 1, "unit": "seconds"}}, "prices.studio.nothing"),
        ({"studio.tts": {"unit": "seconds"}}, "prices"),
    ],
)
def test_a_wrong_patch_names_the_field(patch: dict[str, object], field: str) -> None:
    with pytest.raises(VoiceError) as caught:
        TABLE.patched(patch)
    assert (caught.value.code, caught.value.facts["field"]) == (Code.BAD_REQUEST, field)
    assert field in caught.value.message


@pytest.mark.parametrize(
    ("units", "number", "text"),
    [
        (0, 0.0, "0"),
        (25_000, 2.5, "2.5"),
        (20_000, 2.0, "2"),
        (1, 0.0001, "0.0001"),
        (13_500 * UNITS, 13500.0, "13500"),
    ],
)
def test_units_are_shown_as_credits(units: int, number: float, text: str) -> None:
    assert (format_credits(units), credits_text(units), to_units(text)) == (number, text, units)


@pytest.mark.parametrize("credits", ["", "much", "NaN", "Infinity", "0.00001"])
def test_what_is_no_number_of_credits(credits: str) -> None:
    with pytest.raises(ValueError, match="credits"):
        to_units(credits)
