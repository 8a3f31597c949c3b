"""What a dialect is to the server (the table of them: ``server.dialects``), and what its routes are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from accounts.limits import RateLimiter
from batch.artifacts import Artifacts
from batch.callbacks import CallbackBody
from batch.dispatch import Dispatch
from batch.media import MediaReader
from batch.queue import Queue
from batch.texts import Texts
from batch.uploads import Uploads
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from protocol.errors import VoiceError
from protocol.reply import Reply
from server.accounts import Accounts
from server.api.exchange import Exchange
from server.api.files import Files
from server.api.operations import Api
from server.settings import Settings
from stream.billing import Lines
from stream.meter import Meter


@dataclass(frozen=True, slots=True)
class Half:
    """The parts of the batch half that requests need."""

    accounts: Accounts
    rates: RateLimiter
    queue: Queue
    uploads: Uploads
    artifacts: Artifacts
    dispatch: Dispatch
    media: MediaReader
    fleet: Fleet
    catalogue: Catalogue
    texts: Texts
    lines: Lines  # the bills of what is spoken live
    meter: Meter


@dataclass(frozen=True, slots=True)
class Mount:
    """What routes are made of. ``ready`` says whether every engine is warm."""

    half: Half
    exchange: Exchange
    files: Files
    settings: Settings
    now: Callable[[], float]
    ready: Callable[[], bool]
    version: str


def _no_routes(_mount: Mount) -> list[BaseRoute]:
    return []


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire format over HTTP. ``/name`` is its prefix, under which nothing is sniffed.

    ``claims`` are the paths without a prefix whose errors wear its envelope (``protocol.route.claimed``); ``routes``
    makes its routes, with and without the prefix; ``callbacks`` say what is posted when a job is over, by the style a
    job names. ``told_with_200`` is how errors look for a client that reads no status (B14).
    """

    name: str
    error_reply: Callable[[VoiceError], Reply]
    claims: tuple[str, ...] = ()
    routes: Callable[[Mount], list[BaseRoute]] = _no_routes
    document: Api | None = None
    callbacks: Mapping[str, CallbackBody] = field(default_factory=dict)
    told_with_200: Callable[[VoiceError], Reply] | None = None
