"""Five APIs on one server: each is itself by its prefix, by its host and by its paths (CONTRACT X11, X12)."""

from typing import Any

import httpx
import pytest

from accounts.policy import Overrides
from server.accounts import Accounts
from tests.api.serving import Api

NOBODY = "00000000-0000-4000-8000-000000000000"
CALL = {"text": "Xin chào", "voiceCode": "hn_female_ngochuyen_full_48k-fhg", "mode": "sync"}
# A request of each that needs a key and does no work, and one that may cost something.
READS = {
    "a": ("GET", "/api/v1/options"),
    "b": ("GET", f"/api/v1/tts/{NOBODY}"),
    "c": ("GET", "/api/v1/account/"),
    "d": ("GET", "/v1/voices/"),
    "e": ("POST", "/v1/tts"),
}
COSTS = {"a": "/api/v1/tts/auto", "b": "/api/v1/tts", "c": "/v1/summarize", "d": "/v1/tts/clone/"}
NOT_TAKEN = {"a": "/api/v1/stt", "b": "/api/v1/tts", "c": "/v1/transcribe", "d": "/v1/stt/", "e": "/v1/tts"}


def shape(reply: httpx.Response) -> str:
    """Whose envelope it is."""
    told = reply.json()
    error = told.get("error")
    if isinstance(error, dict):
        return "e" if error["code"].isupper() else "d"
    return "c" if "error" in told else "b" if "error_code" in told else "a"


def ways(name: str, path: str) -> list[tuple[str, dict[str, str]]]:
    """By prefix, by host, by the path alone."""
    return [(f"/{name}{path}", {}), (path, {"Host": f"{name}.test"}), (path, {})]


def extra(name: str) -> dict[str, Any]:
    return {"json": CALL} if name == "e" else {}


@pytest.mark.parametrize("name", READS)
def test_an_error_is_the_dialects_wherever_it_is_raised(idle: Api, name: str) -> None:
    """X11: 401, 404, 405 and 429, before anybody asks for a key and after, each in one shape."""
    method, path = READS[name]
    poor = idle.person()

    async def limit(accounts: Accounts) -> None:
        await accounts.users.set_limits(poor.user_id, Overrides(requests_per_minute=1))

    idle.within(limit)
    with idle.client(address=f"127.0.7.{ord(name)}") as client:
        for where, headers in ways(name, path):
            wrong = {**headers, "Authorization": "Bearer x"}
            replies = {401: client.request(method, where, headers=wrong, **extra(name))}
            replies[405] = client.delete(where.replace(path, NOT_TAKEN[name]), headers=headers)
            if where != path or headers:
                replies[404] = client.get(where.replace(path, "/nothing/here"), headers=headers)
            for status, reply in replies.items():
                wanted = 400 if (name, status) == ("e", 404) else status  # E11 has no 404
                assert (reply.status_code, shape(reply)) == (wanted, name), (where, headers, reply.text)
        if name in COSTS:
            asked = [(where, headers) for where, headers in ways(name, COSTS[name]) for _ in range(2)]
            replied = [client.post(where, headers={**headers, **poor.bearer}) for where, headers in asked]
            assert [reply.status_code for reply in replied[1:]] == [429] * 5, "one a minute"
            assert {shape(reply) for reply in replied} == {name}
            assert all(int(reply.headers["retry-after"]) > 0 for reply in replied[1:])


def test_413_is_the_dialects(idle: Api) -> None:
    """X11: of a body that is too large, by each way."""
    with idle.client(idle.people[0]) as client:
        large = b"x" * (5 << 20)
        for name, path in (("b", "/api/v1/tts"), ("c", "/v1/summarize"), ("d", "/v1/voice-chat/")):
            for where, headers in ways(name, path):
                reply = client.post(where, content=large, headers={**headers, "Content-Type": "application/json"})
                assert (reply.status_code, shape(reply)) == (413, name), (where, reply.text)


def test_one_key_opens_every_dialect(idle: Api) -> None:
    """X12: whichever it was made for, by each way; E wants an App-Id beside it."""
    with idle.client(idle.people[0]) as client:
        for name, (method, path) in READS.items():
            for where, headers in ways(name, path):
                more = {**headers, "App-Id": "any"} if name == "e" else headers
                reply = client.request(method, where, headers=more, **extra(name))
                assert reply.status_code == (404 if name == "b" else 200), (where, reply.text)
        for path in ("/v1/models", "/v1/voices"):
            known = client.get(path, headers={"Authorization": "", "xi-api-key": idle.people[0].key})
            assert known.status_code == 200


def test_a_host_of_its_own_has_nothing_of_the_others(idle: Api) -> None:
    """Nothing is sniffed: what other APIs have there is not found, or is its own."""
    with idle.client(idle.people[0]) as client:
        assert client.get("/api/v1/options", headers={"Host": "d.test"}).status_code == 404
        assert client.get("/api/v1/health", headers={"Host": "c.test"}).status_code == 404
        theirs = client.get("/v1/models", headers={"Host": "d.test"}).json()["models"][0]
        assert isinstance(theirs["languages"], list)
        ours = client.get("/v1/models", headers={"Host": "c.test"}).json()["models"][0]
        assert isinstance(ours["languages"], int)
        call = {**CALL, "model": "kokoro", "voice": "nobody"}
        assert client.post("/v1/tts", json=call, headers={"Host": "d.test", "App-Id": "x"}).status_code == 404
        assert shape(client.post("/v1/tts", json=call, headers={"Host": "c.test", "App-Id": "x"})) == "c"
        assert client.get("/healthz", headers={"Host": "e.test"}).text == "ok\n"
