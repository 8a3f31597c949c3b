"""Administration of the policy: prices, plans and caps, what a v2 transcription does by default (A5, A52, A57)."""

from collections.abc import Mapping, Sequence
from functools import partial

from starlette.responses import Response

from protocol.errors import VoiceError
from server.pages.desk import Access, Desk, Page
from server.pages.entrance import status_of
from server.pages.policy_forms import PLANS, PRICES, STT, TITLES, field_of, groups, patch
from server.pages.render import Renderer
from server.pages.visit import Visit


class PolicyPages:
    """Three forms over one document; what is saved is in force within a second, on every process."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render

    def pages(self) -> Sequence[Page]:
        """A form to see and to send for each part."""
        return [
            Page(f"/admin/{kind}", partial(handler, kind), Access.ADMIN, post=post)
            for kind in (PRICES, PLANS, STT)
            for handler, post in ((self.show, False), (self.save, True))
        ]

    async def show(self, kind: str, visit: Visit) -> Response:
        """The form with what is in force."""
        return await self._form(kind, visit)

    async def save(self, kind: str, visit: Visit) -> Response:
        """Change what was filled in differently; a wrong value changes nothing and is named."""
        policy = await self._desk.accounts.policies.current()
        try:
            await self._desk.accounts.policies.change(patch(kind, policy, visit.fields))
        except VoiceError as error:
            errors = {field_of(error.facts.get("field", "")): error.message}
            return await self._form(kind, visit, status=status_of(error), errors=errors, problem=error.message)
        return await self._form(kind, visit, said="Saved.")

    async def _form(
        self,
        kind: str,
        visit: Visit,
        *,
        status: int = 200,
        errors: Mapping[str, str] | None = None,
        problem: str = "",
        said: str = "",
    ) -> Response:
        shown = groups(kind, await self._desk.accounts.policies.current())
        more = {"errors": errors or {}, "problem": problem, "said": said}
        return self._render.page(visit, "admin_form.html", status=status, title=TITLES[kind], groups=shown, **more)
