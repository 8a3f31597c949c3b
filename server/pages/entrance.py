"""The way in and out: the front page, registering, logging in, confirming the password, logging out."""

import logging
from collections.abc import Sequence

from starlette.responses import Response

from accounts.users import User
from protocol.errors import Code, VoiceError
from server.pages.desk import Access, Desk, Page
from server.pages.engine_rows import engine_rows
from server.pages.render import Renderer, go
from server.pages.visit import Visit

log = logging.getLogger("voxline.pages")
AFTER_LOGIN = "/dashboard"
_WRONG = "There is no such account with this password."


class Entrance:
    """Pages for people who are not logged in (yet)."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render

    def pages(self) -> Sequence[Page]:
        """The paths of the front door."""
        always = [
            Page("/", self.home, Access.ANYBODY),
            Page("/login", self.ask_login, Access.ANYBODY),
            Page("/login", self.login, Access.ANYBODY, post=True),
            Page("/confirm", self.ask_confirm),
            Page("/confirm", self.confirm, post=True),
            Page("/logout", self.logout, post=True),
        ]
        registering = [
            Page("/register", self.ask_register, Access.ANYBODY),
            Page("/register", self.register, Access.ANYBODY, post=True),
        ]
        return always + (registering if self._desk.settings.registration else [])

    async def home(self, visit: Visit) -> Response:
        """What this is, and what runs here."""
        return self._render.page(visit, "home.html", engines=engine_rows(self._desk.capabilities()))

    async def ask_register(self, visit: Visit) -> Response:
        """The form for a new account."""
        return go(AFTER_LOGIN) if visit.user else await self._register_form(visit)

    async def register(self, visit: Visit) -> Response:
        """Make the account and log in. Tries are counted by address: an address cannot make accounts without end."""
        email, password = visit.field("email"), visit.fields.get("password", "")
        try:
            await self._desk.throttle.attempt("register", visit.address)
            user = await self._desk.accounts.users.register(email, password, visit.field("name"))
        except VoiceError as error:
            return await self._register_form(visit, error)
        return await self._enter(visit, user, AFTER_LOGIN)

    async def ask_login(self, visit: Visit) -> Response:
        """The form to log in."""
        return go(_inside(visit.request.query_params.get("next", ""))) if visit.user else self._login_form(visit)

    async def login(self, visit: Visit) -> Response:
        """Check the password, at most so often a minute for the account and for the address."""
        email, password = visit.field("email").lower(), visit.fields.get("password", "")
        try:
            await self._desk.throttle.attempt("login", email, visit.address)
        except VoiceError as error:
            return self._login_form(visit, error)
        user = await self._desk.accounts.users.authenticate(email, password)
        if user is None:
            log.info("a log-in failed", extra={"address": visit.address})
            return self._login_form(visit, VoiceError(Code.UNAUTHORIZED, _WRONG))
        return await self._enter(visit, user, _inside(visit.field("next")))

    async def logout(self, visit: Visit) -> Response:
        """End this log-in."""
        await self._desk.accounts.sessions.close(visit.secret)
        answer = go("/")
        visit.cookies.drop(answer, visit.cookies.session)
        return answer

    async def ask_confirm(self, visit: Visit) -> Response:
        """The form that asks for the password again."""
        return self._render.page(visit, "confirm.html", next=visit.request.query_params.get("next", ""))

    async def confirm(self, visit: Visit) -> Response:
        """Note that the password was given just now."""
        user, following = visit.member, visit.field("next")
        try:
            await self._desk.throttle.attempt("login", user.email, visit.address)
        except VoiceError as error:
            return self._render.page(visit, "confirm.html", status=429, next=following, problem=error.message)
        if await self._desk.accounts.users.authenticate(user.email, visit.fields.get("password", "")) is None:
            errors = {"password": "This is not your password."}
            return self._render.page(visit, "confirm.html", status=401, next=following, errors=errors)
        await self._desk.accounts.sessions.confirm(visit.secret)
        return go(_inside(following))

    async def _enter(self, visit: Visit, user: User, following: str) -> Response:
        """A new session, never one the browser brought along."""
        if visit.secret:
            await self._desk.accounts.sessions.close(visit.secret)
        secret = await self._desk.accounts.sessions.open(user.id)
        answer = go(following)
        visit.cookies.put(answer, visit.cookies.session, secret, seconds=self._desk.accounts.sessions.seconds)
        visit.cookies.drop(answer, visit.cookies.guest)
        return answer

    def _login_form(self, visit: Visit, error: VoiceError | None = None) -> Response:
        following = visit.field("next") or visit.request.query_params.get("next", "")
        status, problem = (200, "") if error is None else (status_of(error), error.message)
        form = {"email": visit.field("email")}
        return self._render.page(visit, "login.html", status=status, next=following, form=form, problem=problem)

    async def _register_form(self, visit: Visit, error: VoiceError | None = None) -> Response:
        policy = await self._desk.accounts.policies.current()
        errors, problem = complaint(error)
        form = {name: visit.field(name) for name in ("name", "email")}
        status = 200 if error is None else status_of(error)
        start = f"{policy.starting_credits:,}"
        shown = {"starting_credits": start, "form": form, "errors": errors, "problem": problem}
        return self._render.page(visit, "register.html", status=status, **shown)


def complaint(error: VoiceError | None) -> tuple[dict[str, str], str]:
    """What is shown of an error: beside its field, or, where it has none, above the page."""
    if error is None:
        return {}, ""
    name = error.facts.get("field")
    return ({str(name): error.message}, "") if name else ({}, error.message)


def status_of(error: VoiceError) -> int:
    """The status of a page that shows an error."""
    return _STATUSES.get(error.code, 400)


_STATUSES = {
    Code.UNAUTHORIZED: 401,
    Code.INSUFFICIENT_CREDITS: 402,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.TOO_LARGE: 413,
    Code.RATE_LIMITED: 429,
    Code.TOO_MANY_SESSIONS: 429,
    Code.INTERNAL: 500,
    Code.ENGINE_FAILED: 500,
    Code.BUSY: 503,
    Code.MODEL_LOADING: 503,
    Code.STORAGE_FULL: 503,
    Code.SHUTTING_DOWN: 503,
}


def _inside(path: str) -> str:
    """A path of this site; a link that would lead elsewhere leads to the dashboard."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if safe else AFTER_LOGIN
