"""Seed C's account API (C22) over a real server: transcripts, their files and questions, keys, usage."""

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import docx
import httpx
import pypdf
import pytest

from tests.api.serving import Api, Person
from tests.api.test_stt_ai_transcribe import refusal
from tests.api.transcripts import MEETING, keep, outcome

LIST = "/api/v1/transcripts/"
DAY_S = 86_400
PLAIN = [text for text, _ in MEETING]


@pytest.fixture(scope="module")
def ada(idle: Api) -> Person:
    return idle.person()


@pytest.fixture(scope="module")
def meeting(idle: Api, ada: Person) -> str:
    """A transcript of hers."""
    return keep(idle, ada, outcome(), name="Cuộc họp 会议.mp3")


@pytest.fixture(scope="module")
def client(idle: Api, ada: Person) -> Iterator[httpx.Client]:
    with idle.client(ada) as client:
        yield client


# -- the account ---------------------------------------------------------------------------------------


def test_the_account(idle: Api) -> None:
    """What there is to know, with and without a slash; its name can be changed, by any verb of an update."""
    with idle.client(idle.person("free", credits=7)) as client:
        told = client.get("/api/v1/account/").json()
        assert told["plan"] == "free" and told["credits"] == 7.0 and "@" in told["email"]
        assert told["limits"] == {
            "requests_per_minute": 10, "jobs_at_once": 2, "file_mb": 500, "minutes_per_month": 600,
        }  # fmt: skip
        assert told["minutes_used"] == 0 and told["email_preferences"] == {}
        for verb, path in (("PATCH", "/api/v1/account/"), ("PUT", "/c/api/v1/account"), ("POST", "/api/v1/account")):
            assert client.request(verb, path, json={"name": f" {verb} Ngọc ", "plan": "owner"}).json() == told | {
                "name": f"{verb} Ngọc"
            }
        assert "name" in refusal(client.patch("/api/v1/account/", json={"name": ""}), 400)
        refusal(client.patch("/api/v1/account/", content="nothing"), 400)


# -- transcripts ---------------------------------------------------------------------------------------


def test_one_transcript(client: httpx.Client, meeting: str) -> None:
    """With its segments; both spellings and the prefix, without a redirect."""
    told = client.get(f"{LIST}{meeting}/").json()
    assert (told["id"], told["title"], told["status"]) == (meeting, "Cuộc họp 会议.mp3", "completed")
    assert (told["language"], told["duration"], told["speakers"], told["engine"]) == ("en", 12.0, 2, "scripted")
    assert told["credits_used"] == 1.0 and told["text"] == " ".join(PLAIN)
    assert [one["text"] for one in told["segments"]] == PLAIN
    assert [one["speaker"] for one in told["segments"]] == ["Speaker 1", "Speaker 2"] * 2
    assert told["segments"][2]["words"] == [{"word": "你好，世界。", "start": 6.0, "end": 6.15}]
    for path in (f"{LIST}{meeting}", f"/c{LIST}{meeting}/", f"/c{LIST}{meeting}"):
        assert client.get(path).json() == told


def test_pages_and_filters(idle: Api) -> None:
    """Newest first; by status, language and day."""
    person, now = idle.person(), time.time()
    ids = [
        keep(idle, person, outcome(language), at=now - age * DAY_S)
        for age, language in ((40, "en"), (3, "vi"), (2, "en"), (1, "en"))
    ]
    waiting = keep(idle, person, None)
    every = [waiting, *reversed(ids)]

    with idle.client(person) as client:

        def found(query: str = "") -> list[str]:
            page = client.get(LIST + query).json()
            assert page["count"] == len(page["results"])
            return [one["id"] for one in page["results"]]

        assert found() == every
        assert found("?status=queued") == [waiting] and found("?status=completed") == every[1:]
        assert found("?status=failed") == found("?status=processing") == []
        assert found("?language=vi") == found("?language=vietnamese&status=completed") == [ids[1]]
        day = datetime.fromtimestamp(now - 3 * DAY_S, UTC).date()
        assert found(f"?date={day}") == [ids[1]] and found(f"?date_to={day}") == [ids[1], ids[0]]
        assert found(f"?date_from={day}") == every[:-1] and found(f"?date_from={day}&date_to={day}") == [ids[1]]
        walked, path = [], f"{LIST}?page_size=2"
        while path:
            page = client.get(path).json()
            assert page["count"] == 5
            walked += [one["id"] for one in page["results"]]
            path = page["next"]
        assert walked == every and page["previous"].endswith("page_size=2&page=2")
        assert client.delete(f"{LIST}{waiting}/").status_code == 204
        for wrong in ("page=0", "page_size=101", "status=done", "language=klingon", "date=yesterday"):
            assert wrong.partition("=")[0] in refusal(client.get(f"{LIST}?{wrong}"), 400)


