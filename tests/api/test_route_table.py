"""What is served is what is documented, and no two APIs claim one path (CONTRACT X5-X7)."""

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.routing import BaseRoute, Route

from server.api.documents import APIS
from server.api.exchange import Exchange
from server.api.studio import Studio
from server.api.vbee_batch import VbeeBatch

PARTS: Any = SimpleNamespace(service=None, get=lambda: None)


def pairs(routes: list[BaseRoute]) -> list[tuple[str, str]]:
    """(method, path) of each, parameters without their names."""
    found = cast(list[Route], routes)
    return [(method, plain(route.path)) for route in found for method in route.methods or () if method not in ("HEAD",)]


def plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


SERVED = {
    "a": pairs(Studio(cast(Exchange, PARTS), PARTS, PARTS, PARTS, ready=lambda: True, version="").routes()),
    "b": pairs(VbeeBatch(cast(Exchange, PARTS), public_url="").routes()),
}


@pytest.mark.parametrize("name", SERVED)
def test_served_is_documented_plain_and_under_the_prefix(name: str) -> None:
    documented = [(one.method, plain(one.path)) for one in APIS[name].operations]
    assert sorted(SERVED[name]) == sorted([*documented, *((method, f"/{name}{path}") for method, path in documented)])


def test_no_path_is_two_apis() -> None:
    """X7: the names under ``/api/v1`` are disjoint; A has no bare ``/api/v1/tts`` (X6), B's ids are UUIDs (X5)."""
    all_of_them = [pair for name in SERVED for pair in SERVED[name]]
    all_of_them += [(one.method, plain(one.path)) for name in ("c", "e") for one in APIS[name].operations]
    assert len(set(all_of_them)) == len(all_of_them)
    routes = cast(list[Route], VbeeBatch(cast(Exchange, PARTS), public_url="").routes())
    assert "/api/v1/tts/{request_id:uuid}" in [route.path for route in routes]
