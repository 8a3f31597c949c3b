"""The account page: password, Apps with their tokens (B2, E1), the secret that signs webhooks."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from protocol.errors import VoiceError
from server.pages.desk import Desk, Page
from server.pages.entrance import complaint, status_of
from server.pages.render import Renderer, go
from server.pages.visit import Visit
from server.pages.written import moment

PATH = "/account"
_DAY_S = 86_400
_MOST_DAYS = 3650


class AccountPages:
    """What a user sets for himself."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render

    def pages(self) -> Sequence[Page]:
        """The page and its forms."""
        return [
            Page(PATH, self.show),
            Page(PATH + "/password", self.change_password, post=True),
            Page(PATH + "/apps", self.make_app, post=True),
            Page(PATH + "/apps/{id}/delete", self.delete_app, post=True),
            Page(PATH + "/webhooks/renew", self.renew_webhook_secret, post=True),
        ]

    async def show(self, visit: Visit) -> Response:
        """The page as it is."""
        return await self._page(visit)

    async def change_password(self, visit: Visit) -> Response:
        """A new password ends every other log-in of this account."""
        user, desk = visit.member, self._desk
        try:
            await desk.throttle.attempt("login", user.email, visit.address)
            if await desk.accounts.users.authenticate(user.email, visit.fields.get("current", "")) is None:
                errors = {"current": "This is not your password."}
                return await self._page(visit, status=401, errors=errors)
            await desk.accounts.users.set_password(user.id, visit.fields.get("password", ""))
        except VoiceError as error:
            return await self._wrong(visit, error)
        await desk.accounts.sessions.close_all(user.id)
        secret = await desk.accounts.sessions.open(user.id)
        answer = go(PATH)
        visit.cookies.put(answer, visit.cookies.session, secret, seconds=desk.accounts.sessions.seconds)
        return answer

    async def make_app(self, visit: Visit) -> Response:
        """An App and its first token, shown this once."""
        days = visit.field("days")
        if not (days.isascii() and days.isdigit() and 1 <= int(days[:6]) <= _MOST_DAYS):
            return await self._page(visit, status=400, errors={"days": f"A number of days from 1 to {_MOST_DAYS}."})
        try:
            app, token = await self._desk.accounts.apps.create(visit.member.id, visit.field("name"), int(days) * _DAY_S)
        except VoiceError as error:
            return await self._wrong(visit, error)
        until = moment(self._desk.now() + int(days) * _DAY_S)
        created = {"name": app.name, "id": app.id, "token": token, "until": until}
        return await self._page(visit, status=201, created=created)

    async def delete_app(self, visit: Visit) -> Response:
        """Remove an App; its tokens stop working at once."""
        await self._desk.accounts.apps.delete(visit.member.id, visit.request.path_params["id"])
        return go(PATH)

    async def renew_webhook_secret(self, visit: Visit) -> Response:
        """A new secret; the old one signs beside it for a day, so that receivers can change over."""
        await self._desk.renew_webhook_secret(visit.member.id)
        return go(PATH)

    async def _wrong(self, visit: Visit, error: VoiceError) -> Response:
        errors, problem = complaint(error)
        return await self._page(visit, status=status_of(error), errors=errors, problem=problem)

    async def _page(
        self,
        visit: Visit,
        *,
        status: int = 200,
        created: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        problem: str = "",
    ) -> Response:
        user = visit.member
        owned = await self._desk.accounts.apps.of(user.id)
        apps = [{"id": app.id, "name": app.name, "state": app.state.value} for app in owned]
        return self._render.page(
            visit,
            "account.html",
            status=status,
            apps=apps,
            created=created,
            webhook_secret=await self._desk.webhook_secret(user.id),
            errors=errors or {},
            problem=problem,
        )