def test_deleting(idle: Api) -> None:
    """What is deleted is gone, words and all, and still counts towards the month's minutes; what waits is cancelled."""
    person = idle.person("free")
    done, waiting = keep(idle, person, outcome(), seconds=90.0), keep(idle, person, None)
    with idle.client(person) as client:
        for one in (done, waiting):
            assert client.delete(f"{LIST}{one}/").status_code == 204
            refusal(client.get(f"{LIST}{one}/"), 404)
            refusal(client.delete(f"{LIST}{one}/"), 404)
        assert client.get(LIST).json()["results"] == []
        assert client.get("/api/v1/account/").json()["minutes_used"] == 2


def test_transcripts_are_their_owners(idle: Api, client: httpx.Client, meeting: str) -> None:
    """Nobody reads another's; nor is there any to see without a key."""
    with idle.client(idle.person()) as other, idle.client(address="127.0.5.1") as nobody:
        asked = {"question": "a", "type": "topics"}
        for verb, path, body in (
            ("GET", "", None),
            ("DELETE", "", None),
            ("GET", "export/txt/", None),
            ("POST", "chat/", asked),
            ("POST", "analyze/", asked),
            ("POST", "generate/", asked),
        ):
            refusal(other.request(verb, f"{LIST}{meeting}/{path}", json=body), 404)
            refusal(nobody.request(verb, f"{LIST}{meeting}/{path}", json=body), 401)
        assert other.get(LIST).json()["count"] == 0
        for path in (LIST, "/api/v1/account/", "/api/v1/keys/", "/api/v1/usage/", "/api/v1/cloud/"):
            refusal(nobody.get(path), 401)
    assert client.get(f"{LIST}{meeting}/").status_code == 200


# -- files ---------------------------------------------------------------------------------------------


def export(client: httpx.Client, meeting: str, form: str) -> httpx.Response:
    reply = client.get(f"{LIST}{meeting}/export/{form}/")
    assert reply.status_code == 200, reply.text
    assert f'filename="transcript.{form}"' in reply.headers["content-disposition"]
    return reply


def test_text_subtitles_and_json(client: httpx.Client, meeting: str) -> None:
    assert export(client, meeting, "txt").text.splitlines()[0] == f"Speaker 1: {PLAIN[0]}"
    assert "1\n00:00:00,000 --> " in export(client, meeting, "srt").text
    assert "<v Speaker 2>" in export(client, meeting, "vtt").text
    told = export(client, meeting, "json").json()
    assert told.keys() == {"text", "language", "duration", "segments", "speakers"} and len(told["segments"]) == 4


def test_csv(client: httpx.Client, meeting: str) -> None:
    reply = export(client, meeting, "csv")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(reply.content.decode())))
    assert [row["text"] for row in rows] == PLAIN and rows[1]["speaker"] == "Speaker 2" and rows[1]["start"] == "3.000"


def test_word(client: httpx.Client, meeting: str) -> None:
    """Read back: Vietnamese and Chinese as they were said."""
    written = docx.Document(io.BytesIO(export(client, meeting, "docx").content))
    texts = [paragraph.text for paragraph in written.paragraphs]
    assert texts[0] == "Cuộc họp 会议.mp3"
    for text, who in zip(PLAIN, ("Speaker 1", "Speaker 2") * 2, strict=True):
        assert any(one.endswith(f"{who}: {text}") for one in texts)


def test_pdf(client: httpx.Client, meeting: str) -> None:
    """Read back, and with its fonts in it: no reader needs any of its own."""
    written = pypdf.PdfReader(io.BytesIO(export(client, meeting, "pdf").content))
    text = " ".join("".join(page.extract_text() for page in written.pages).split())
    for one in PLAIN:
        assert one in text
    fonts = [font.get_object() for font in written.pages[0]["/Resources"]["/Font"].values()]  # type: ignore[index]
    used = [font for font in fonts if font["/Subtype"] == "/TrueType"]
    assert len(used) >= 2 and all("/FontFile2" in font["/FontDescriptor"] for font in used)


