"""A server with pages, people who visit them in a real browser, and a tour past all of them.

``python -m tests.server.pages.browsing DIRECTORY`` takes a picture of each page at desktop and phone width.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, ConsoleMessage, Page

from accounts.users import Role
from server.accounts import opened
from tests.clients.chromium import browser
from tests.server.conftest import started

PASSWORD = "correct horse battery staple"
WIDTHS = {"desktop": 1280, "phone": 390}
OPEN = ("/", "/login", "/register")
MEMBERS = ("/dashboard", "/api-keys", "/voices", "/jobs", "/account")
ADMINS = ("/admin", "/admin/users", "/admin/prices", "/admin/plans", "/admin/stt")


@dataclass(frozen=True, slots=True)
class Site:
    """A running server; ``admin`` is the address of its administrator, whose password is PASSWORD."""

    base: str
    admin: str


@contextmanager
def site(data: Path, **settings: str) -> Iterator[Site]:
    """A server that recognises nothing, which loads sooner, and an administrator who can log in."""
    with started(data, **{"connections_per_address": "0", "pocketsphinx": "off", **settings}) as running:
        admin = "admin@example.com"
        asyncio.run(_make_admin(running.database_url, admin))
        yield Site(running.base, admin)


async def _make_admin(url: str, email: str) -> None:
    async with opened(url) as accounts:
        user = await accounts.users.register(email, PASSWORD, "Ada Admin", role=Role.ADMIN)
        await accounts.users.set_plan(user.id, "owner")


@asynccontextmanager
async def visitor(chromium: Browser, width: int = 1280) -> AsyncIterator[Page]:
    """A browser window that knows of no other; what a page throws or its policy forbids ends the test."""
    troubles: list[str] = []
    window = await chromium.new_page(viewport={"width": width, "height": 900})
    window.on("pageerror", lambda error: troubles.append(str(error)))
    window.on("console", lambda message: troubles.append(message.text) if _is_trouble(message) else None)
    try:
        yield window
    finally:
        await window.close()
    assert not troubles, troubles


def _is_trouble(message: ConsoleMessage) -> bool:
    """Refused by a page's policy, or broken; whether a page was to be answered with 404 or 409 is for the test."""
    return message.type == "error" and "responded with a status of 4" not in message.text


async def register(window: Page, base: str, email: str) -> None:
    """Make an account by the form, which logs in."""
    await window.goto(f"{base}/register")
    await window.fill("#email", email)
    await window.fill("#password", PASSWORD)
    await window.click("main button")
    await window.wait_for_url(f"{base}/dashboard")


async def log_in(window: Page, base: str, email: str, password: str = PASSWORD) -> None:
    """Log in by the form."""
    await window.goto(f"{base}/login")
    await window.fill("#email", email)
    await window.fill("#password", password)
    await press(window, "main button")


async def press(window: Page, button: str) -> int:
    """Press a button that sends a form: the status of the page that follows."""
    async with window.expect_navigation() as following:
        await window.click(button)
    answer = await following.value
    return 0 if answer is None else answer.status


async def pictures(place: Site, directory: Path) -> None:
    """A picture of every page, twice."""
    async with browser() as chromium:
        for name, width in WIDTHS.items():
            await _tour(chromium, place, directory, name, width)


async def _tour(chromium: Browser, place: Site, directory: Path, name: str, width: int) -> None:
    async with visitor(chromium, width) as window:
        for path in OPEN:
            await _picture(window, place.base, path, directory, name)
        await log_in(window, place.base, place.admin)
        await window.goto(f"{place.base}/voices")
        await press(window, "form[action='/voices/preview'] button")
        await window.screenshot(path=directory / f"voices-heard-{name}.png", full_page=True)
        await window.goto(f"{place.base}/api-keys")
        await window.fill("#name", "my bot")
        await press(window, "form[action='/api-keys'] button")
        await window.screenshot(path=directory / f"api-keys-created-{name}.png", full_page=True)
        for path in (*MEMBERS, *ADMINS, "/admin/users/1", "/nowhere"):
            await _picture(window, place.base, path, directory, name)
        await window.goto(f"{place.base}/jobs")
        await press(window, "tbody a")
        await window.screenshot(path=directory / f"job-{name}.png", full_page=True)
        await window.goto(f"{place.base}/docs")
        await window.wait_for_selector(".opblock")
        await window.screenshot(path=directory / f"docs-{name}.png")


async def _picture(window: Page, base: str, path: str, directory: Path, width: str) -> None:
    await window.goto(base + path)
    name = path.strip("/").replace("/", "-") or "home"
    await window.screenshot(path=directory / f"{name}-{width}.png", full_page=True)


if __name__ == "__main__":
    shown = Path(sys.argv[1])
    shown.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, site(Path(scratch)) as place:
        asyncio.run(pictures(place, shown))
