"""One request to a page: who makes it, whether it may change anything, and the form it carries.

The log-in cookie is ``HttpOnly``, ``SameSite=Lax`` and, over https, ``Secure`` with the ``__Host-`` prefix. Whatever
changes something is a POST that carries the session's CSRF token and does not come from another site; before the log-in
the token is that of a cookie of its own. A cookie never authenticates the API or a WebSocket.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from accounts.sessions import WebSession
from accounts.users import User
from batch.forms import Form
from protocol.errors import Code, VoiceError

_SESSION, _GUEST = "voxline", "voxline_guest"
_GUEST_BYTES = 24
NO_STORE = "no-store"


@dataclass(frozen=True, slots=True)
class Cookies:
    """How the pages' cookies are named and set; ``secure`` where clients come by https."""

    secure: bool

    @property
    def session(self) -> str:
        """The name of the log-in cookie."""
        return f"__Host-{_SESSION}" if self.secure else _SESSION

    @property
    def guest(self) -> str:
        """The name of the cookie that guards the forms before the log-in."""
        return f"__Host-{_GUEST}" if self.secure else _GUEST

    def put(self, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
        """Set one for this host."""
        response.set_cookie(name, value, seconds, path="/", secure=self.secure, httponly=True, samesite="lax")

    def drop(self, response: Response, name: str) -> None:
        """Have the browser forget one."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")


@dataclass(slots=True)
class Visit:
    """A request and who is behind it; ``form`` is there for a POST, its files on the disk."""

    request: Request
    cookies: Cookies
    address: str
    secret: str  # of the log-in cookie; "" for none
    session: WebSession | None
    guest: str  # of the guest cookie, made when there was none
    form: Form | None = None

    @property
    def user(self) -> User | None:
        """Who is logged in."""
        return None if self.session is None else self.session.user

    @property
    def member(self) -> User:
        """Who is logged in, where the page has made sure that somebody is."""
        if self.session is None:
            raise VoiceError(Code.UNAUTHORIZED, "Log in first.")
        return self.session.user

    @property
    def csrf(self) -> str:
        """What the forms of the answer carry."""
        return self.guest if self.session is None else self.session.csrf

    @property
    def fields(self) -> Mapping[str, str]:
        """The form's fields; none for a request without a form."""
        return {} if self.form is None else self.form.fields

    def field(self, name: str) -> str:
        """A field without the space around it; "" when it is missing."""
        return self.fields.get(name, "").strip()

    def check(self) -> None:
        """Raises FORBIDDEN unless the form was made here, for this visitor."""
        origin = self.request.headers.get("origin", "")
        foreign = self.request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if origin and (origin == "null" or urlsplit(origin).netloc != self.request.headers.get("host", "")):
            foreign = True
        given = self.field("csrf") or self.request.headers.get("x-csrf-token", "")
        if foreign or not given.isascii() or not hmac.compare_digest(given, self.csrf):
            raise VoiceError(Code.FORBIDDEN, "This form is too old, or from elsewhere. Go back, reload and try again.")


def new_guest() -> str:
    """The value of a guest cookie."""
    return secrets.token_urlsafe(_GUEST_BYTES)