def test_what_cannot_be_exported(idle: Api, client: httpx.Client, meeting: str, ada: Person) -> None:
    assert "docx" in refusal(client.get(f"{LIST}{meeting}/export/doc/"), 400)
    waiting = keep(idle, ada, None)
    assert "queued" in refusal(client.get(f"{LIST}{waiting}/export/txt/"), 409)
    thai = keep(idle, ada, outcome("th", (("สวัสดี", 0),)))
    assert "Thai" in refusal(client.get(f"{LIST}{thai}/export/pdf/"), 400)
    client.delete(f"{LIST}{waiting}/")


# -- questions -----------------------------------------------------------------------------------------


def test_chat(client: httpx.Client, meeting: str) -> None:
    """The document's request and reply; a conversation goes on by its id."""
    reply = client.post(f"{LIST}{meeting}/chat/", json={"question": "How large is the budget for March?"})
    told = reply.json()
    assert reply.status_code == 200 and "twelve thousand" in told["answer"], told
    best = told["sources"][0]
    assert best.keys() == {"segment_order", "text", "score"} and (best["segment_order"], best["text"]) == (1, PLAIN[1])
    again = client.post(
        f"/c{LIST}{meeting}/chat", json={"question": "And who sends the report?", "session_id": told["session_id"]}
    ).json()
    assert again["session_id"] == told["session_id"]
    assert 3 in [one["segment_order"] for one in again["sources"]]
    assert "question" in refusal(client.post(f"{LIST}{meeting}/chat/", json={}), 400)
    assert "session_id" in refusal(
        client.post(f"{LIST}{meeting}/chat/", json={"question": "a", "session_id": "/"}), 400
    )


def test_analyze_and_generate(client: httpx.Client, meeting: str) -> None:
    told = client.post(f"{LIST}{meeting}/analyze/", json={"type": "action_items"}).json()
    assert told["type"] == "action_items" and told["model"] and "Anna" in str(told["result"])
    assert "type" in refusal(client.post(f"{LIST}{meeting}/analyze/", json={"type": "mood"}), 400)
    reply = client.post(f"{LIST}{meeting}/generate/", json={"type": "key_quotes"})
    if reply.status_code == 503:
        assert "voxline models pull" in refusal(reply, 503)
    else:
        assert reply.json()["type"] == "key_quotes" and reply.json()["content"]


# -- keys, usage, clouds -------------------------------------------------------------------------------


def test_keys(idle: Api) -> None:
    """The raw key once; what is revoked opens nothing; nobody revokes another's."""
    person = idle.person()
    with idle.client(person) as client, idle.client(idle.person()) as other:
        reply = client.post("/api/v1/keys/", json={"name": "robot"})
        made = reply.json()
        assert reply.status_code == 201 and made["key"].startswith("sk-ov-") and made["key"].endswith(made["last4"])
        listed = client.get("/api/v1/keys").json()
        assert [one["name"] for one in listed] == ["test", "robot"] and all("key" not in one for one in listed)
        bearer = {"Authorization": f"Bearer {made['key']}"}
        assert client.get("/api/v1/cloud/", headers=bearer).json() == []
        refusal(other.delete(f"/api/v1/keys/{made['id']}/"), 404)
        assert client.delete(f"/c/api/v1/keys/{made['id']}/").status_code == 204
        refusal(client.get("/api/v1/cloud", headers=bearer), 401)
        token = client.post("/v1/tokens").json()["token"]
        refusal(client.post("/api/v1/keys/", json={}, headers={"Authorization": f"Bearer {token}"}), 403)


def test_usage(idle: Api) -> None:
    """Thirty days, by the ledger."""
    person, now = idle.person(), time.time()
    keep(idle, person, outcome(), seconds=90.0)
    keep(idle, person, outcome(), at=now - 2 * DAY_S, seconds=30.0)
    keep(idle, person, outcome(), at=now - 31 * DAY_S)
    with idle.client(person) as client:
        told = client.get("/api/v1/usage/").json()
    assert len(told["days"]) == 30 and told["days"][-1]["date"] == datetime.now(UTC).date().isoformat()
    assert told["days"][-1] | {"date": ""} == {"date": "", "credits": 1.0, "transcriptions": 1, "minutes": 1.5}
    assert told["days"][-3]["minutes"] == 0.5
    assert (told["total_credits"], told["total_transcriptions"], told["total_minutes"]) == (2.0, 2, 2.0)
