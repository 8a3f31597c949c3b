"""The dashboard: balance, limits and how much of each is taken, what was used, the latest bookings (A5)."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from accounts.ledger import Balance, Kind, Movement
from accounts.policy import Plan
from protocol.pricing import UNITS
from server.pages.charts import Point, bars, gauge, line
from server.pages.desk import Desk, Page
from server.pages.render import Renderer
from server.pages.visit import Visit
from server.pages.written import credits, day_label, moment

DAYS = 30
_DAY_S = 86_400
_BOOKINGS, _LEVELS = 10, 5000
# What changed a balance for good; what is set aside and given back is not told of.
_TOLD = {Kind.GRANT: "granted", Kind.CAPTURE: "spent", Kind.EXPIRE: "expired"}


class Dashboard:
    """One page about whoever is logged in."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render

    def pages(self) -> Sequence[Page]:
        """The page."""
        return [Page("/dashboard", self.show)]

    async def show(self, visit: Visit) -> Response:
        """All of it, from one look at the store."""
        user, desk, today = visit.member, self._desk, int(self._desk.now() // _DAY_S)
        plan = await desk.accounts.limits.of(user.id)
        since = (today - DAYS + 1) * _DAY_S
        async with desk.accounts.store.read() as connection:
            balance = await desk.accounts.ledger.balance(connection, user.id)
            spent = await desk.accounts.ledger.usage(connection, user.id, since)
            moved = await desk.accounts.ledger.history(connection, user.id, limit=_LEVELS)
        jobs, voices = sum((await desk.queue.counts(user.id)).values()), await desk.accounts.voices.of(user.id)
        return self._render.page(
            visit,
            "dashboard.html",
            balance={"available": credits(balance.available), "held": credits(balance.held)},
            plan=user.plan,
            limits=_limits(plan, jobs, len(voices)),
            usage_chart=usage_chart(spent, today),
            balance_chart=balance_chart(balance, moved, today),
            bookings=[_booking(one) for one in moved if one.kind in _TOLD][:_BOOKINGS],
        )


def usage_chart(spent: Mapping[int, int], today: int) -> str:
    """Credits spent on each of the last days."""
    days = range(today - DAYS + 1, today + 1)
    points = [_point(one, spent.get(one, 0)) for one in days]
    return bars("Credits used on each of the last 30 days", points)


def balance_chart(balance: Balance, moved: Sequence[Movement], today: int) -> str:
    """What was available at the end of each of the last days, reckoned back from what is there now."""
    level, newest_first, points = balance.available, list(moved), []
    for one in range(today, today - DAYS, -1):
        while newest_first and newest_first[0].at >= (one + 1) * _DAY_S:
            level -= newest_first.pop(0).available
        points.append(_point(one, level))
    return line("Balance at the end of each of the last 30 days", points[::-1])


def _limits(plan: Plan, jobs: int, voices: int) -> list[dict[str, object]]:
    def row(name: str, limit: int, used: int | None, unit: str = "") -> dict[str, object]:
        if not limit:
            return {"name": name, "shown": "no limit" if used is None else f"{used}, no limit", "chart": ""}
        shown = f"{limit:,}{unit}" if used is None else f"{used} of {limit}"
        return {"name": name, "shown": shown, "chart": "" if used is None else gauge(name, used, limit, shown)}

    return [
        row("Requests a minute", plan.requests_per_minute, None),
        row("Jobs at once", plan.jobs, jobs),
        row("Live sessions at once", plan.sessions, None),
        row("Saved voices", plan.voices, voices),
        row("Characters of one text", plan.text_chars, None),
    ]


def _booking(one: Movement) -> dict[str, str]:
    amount = -one.spent if one.kind is Kind.CAPTURE else one.available
    subject, _, job_id = one.subject.partition(":")
    return {
        "at": moment(one.at),
        "kind": _TOLD[one.kind],
        "note": one.note or subject,
        "job": job_id if subject == "job" else "",
        "amount": ("+" if amount > 0 else "") + credits(amount),
    }


def _point(day: int, units: int) -> Point:
    return Point(day_label(day), units / UNITS, f"{credits(units)} credits")
