"""All pages as routes: finds out who visits, lets in who may come in, reads the form, shows what went wrong."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from accounts.users import Role
from batch.forms import read_form
from batch.uploads import Uploads
from protocol.errors import Code, VoiceError
from server.pages.account import AccountPages
from server.pages.admin import AdminPages
from server.pages.admin_policy import PolicyPages
from server.pages.dashboard import Dashboard
from server.pages.desk import Access, Desk, Page, Pages
from server.pages.entrance import Entrance, status_of
from server.pages.jobs import JobPages
from server.pages.keys import KeyPages
from server.pages.render import STATIC, Renderer, go
from server.pages.visit import Cookies, Visit, new_guest
from server.pages.voices import VoicePages

log = logging.getLogger("voxline.pages")
CONFIRMED_S = 1800.0  # how long an administrator is not asked for the password again
_STATIC_S = 3600
_TITLES = {401: "Log in first", 403: "Not allowed", 404: "There is nothing here", 409: "Not now", 429: "Too often"}
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Site:
    """The pages of a server."""

    def __init__(
        self, desk: Desk, uploads: Uploads, address: Callable[[Request], str], *, secure_cookies: bool
    ) -> None:
        self._desk = desk
        self._uploads = uploads
        self._address = address
        self._cookies = Cookies(secure_cookies)
        self._render = Renderer(registration=desk.settings.registration)

    def routes(self) -> list[BaseRoute]:
        """One route for each path and method, and the files the pages are made with."""
        kinds: Sequence[Callable[[Desk, Renderer], Pages]] = (
            Entrance, Dashboard, KeyPages, VoicePages, JobPages, AccountPages, AdminPages, PolicyPages,
        )  # fmt: skip
        pages = [page for kind in kinds for page in kind(self._desk, self._render).pages()]
        made = [Route(page.path, self._answer(page), methods=["POST" if page.post else "GET"]) for page in pages]
        return [*made, Route("/static/{name}", static_file)]

    async def missing(self, request: Request) -> Response:
        """The page for a path that is none of ours."""
        visit = await self._visit(request)
        return self._render.problem(visit, 404, _TITLES[404], f"There is no page at {request.url.path}.")

    def _answer(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visit = await self._visit(request)
            try:
                return self._turned_away(visit, page) or await self._handled(visit, page)
            except VoiceError as error:
                status = status_of(error)
                return self._render.problem(visit, status, _TITLES.get(status, "That did not work"), error.message)
            except Exception:
                log.exception("a page broke", extra={"path": page.path})
                return self._render.problem(visit, 500, "Something went wrong here", "It was noted. Try again later.")

        return answer

    async def _handled(self, visit: Visit, page: Page) -> Response:
        async with AsyncExitStack() as stack:
            if page.post:
                request = visit.request
                form = read_form(request.headers, request.stream(), page.form, self._uploads)
                visit.form = await stack.enter_async_context(form)
                visit.check()
            return await page.handler(visit)

    def _turned_away(self, visit: Visit, page: Page) -> Response | None:
        """Where somebody is sent who may not see a page (yet)."""
        if page.access is Access.ANYBODY:
            return None
        here = quote(visit.request.url.path)
        if visit.session is None:
            if page.post:
                raise VoiceError(Code.UNAUTHORIZED, "Log in first.")
            return go(f"/login?next={here}")
        if page.access is Access.ADMIN:
            if visit.session.user.role is not Role.ADMIN:
                raise VoiceError(Code.NOT_FOUND, f"There is no page at {visit.request.url.path}.")
            if self._desk.now() - visit.session.confirmed_at > CONFIRMED_S:
                if page.post:
                    raise VoiceError(Code.FORBIDDEN, "Confirm your password first: open a page of the administration.")
                return go(f"/confirm?next={here}")
        return None

    async def _visit(self, request: Request) -> Visit:
        secret = request.cookies.get(self._cookies.session, "")
        session = await self._desk.accounts.sessions.find(secret) if secret else None
        guest = request.cookies.get(self._cookies.guest, "") or new_guest()
        return Visit(request, self._cookies, self._address(request), secret if session else "", session, guest)


async def static_file(request: Request) -> Response:
    """A file of ``server/static``, by its bare name."""
    name = request.path_params["name"]
    kind = _KINDS.get(PurePosixPath(name).suffix)
    path = STATIC / name
    if kind is None or "/" in name or "\\" in name or not path.is_file():
        raise HTTPException(404)
    headers = {"cache-control": f"public, max-age={_STATIC_S}"}
    return FileResponse(path, media_type=kind, headers=headers)
