"""``/docs``: the OpenAPI documents in Swagger UI, from files of this machine only, under a strict policy."""

from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.api.operations import Api
from server.openapi import describe

_HERE, _SWAGGER = files(__name__), files("swagger_ui").joinpath("static")
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
        self._documents = {name: describe(api, version=version) for name, api in apis.items()}
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
        document = self._documents.get(request.path_params["name"])
        if document is None:
            raise HTTPException(404)
        return JSONResponse(document)
