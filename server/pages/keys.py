"""API keys on a page: make one (shown once, to be copied), disable, enable, delete (A1, A2)."""

from collections.abc import Sequence

from starlette.responses import Response

from accounts.keys import State
from server.pages.desk import Desk, Page
from server.pages.render import Renderer, go
from server.pages.visit import Visit
from server.pages.written import day

PATH = "/api-keys"


class KeyPages:
    """The keys of whoever is logged in."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render

    def pages(self) -> Sequence[Page]:
        """The list, and what can be done with a key."""
        return [
            Page(PATH, self.show),
            Page(PATH, self.create, post=True),
            Page(PATH + "/{id:int}/enable", self.enable, post=True),
            Page(PATH + "/{id:int}/disable", self.disable, post=True),
            Page(PATH + "/{id:int}/delete", self.delete, post=True),
        ]

    async def show(self, visit: Visit) -> Response:
        """All keys, without their secrets."""
        return await self._list(visit)

    async def create(self, visit: Visit) -> Response:
        """A new key, in an answer that is kept nowhere."""
        secret, _ = await self._desk.accounts.keys.create(visit.field("name"), user_id=visit.member.id)
        return await self._list(visit, created=secret, status=201)

    async def enable(self, visit: Visit) -> Response:
        """Let a disabled key work again."""
        return await self._set(visit, State.ACTIVE)

    async def disable(self, visit: Visit) -> Response:
        """Let a key stop working, for a while."""
        return await self._set(visit, State.DISABLED)

    async def delete(self, visit: Visit) -> Response:
        """Remove a key for good."""
        await self._desk.accounts.keys.delete(visit.request.path_params["id"], user_id=visit.member.id)
        return go(PATH)

    async def _set(self, visit: Visit, state: State) -> Response:
        await self._desk.accounts.keys.set_state(visit.request.path_params["id"], state, user_id=visit.member.id)
        return go(PATH)

    async def _list(self, visit: Visit, *, created: str = "", status: int = 200) -> Response:
        rows = [
            {
                "id": key.id,
                "name": key.name,
                "last4": key.last4,
                "state": key.state.value,
                "created": day(key.created_at),
            }
            for key in await self._desk.accounts.keys.of(visit.member.id)
        ]
        base = self._desk.settings.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")
        return self._render.page(visit, "keys.html", status=status, keys=rows, created=created, base=base)
