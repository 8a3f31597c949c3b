"""Row X6: forged forms, foreign markup, framed pages, guessed passwords, planted sessions; none of them works."""

import re
from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from tests.server.pages.browsing import ADMINS, MEMBERS, OPEN, PASSWORD, Site, site

_numbers = count(1)
HOSTILE = (
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'; alert(1); '", "{{ 7 * 7 }}",
    "</title><svg/onload=alert(1)>", "javascript:alert(1)", "\u202e<b>back</b>", "&lt;script&gt;",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("pages")) as running:
        yield running


class Visitor:
    """A client with cookies, at an address of its own; it sends forms as a browser does."""

    def __init__(self, place: Site) -> None:
        transport = httpx.HTTPTransport(local_address=f"127.0.{next(_numbers)}.1")
        self.http = httpx.Client(base_url=place.base, transport=transport, timeout=30)

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def token(self, path: str) -> str:
        """The CSRF token of a page."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.http.get(path).text)
        assert found, path
        return found[1]

    def send(self, path: str, fields: dict[str, str], *, of: str = "") -> httpx.Response:
        """Send the form of a page (``of``; by default the one at the same path)."""
        return self.http.post(path, data={"csrf": self.token(of or path), **fields})

    def join(self) -> str:
        """Make an account: its address."""
        email = f"x{next(_numbers)}@example.com"
        assert self.send("/register", {"email": email, "password": PASSWORD}).status_code == 303
        return email


@pytest.fixture
def visitor(place: Site) -> Iterator[Visitor]:
    with Visitor(place) as one:
        yield one


FORMS = (
    "/api-keys", "/voices/preview", "/voices/save", "/voices/1/delete", "/jobs/transcribe", "/account/password",
    "/account/apps", "/account/webhooks/renew", "/logout", "/api-keys/1/delete",
)  # fmt: skip


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_its_token_changes_nothing(visitor: Visitor, path: str) -> None:
    visitor.join()
    for fields in ({}, {"csrf": ""}, {"csrf": "guessed"}, {"csrf": "é"}):
        assert visitor.http.post(path, data=fields).status_code == 403
    assert visitor.http.get("/dashboard").status_code == 200, "still logged in"


def test_a_token_of_somebody_else_is_none(place: Site, visitor: Visitor) -> None:
    visitor.join()
    with Visitor(place) as other:
        other.join()
        stolen = other.token("/api-keys")
    assert visitor.http.post("/api-keys", data={"csrf": stolen, "name": "x"}).status_code == 403


ELSEWHERE = (
    {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)  # fmt: skip


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_a_form_sent_from_another_site_is_refused_even_with_a_token(visitor: Visitor, headers: dict[str, str]) -> None:
    visitor.join()
    form = {"csrf": visitor.token("/api-keys"), "name": "x"}
    assert visitor.http.post("/api-keys", data=form, headers=headers).status_code == 403
    assert visitor.http.post("/api-keys", data=form).status_code == 201


def test_nobody_logs_somebody_in_as_somebody_else(visitor: Visitor) -> None:
    """The forms before the log-in carry a token too."""
    fields = {"email": "a@example.com", "password": PASSWORD}
    assert visitor.http.post("/login", data=fields).status_code == 403
    assert visitor.http.post("/register", data=fields).status_code == 403


@pytest.mark.parametrize("words", HOSTILE)
def test_words_of_users_are_only_ever_text(place: Site, visitor: Visitor, words: str) -> None:
    visitor.send("/register", {"email": f"x{next(_numbers)}@example.com", "password": PASSWORD, "name": words})
    visitor.send("/api-keys", {"name": words})
    visitor.send("/voices/save", {"name": words, "type": "design", "instruct": words}, of="/voices")
    visitor.send("/account/apps", {"name": words, "days": "3"}, of="/account")
    for path in MEMBERS:
        shown = visitor.http.get(path).text
        assert words not in shown or not re.search("[<>\"'&]", words), path
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown


def test_no_page_can_be_framed_or_run_what_is_not_its_own(visitor: Visitor) -> None:
    visitor.join()
    for path in (*OPEN[:1], *MEMBERS):
        headers = visitor.http.get(path).headers
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", visitor.http.get(path).text), path


def test_passwords_cannot_be_guessed_at_speed(place: Site, visitor: Visitor) -> None:
    """Ten tries a minute at one account, from wherever; the right password is not even looked at after that."""
    email = visitor.join()
    visitor.send("/logout", {}, of="/dashboard")
    seen = []
    for number in range(12):
        with Visitor(place) as guesser:
            seen.append(guesser.send("/login", {"email": email, "password": f"guess {number} long enough"}).status_code)
    assert seen[:10] == [401] * 10
    assert seen[10:] == [429] * 2
    assert visitor.send("/login", {"email": email, "password": PASSWORD}).status_code == 429


def test_a_session_cannot_be_planted(visitor: Visitor) -> None:
    """A cookie from before the log-in is not the session afterwards."""
    visitor.http.cookies.set("voxline", "ws-planted", domain="127.0.0.1", path="/")
    visitor.join()
    cookies = [cookie.value for cookie in visitor.http.cookies.jar if cookie.name == "voxline"]
    assert "ws-planted" not in cookies
    header = visitor.http.get("/dashboard")
    assert header.status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_foreign_forms(visitor: Visitor) -> None:
    answer = visitor.send("/register", {"email": f"x{next(_numbers)}@example.com", "password": PASSWORD})
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("voxline="))
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "Path=/" in cookie


def test_https_cookies_are_bound_to_the_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    with site(tmp_path_factory.mktemp("https"), public_url="https://voice.example") as place:
        cookie = httpx.get(f"{place.base}/login").headers["set-cookie"]
    assert cookie.startswith("__Host-voxline")
    assert "Secure" in cookie


def test_a_cookie_opens_no_api_and_a_key_no_page(visitor: Visitor) -> None:
    visitor.join()
    assert visitor.http.get("/api/v1/voices").status_code == 401
    key = re.search(r"sk-ov-\w+", visitor.send("/api-keys", {"name": "x"}).text)
    assert key
    bare = httpx.get(visitor.http.base_url.join("/dashboard"), headers={"authorization": f"Bearer {key[0]}"})
    assert bare.status_code == 303
    assert bare.headers["location"] == "/login?next=/dashboard"


def test_a_webhook_secret_can_be_replaced(visitor: Visitor) -> None:
    visitor.join()
    before = re.search(r"whsec_[^<]+", visitor.http.get("/account").text)
    assert visitor.send("/account/webhooks/renew", {}, of="/account").status_code == 303
    after = re.search(r"whsec_[^<]+", visitor.http.get("/account").text)
    assert before and after and before[0] != after[0]


def test_a_new_password_ends_every_other_log_in(place: Site, visitor: Visitor) -> None:
    email = visitor.join()
    with Visitor(place) as elsewhere:
        assert elsewhere.send("/login", {"email": email, "password": PASSWORD}).status_code == 303
        change = {"current": PASSWORD, "password": PASSWORD + "!"}
        assert visitor.send("/account/password", change, of="/account").status_code == 303
        assert elsewhere.http.get("/dashboard").status_code == 303
    assert visitor.http.get("/dashboard").status_code == 200


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_log_in_leads_nowhere_else(visitor: Visitor, target: str) -> None:
    email = visitor.join()
    visitor.send("/logout", {}, of="/dashboard")
    answer = visitor.send("/login", {"email": email, "password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/dashboard"


def test_administration_is_for_administrators(place: Site, visitor: Visitor) -> None:
    """To others it is not there, not even to be seen; what they send changes nothing."""
    visitor.join()
    token = visitor.token("/api-keys")
    for path in (*ADMINS, "/admin/users/1"):
        assert visitor.http.get(path).status_code == 404
    for path in ("/admin/users/1/credits", "/admin/users/1/role", "/admin/prices"):
        assert visitor.http.post(path, data={"csrf": token, "credits": "5", "role": "user"}).status_code == 404


def test_two_users_see_nothing_of_each_other(place: Site, visitor: Visitor) -> None:
    """X3 for the pages: another's key, voice, job or App is not there."""
    visitor.join()
    key_id = visitor.send("/api-keys", {"name": "mine"}) and _first(r"/api-keys/(\d+)/delete", visitor, "/api-keys")
    visitor.send("/voices/save", {"name": "mine", "type": "design", "gender": "male"}, of="/voices")
    voice_id = _first(r"/voices/(\d+)/delete", visitor, "/voices")
    visitor.send("/voices/preview", {"text": "Hello.", "type": "design", "gender": "male"}, of="/voices")
    job_id = _first(r"/jobs/([0-9a-f-]{36})", visitor, "/jobs")
    visitor.send("/account/apps", {"name": "mine", "days": "3"}, of="/account")
    app_id = _first(r"/account/apps/([^/]+)/delete", visitor, "/account")
    with Visitor(place) as other:
        other.join()
        token = {"csrf": other.token("/api-keys")}
        for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/state"):
            assert other.http.get(path).status_code == 404
        for path in (
            f"/api-keys/{key_id}/disable", f"/api-keys/{key_id}/delete", f"/voices/{voice_id}/delete",
            f"/jobs/{job_id}/cancel", f"/account/apps/{app_id}/delete",
        ):  # fmt: skip
            assert other.http.post(path, data=token).status_code == 404, path
    assert visitor.http.get(f"/jobs/{job_id}").status_code == 200
    assert "mine" in visitor.http.get("/voices").text


def _first(pattern: str, visitor: Visitor, path: str) -> str:
    found = re.search(pattern, visitor.http.get(path).text)
    assert found, f"{pattern} is not on {path}"
    return found[1]
