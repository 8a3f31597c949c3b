"""The documented APIs over the batch half, put together from its parts."""

from collections.abc import Callable

from starlette.routing import BaseRoute

from batch.abilities import Abilities
from batch.callers import Callers
from batch.service import Service
from server.api.documents import APIS
from server.api.exchange import Exchange
from server.api.files import Files
from server.api.mount import Half as Half
from server.api.mount import Mount
from server.api.viewer import Viewer
from server.dialects import DIALECTS
from server.settings import Settings


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
    """The routes of all dialects, the files they make, and their documents."""
    callers = Callers(half.accounts.identities, half.accounts.limits, half.rates)
    mount = Mount(
        half=half,
        exchange=Exchange(service, callers),
        files=Files(half.artifacts, now=now, send_deadline_s=settings.send_timeout),
        settings=settings,
        now=now,
        ready=ready,
        version=version,
    )
    routes = [route for dialect in DIALECTS for route in dialect.routes(mount)]
    return [*routes, *Viewer(APIS, version=version).routes()]
