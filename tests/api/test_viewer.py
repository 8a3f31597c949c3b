"""``/docs`` in a real browser: nothing from elsewhere, nothing its policy forbids; and the documents behind it."""

from tests.api.serving import Api
from tests.clients.chromium import browser


def test_the_documents(api: Api) -> None:
    with api.client() as client:
        for name in (*"abcde", "elevenlabs"):
            document = client.get(f"/openapi/{name}.json").json()
            assert document["openapi"].startswith("3.1") and document["paths"]
        assert client.get("/openapi/z.json").status_code == 404
        assert client.get("/docs/../viewer.py").status_code == 404
        assert client.get("/docs/swagger-ui-es-bundle.js").status_code == 404


async def test_the_page(api: Api) -> None:
    async with browser() as chromium:
        page = await chromium.new_page()
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{api.base}/docs")
        await page.click("#operations-default-tts_design .opblock-summary")
        await page.wait_for_selector("text=num_step")
        await page.click("nav a >> nth=1")
        await page.wait_for_selector("#operations-default-request")
        assert complaints == []
        assert all(url.startswith((api.base, "data:")) for url in asked)
