"""Templates to answers: Jinja with everything escaped, under a policy that lets no foreign or inline script run."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from server.pages.visit import NO_STORE, Visit

_ROOT = Path(__file__).resolve().parent.parent
TEMPLATES, STATIC = _ROOT / "templates", _ROOT / "static"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": NO_STORE,
}


class Renderer:
    """Makes the answers of the pages; ``registration``: whether the pages offer to make an account."""

    def __init__(self, *, registration: bool) -> None:
        self._registration = registration
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def page(self, visit: Visit, template: str, *, status: int = 200, **context: Any) -> Response:
        """A template for this visitor. ``said`` and ``problem`` are shown above it, ``errors`` beside the fields."""
        known: dict[str, Any] = {
            "user": visit.user,
            "path": visit.request.url.path,
            "csrf_field": Markup('<input type="hidden" name="csrf" value="{}">').format(visit.csrf),
            "registration": self._registration,
            "said": "",
            "problem": "",
            "errors": {},
            "form": {},
        }
        html = self._templates.get_template(template).render(known | context)
        response = HTMLResponse(html, status, HEADERS)
        if visit.session is None:
            visit.cookies.put(response, visit.cookies.guest, visit.guest)
        return response

    def problem(self, visit: Visit, status: int, title: str, message: str) -> Response:
        """A page that says what went wrong."""
        return self.page(visit, "problem.html", status=status, title=title, message=message)


def go(path: str) -> Response:
    """To another page, after a POST that did something."""
    return RedirectResponse(path, 303, {"cache-control": NO_STORE})
