"""``/docs``: the OpenAPI documents in Swagger UI, from files of this machine only, under a strict policy."""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache, partial
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.api.operations import Api
from server.openapi import describe


def _package(name: str) -> Path:
    """Where a package is whose files alone are wanted: to import it takes a while."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return Path(spec.origin).parent


_HERE, _SWAGGER = files(__name__), _package("swagger_ui") / "static"
_KINDS = {"css": "text/css", "js": "text/javascript"}
_FILES: Mapping[str, Callable[[], Traversable]] = {
    "docs.css": lambda: _HERE / "docs.css",
    "docs.js": lambda: _HERE / "docs.js",
    "swagger-ui.css": lambda: _SWAGGER / "swagger-ui.css",
    "swagger-ui-bundle.js": lambda: _SWAGGER / "swagger-ui-bundle.js",
}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}


class Viewer:
    """The documents of ``apis`` by their short names ("a", "b" ...), and the page that shows them."""

    def __init__(self, apis: Mapping[str, Api], *, version: str) -> None:
        self._apis = apis
        self._describe = cache(partial(self._described, version=version))
        shown = (
            f'<a href="#{name}" data-document="/openapi/{name}.json">{escape(api.title)}</a>'
            for name, api in apis.items()
        )
        self._page = (_HERE / "docs.html").read_text(encoding="utf-8").replace("{links}", "\n".join(shown))

    def routes(self) -> list[BaseRoute]:
        """``/docs``, its files, and ``/openapi/{name}.json``."""
        return [
            Route("/docs", self._show),
            Route("/docs/{name}", self._file),
            Route("/openapi/{name}.json", self._document),
        ]

    async def _show(self, _request: Request) -> Response:
        return HTMLResponse(self._page, headers=_HEADERS)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            raise HTTPException(404)
        kind = _KINDS[name.rpartition(".")[2]]
        return Response(_FILES[name]().read_bytes(), headers={"cache-control": "public, max-age=3600"}, media_type=kind)

    async def _document(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._apis:
            raise HTTPException(404)
        # When it is first asked for, beside the loop: to write them all takes a good part of a start.
        return Response(await asyncio.to_thread(self._describe, name), media_type="application/json")

    def _described(self, name: str, *, version: str) -> bytes:
        return bytes(JSONResponse(describe(self._apis[name], version=version)).body)
