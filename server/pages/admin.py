"""Administration of users: who there is, what each may do, what each has; and the state of the server."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from accounts.limits import Overrides
from accounts.users import Role, State, User
from protocol.errors import Code, VoiceError
from protocol.pricing import to_units
from server.pages.desk import Access, Desk, Page
from server.pages.engine_rows import engine_rows
from server.pages.entrance import complaint, status_of
from server.pages.policy_forms import labels
from server.pages.render import Renderer, go
from server.pages.visit import Visit
from server.pages.written import credits, day

PATH = "/admin"
_PER_PAGE = 50
_MOST_CREDITS = 10**9


class AdminPages:
    """The overview and the users."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render

    def pages(self) -> Sequence[Page]:
        """The paths, for administrators only."""
        one = PATH + "/users/{id:int}"
        return [
            Page(PATH, self.overview, Access.ADMIN),
            Page(PATH + "/users", self.users, Access.ADMIN),
            Page(one, self.user, Access.ADMIN),
            Page(one + "/state", self.set_state, Access.ADMIN, post=True),
            Page(one + "/role", self.set_role, Access.ADMIN, post=True),
            Page(one + "/credits", self.grant, Access.ADMIN, post=True),
            Page(one + "/limits", self.set_limits, Access.ADMIN, post=True),
        ]

    async def overview(self, visit: Visit) -> Response:
        """Engines, jobs, users, and whether the books are in order."""
        desk = self._desk
        async with desk.accounts.store.read() as connection:
            report = await desk.accounts.ledger.audit(connection)
        counts = await desk.queue.counts()
        figures = [{"name": "Users", "value": f"{await desk.accounts.users.count():,}", "note": ""}]
        figures += [{"name": f"Jobs {status}", "value": f"{number:,}", "note": ""} for status, number in counts.items()]
        rows = engine_rows(desk.capabilities())
        return self._render.page(visit, "admin.html", figures=figures, faults=report.findings, engines=rows)

    async def users(self, visit: Visit) -> Response:
        """All users, a page at a time."""
        page, search = number_in(visit, "page"), visit.request.query_params.get("search", "")
        found = self._desk.accounts.users.page(limit=_PER_PAGE + 1, offset=page * _PER_PAGE, search=search)
        users = await found
        async with self._desk.accounts.store.read() as connection:
            balances = [(await self._desk.accounts.ledger.balance(connection, one.id)).available for one in users]
        rows = [{**_row(one), "credits": credits(units)} for one, units in zip(users, balances, strict=True)]
        more = len(rows) > _PER_PAGE
        shown = rows[:_PER_PAGE]
        return self._render.page(visit, "admin_users.html", users=shown, page=page, more=more, search=search)

    async def user(self, visit: Visit) -> Response:
        """One user."""
        return await self._user(visit)

    async def set_state(self, visit: Visit) -> Response:
        """Shut somebody out, or let him in again; not oneself."""
        user = await self._other(visit)
        await self._desk.accounts.users.set_state(user.id, State(_one_of(visit, "state", [one.value for one in State])))
        return self._back(user)

    async def set_role(self, visit: Visit) -> Response:
        """Make an administrator, or take it away; not from oneself."""
        user = await self._other(visit)
        await self._desk.accounts.users.set_role(user.id, Role(_one_of(visit, "role", [one.value for one in Role])))
        return self._back(user)

    async def grant(self, visit: Visit) -> Response:
        """Give credits; who gave them is noted beside the reason."""
        user = await self._found(visit)
        try:
            units = to_units(visit.field("credits").replace(",", ""))
        except ValueError:
            units = 0
        if not 0 < units <= to_units(_MOST_CREDITS):
            errors = {"credits": f"A number above 0 and up to {_MOST_CREDITS:,}, with at most four decimals."}
            return await self._user(visit, status=400, errors=errors)
        note = f"{visit.field('note')[:200]} (by {visit.member.email})".strip()
        async with self._desk.accounts.store.write() as connection:
            await self._desk.accounts.ledger.grant(connection, user.id, units, note)
        return self._back(user)

    async def set_limits(self, visit: Visit) -> Response:
        """The plan, and what differs from it for this user."""
        user, given = await self._found(visit), {}
        for name in Overrides.model_fields:
            if text := visit.field(name):
                if not (text.isascii() and text.isdigit() and len(text) < 10):
                    return await self._user(visit, status=400, errors={name: "A whole number; 0 means no limit."})
                given[name] = int(text)
        try:
            await self._desk.accounts.users.set_plan(user.id, visit.field("plan"))
            await self._desk.accounts.users.set_limits(user.id, Overrides(**given))
        except VoiceError as error:
            errors, problem = complaint(error)
            return await self._user(visit, status=status_of(error), errors=errors, problem=problem)
        return self._back(user)

    # -- inside ----------------------------------------------------------------------------------

    async def _found(self, visit: Visit) -> User:
        return await self._desk.accounts.users.get(visit.request.path_params["id"])

    async def _other(self, visit: Visit) -> User:
        """Nobody locks himself out: somebody must be left to administrate."""
        user = await self._found(visit)
        if user.id == visit.member.id:
            raise VoiceError(Code.CONFLICT, "Another administrator has to do this for you.")
        return user

    def _back(self, user: User) -> Response:
        return go(f"{PATH}/users/{user.id}")

    async def _user(
        self, visit: Visit, *, status: int = 200, errors: Mapping[str, str] | None = None, problem: str = ""
    ) -> Response:
        desk, user = self._desk, await self._found(visit)
        policy, own = await desk.accounts.policies.current(), user.overrides
        plan, said = policy.plan(user.plan), labels()
        limits = [
            {
                "name": name,
                "label": said[name],
                "plan": f"{getattr(plan, name):,}" if getattr(plan, name) else "none",
                "value": "" if getattr(own, name) is None else str(getattr(own, name)),
            }
            for name in Overrides.model_fields
        ]
        async with desk.accounts.store.read() as connection:
            balance = await desk.accounts.ledger.balance(connection, user.id)
        return self._render.page(
            visit,
            "admin_user.html",
            status=status,
            one={**_row(user), "credits": credits(balance.available)},
            plans=[(name, name) for name in policy.plans],
            limits=limits,
            errors=errors or {},
            problem=problem,
        )


def number_in(visit: Visit, name: str) -> int:
    """A number in the address of a page; 0 for anything that is none."""
    text = visit.request.query_params.get(name, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _one_of(visit: Visit, name: str, allowed: Sequence[str]) -> str:
    value = visit.field(name)
    if value not in allowed:
        raise VoiceError(Code.BAD_REQUEST, f"{name} must be one of {', '.join(allowed)}.", field=name)
    return value


def _row(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "plan": user.plan,
        "role": user.role.value,
        "state": user.state.value,
        "created": day(user.created_at),
    }
