"""The documented APIs over the batch half, put together from its parts."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import BaseRoute

from accounts.limits import RateLimiter
from batch.abilities import Abilities
from batch.artifacts import Artifacts
from batch.callers import Callers
from batch.dispatch import Dispatch
from batch.media import MediaReader
from batch.queue import Queue
from batch.service import Service
from batch.uploads import Uploads
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from server.accounts import Accounts
from server.api.documents import APIS
from server.api.exchange import Exchange
from server.api.files import Files
from server.api.studio import Studio
from server.api.vbee_batch import VbeeBatch
from server.api.viewer import Viewer
from server.settings import Settings


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


def service_of(half: Half, *, now: Callable[[], float]) -> Service:
    """What takes orders, for the APIs and the pages."""
    abilities = Abilities(half.fleet, half.catalogue, half.accounts.voices)
    return Service(
        half.queue,
        half.accounts.ledger,
        half.accounts.policies,
        abilities,
        half.uploads,
        half.artifacts,
        half.dispatch,
        now=now,
    )


def api_routes(
    half: Half,
    service: Service,
    settings: Settings,
    *,
    now: Callable[[], float],
    ready: Callable[[], bool],
    version: str,
) -> list[BaseRoute]:
    """Seeds A and B, the files they make, and the documents of all APIs."""
    callers = Callers(half.accounts.identities, half.accounts.limits, half.rates)
    exchange = Exchange(service, callers)
    files = Files(half.artifacts, now=now, send_deadline_s=settings.send_timeout)
    studio = Studio(exchange, half.media, half.accounts.voices, files, ready=ready, version=version)
    vbee = VbeeBatch(exchange, public_url=settings.public_url, allow_private=settings.webhook_allow_private)
    return [*studio.routes(), *vbee.routes(), *Viewer(APIS, version=version).routes()]
