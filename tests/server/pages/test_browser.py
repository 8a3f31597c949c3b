"""The pages, clicked through in a real browser, at desktop and phone width."""

import asyncio
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.checkpoints.nano_whisper.held_out import speak
from tests.clients.chromium import browser
from tests.server.pages.browsing import (
    ADMINS,
    MEMBERS,
    OPEN,
    PASSWORD,
    WIDTHS,
    Site,
    log_in,
    press,
    register,
    site,
    visitor,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Seconds of the sound a page offers, once the browser has found it playable.
DURATION = """async () => {
    const audio = document.querySelector("audio");
    await new Promise((resolve) => { audio.onloadedmetadata = resolve; audio.load(); });
    return audio.duration;
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for all of them: to start it takes longer than most of what they do in it."""
    async with browser() as running:
        yield running


async def text(window: Page, what: str = "main") -> str:
    return str(await window.inner_text(what))


@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
async def test_no_page_is_wider_than_the_window(place: Site, chromium: Browser, width: int) -> None:
    """And each has one heading of the first order, a language, and a label for every field."""
    async with visitor(chromium, width) as window:
        for path in OPEN:
            await check_page(window, place.base + path)
        await log_in(window, place.base, place.admin)
        for path in (*MEMBERS, *ADMINS, "/admin/users/1", "/nowhere"):
            await check_page(window, place.base + path)


async def check_page(window: Page, address: str) -> None:
    await window.goto(address)
    spare = "document.documentElement.clientWidth - document.documentElement.scrollWidth"
    assert await window.evaluate(spare) >= 0, f"{address} is too wide"
    assert await window.locator("h1").count() == 1, address
    assert await window.get_attribute("html", "lang") == "en"
    fields = "[...document.querySelectorAll('main input:not([type=hidden]), main select, main textarea')]"
    assert await window.evaluate(f"{fields}.filter((f) => !f.labels.length).map((f) => f.name)") == [], address


async def test_an_account_a_key_and_its_first_request(place: Site, chromium: Browser) -> None:
    """Make a key, copy it, use it; a disabled key opens nothing, an enabled one again, a deleted one never."""
    async with visitor(chromium) as window:
        await window.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await register(window, place.base, "ann@example.com")
        assert await text(window, "[data-balance]") == "100,000"
        await window.click("text=API keys")
        await window.fill("#name", "my bot")
        assert await press(window, "form[action='/api-keys'] button") == 201
        key = (await text(window, "#secret")).strip()
        await window.click("button[data-copy=secret]")
        await window.wait_for_selector("button:text('Copied')")
        assert await window.evaluate("navigator.clipboard.readText()") == key
        assert await status(place, key) == 200
        await press(window, "button:text('Disable')")
        assert "disabled" in await text(window)
        assert key not in await window.content()
        await refused(place, key)
        await press(window, "button:text('Enable')")
        await accepted(place, key)
        window.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await press(window, "button:text('Delete')")
        assert "You have no keys yet" in await text(window)
        await refused(place, key)


async def status(place: Site, key: str) -> int:
    async with httpx.AsyncClient() as client:
        reply = await client.get(f"{place.base}/api/v1/voices", headers={"authorization": f"Bearer {key}"})
        return reply.status_code


async def refused(place: Site, key: str) -> None:
    """A change shows at once in the process that made it."""
    assert await status(place, key) == 401


async def accepted(place: Site, key: str) -> None:
    assert await status(place, key) == 200


async def test_voices_are_designed_heard_and_saved_up_to_the_quota(place: Site, chromium: Browser) -> None:
    """A32, A33: three by default; the fourth is answered with 409, and nothing is lost."""
    async with visitor(chromium) as window:
        await register(window, place.base, "vera@example.com")
        await window.goto(f"{place.base}/voices")
        for number in range(3):
            await window.select_option("#gender", "female")
            await window.select_option("#age", "young adult")
            await press(window, "form[action='/voices/preview'] button")
            assert await window.evaluate(DURATION) > 1
            await window.fill("form[action='/voices/save'] #name", f"voice {number}")
            assert await press(window, "form[action='/voices/save'] button") == 200
        assert "voice 2" in await text(window)
        assert "Your saved voices are full" in await text(window)
        await window.select_option("#gender", "male")
        await press(window, "form[action='/voices/preview'] button")
        save = "form[action='/voices/save'] button"
        assert await window.is_disabled(save)
        await window.evaluate("(b) => { document.querySelector(b).disabled = false; }", save)
        await window.fill("form[action='/voices/save'] #name", "one too many")
        assert await press(window, save) == 409
        assert "as many as you may" in await text(window)


async def test_a_voice_is_cloned_from_a_recording(place: Site, chromium: Browser, tmp_path: Path) -> None:
    """The recording that was heard is the one that is saved, without being sent again."""
    sound = np.concatenate([speak(words, "en-us") for words in ("please open the window", "close the red door")] * 3)
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes((0.6 * sound * 32767).astype("<i2").tobytes())
    async with visitor(chromium) as window:
        await register(window, place.base, "carl@example.com")
        await window.goto(f"{place.base}/voices")
        await window.select_option("#type", "clone")
        assert await window.is_hidden("#kind-design")
        await window.set_input_files("#ref_audio", path)
        assert await press(window, "form[action='/voices/preview'] button") == 200
        assert "Spoken by espeak-ng" in await text(window)
        await window.fill("form[action='/voices/save'] #name", "the boss")
        await press(window, "form[action='/voices/save'] button")
        row = await text(window, "tbody")
        assert "the boss" in row
        assert "clone" in row


async def test_wrong_fields_are_named_and_nothing_is_lost(place: Site, chromium: Browser) -> None:
    async with visitor(chromium) as window:
        await window.goto(f"{place.base}/register")
        await window.fill("#email", "short@example.com")
        await window.evaluate("document.querySelector('#password').removeAttribute('minlength')")
        await window.fill("#password", "short")
        assert await press(window, "main button") == 400
        assert await window.get_attribute("#password", "aria-invalid") == "true"
        assert await window.input_value("#email") == "short@example.com"
        await register(window, place.base, "twice@example.com")
        await press(window, "button:text('Log out')")
        await window.goto(f"{place.base}/register")
        await window.fill("#email", "twice@example.com")
        await window.fill("#password", PASSWORD)
        assert await press(window, "main button") == 409
        assert "There is an account" in await text(window)
        await log_in(window, place.base, "twice@example.com", "not the password")
        assert "no such account" in await text(window)


async def test_an_admin_changes_limits_credits_and_prices_while_it_runs(place: Site, chromium: Browser) -> None:
    """A5, A57: the user sees it on the dashboard at once, and the next request is held to it."""
    async with visitor(chromium) as window:
        await register(window, place.base, "rich@example.com")
        await press(window, "button:text('Log out')")
        await log_in(window, place.base, place.admin)
        await window.goto(f"{place.base}/admin/users")
        await press(window, "a:text('rich@example.com')")
        await window.fill("#credits", "2500.5")
        await window.fill("#note", "thank you")
        await press(window, "button:text('Grant')")
        assert await text(window, "[data-balance]") == "102,500.5"
        await window.fill("#voices", "7")
        await press(window, "button:text('Save limits')")
        await window.goto(f"{place.base}/admin/prices")
        await window.fill("[name='prices/vbee.tts/credits']", "900.25")
        await press(window, "main form button")
        assert "Saved." in await text(window)
        await window.fill("[name='prices/vbee.tts/credits']", "a lot")
        assert await press(window, "main form button") == 400
        assert await window.get_attribute("[name='prices/vbee.tts/credits']", "aria-invalid") == "true"
        await window.goto(f"{place.base}/admin/stt")
        await window.fill("[name='stt_v2/beam_size']", "3")
        await press(window, "main form button")
        assert await window.input_value("[name='stt_v2/beam_size']") == "3"
        await press(window, "button:text('Log out')")
        await log_in(window, place.base, "rich@example.com")
        dashboard = await text(window)
        assert "102,500.5" in dashboard
        assert "0 of 7" in dashboard
        assert "thank you" in dashboard
