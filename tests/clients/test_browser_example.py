"""Seed C's "WebSocket (Browser)" example, run by a real browser with a real (file-fed) microphone."""

import asyncio
import functools
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from loadtest.subject import Subject
from tests.checkpoints.nano_whisper.held_out import speak
from tests.clients.chromium import browser

EXAMPLE = Path(__file__).with_name("stt_ai_browser.js")
DEADLINE_S = 40.0


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test's output is its own."""


@contextmanager
def pages(directory: Path) -> Iterator[str]:
    """Serve a directory on loopback, as a site of its own origin; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(directory))) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{site.server_address[1]}"
        site.shutdown()
        thread.join()


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    """A WAV file in which somebody says a sentence, and then nothing."""
    silence = np.zeros(16000, np.float32)
    sound = np.concatenate([silence, 0.6 * speak("please open the window", "en-us"), silence, silence])
    path = tmp_path / "microphone.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


async def test_the_documents_browser_example_works_unchanged(tmp_path: Path, microphone: Path, live: Subject) -> None:
    """C8-C10: no key, language and model of the example; partials first, then the right final, then is_final."""
    script = EXAMPLE.read_text(encoding="utf-8")
    assert script.count("wss://api.stt.ai") == 1
    (tmp_path / "index.html").write_text(f"<script>{script.replace('wss://api.stt.ai', live.ws)}</script>")
    lines: list[str] = []
    heard = asyncio.Event()

    def console(text: str) -> None:
        lines.append(text)
        if text.startswith("Final:"):
            heard.set()

    with pages(tmp_path) as site:
        async with browser(microphone) as chromium:
            page = await chromium.new_page()
            page.on("console", lambda message: console(message.text))
            await page.goto(f"{site}/index.html")
            await asyncio.wait_for(heard.wait(), DEADLINE_S)
            # What the example's last comment says to do, and what is_final then looks like to it.
            last = await asyncio.wait_for(
                page.evaluate(
                    """() => new Promise((resolve) => {
                        ws.addEventListener("message", (event) => {
                            const data = JSON.parse(event.data);
                            if (data.is_final) resolve(data);
                        });
                        ws.send(JSON.stringify({ action: "stop" }));
                    })"""
                ),
                DEADLINE_S,
            )
    finals = [line.removeprefix("Final: ") for line in lines if line.startswith("Final:")]
    partials = [line for line in lines if line.startswith("Partial:")]
    assert finals[0].lower().strip(" .") == "please open the window"
    assert partials, lines
    assert lines.index(partials[0]) < lines.index(f"Final: {finals[0]}")
    assert last["is_final"] is True
