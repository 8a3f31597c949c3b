"""What the pages work with, and what a page is: a path, who may see it, and the function that answers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from starlette.responses import Response

from accounts.limits import RateLimiter, Throttle
from batch.form_limits import FormLimits
from batch.media import MediaReader
from batch.queue import Queue
from batch.service import Service
from engines.base import Capabilities
from server.accounts import Accounts
from server.pages.visit import Visit
from server.settings import Settings

Handler = Callable[[Visit], Awaitable[Response]]
PLAIN = FormLimits(files={}, fields=256)


class Access(Enum):
    """Who may see a page."""

    ANYBODY = auto()
    MEMBER = auto()  # logged in
    ADMIN = auto()  # an administrator who gave the password lately


@dataclass(frozen=True, slots=True)
class Page:
    """One path, answered to GET or to POST; ``form`` says what a POST may carry."""

    path: str
    handler: Handler
    access: Access = Access.MEMBER
    post: bool = False
    form: FormLimits = PLAIN


class Pages(Protocol):
    """Some pages that belong together."""

    def pages(self) -> Sequence[Page]: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of the application that the pages use."""

    settings: Settings
    accounts: Accounts
    queue: Queue
    service: Service
    media: MediaReader
    rates: RateLimiter
    throttle: Throttle
    capabilities: Callable[[], Sequence[Capabilities]]
    webhook_secret: Callable[[int], Awaitable[str]]
    renew_webhook_secret: Callable[[int], Awaitable[None]]
    now: Callable[[], float]
