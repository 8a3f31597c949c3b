"""What is served is what is documented, and no two APIs claim one path (CONTRACT X5-X7, X9)."""

import re
from typing import cast
from unittest.mock import MagicMock

import pytest
from starlette.routing import BaseRoute, Route

from protocol.route import SHARED, claimed
from server.api.documents import APIS
from server.dialects import DIALECTS, claims
from server.routes import own_routes

CLAIMS = claims()
CALL = "/v1/tts"  # one path of three documents, whose requests are told apart (X1)
Pair = tuple[str, str]


def pairs(routes: list[BaseRoute]) -> list[Pair]:
    """(method, path) of each, parameters without their names."""
    found = cast(list[Route], routes)
    return [(method, plain(route.path)) for route in found for method in route.methods or () if method != "HEAD"]


def plain(path: str) -> str:
    """A path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def bare(path: str) -> str:
    """The same with and without a slash at its end: nobody redirects, so both are served (X2)."""
    return path.rstrip("/")


OWN = [pair for pair in pairs(list(own_routes(MagicMock()))) if "z" not in pair[1] and pair[1] != "/metrics"]
SERVED = {one.name: pairs(one.routes(MagicMock())) for one in DIALECTS}
SERVED["c"] += OWN
DOCUMENTED = {name: [(one.method, plain(one.path)) for one in api.operations] for name, api in APIS.items()}


@pytest.mark.parametrize("name", sorted(set(SERVED) - {"e"}))  # E's one call goes past the routes
def test_served_is_documented_plain_and_under_the_prefix(name: str) -> None:
    served = {(method, bare(path)) for method, path in SERVED[name]}
    under = {(method, bare(f"/{name}{path}")) for method, path in DOCUMENTED[name]}
    without = {(method, bare(path)) for method, path in DOCUMENTED[name] if path not in SHARED}
    assert under <= served, "all of it under the prefix"
    assert without - {("POST", CALL)} <= served, "and without, where a path is nobody else's"
    alike = {("GET", "/v1/models"), ("GET", "/v1/voices")}  # told apart by a slash or a header (X3, X4)
    assert served - under - without <= alike, "and nothing else"


@pytest.mark.parametrize("name", sorted(set(SERVED) - {"elevenlabs"}))
def test_what_a_dialect_documents_wears_its_envelope(name: str) -> None:
    """X11: a path alone says whose its errors are, unless a request of it has to be looked at."""
    for _, path in DOCUMENTED[name]:
        if path != CALL and not (path in SHARED and path == "/v1/voices"):
            assert claimed(path.replace("{}", "x"), CLAIMS) == name, path


def test_no_path_is_two_apis() -> None:
    """X7: the names under ``/api/v1`` are disjoint; A has no bare ``/api/v1/tts`` (X6), B's ids are UUIDs (X5)."""
    all_of_them = [pair for name in SERVED for pair in set(SERVED[name])]
    assert len(set(all_of_them)) == len(all_of_them)
    documented = [pair for name in DOCUMENTED for pair in DOCUMENTED[name] if pair[1] not in SHARED]
    assert len(set(documented)) == len(documented)
    routes = next(one for one in DIALECTS if one.name == "b").routes(MagicMock())
    assert "/api/v1/tts/{request_id:uuid}" in [route.path for route in cast(list[Route], routes)]


def test_no_pattern_takes_another_apis_path() -> None:
    """X7: a parameter of one API never matches what another has by name."""
    routes = [(one.name, route) for one in DIALECTS for route in cast(list[Route], one.routes(MagicMock()))]
    named = [(name, method, path) for name in SERVED for method, path in SERVED[name] if "{" not in path]
    for name, route in routes:
        for other, method, path in named:
            if other != name and method in (route.methods or ()):
                assert not route.path_regex.match(path), f"{name}'s {route.path} takes {other}'s {path}"


def test_nothing_catches_all() -> None:
    """X9: what is not there is not there, under ``/v1/audio/`` and everywhere else."""
    for one in DIALECTS:
        for route in cast(list[Route], one.routes(MagicMock())):
            assert ":path}" not in route.path, route.path
            assert not route.path_regex.match("/v1/audio/speech") and not route.path_regex.match("/v1/audio/x/y/z")
