"""Two users see nothing of each other's, nobody anything without a key (RELIABILITY X3): every route that wants one."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from accounts.keys import State
from accounts.schema import app_token
from server.accounts import Accounts
from server.api.documents import APIS
from server.api.operations import Operation
from tests.api.serving import Api, Person, settled

APP = "55e0053d-f86f-4c2b-b791-b1ba6d59a868"
NOBODY = "00000000-0000-4000-8000-000000000000"
ROUTES = [
    pytest.param(operation, id=f"{operation.method} {operation.path}")
    for name in "abcd"
    for operation in APIS[name].operations
    if operation.secured and (name != "c" or operation.path.startswith("/api/"))  # the rest of C needs no key (C1)
]


def speech(**more: Any) -> dict[str, Any]:
    body = {"app_id": APP, "callback_url": "https://example.com/", "input_text": "Xin chào"}
    return {**body, "voice_code": "hn_female_ngochuyen_full_48k-fhg", **more}


def path_of(operation: Operation, **ids: str) -> str:
    nobodys = {"job_id": NOBODY, "request_id": NOBODY, "name": "task_x", "id": "1", "format": "srt"}
    return operation.path.format(**{**nobodys, **ids})


@pytest.fixture(scope="module")
def shut_out(api: Api) -> dict[str, str]:
    """Secrets that once opened something."""

    async def make(accounts: Accounts) -> dict[str, str]:
        user_id = api.people[0].user_id
        disabled, key = await accounts.keys.create("x", user_id=user_id)
        await accounts.keys.set_state(key.id, State.DISABLED)
        deleted, key = await accounts.keys.create("x", user_id=user_id)
        await accounts.keys.delete(key.id)
        app, expired = await accounts.apps.create(user_id, "x", 3600)
        async with accounts.store.write() as connection:
            old = update(app_token).where(app_token.c.app_id == app.id).values(expires_at=time.time() - 1)
            await connection.execute(old)
        return {"": "", "disabled": disabled, "deleted": deleted, "expired": expired}

    return api.within(make)


@pytest.mark.parametrize("operation", ROUTES)
def test_nobody_comes_in_without_a_key_that_opens(api: Api, shut_out: dict[str, str], operation: Operation) -> None:
    """Each route from an address of its own, since guessing is slowed down."""
    address = f"127.0.1.{10 + [one.values[0] for one in ROUTES].index(operation)}"
    with api.client(address=address) as client:
        for what, secret in shut_out.items():
            headers = {"Authorization": f"Bearer {secret}"} if secret else {}
            reply = client.request(operation.method, path_of(operation), headers=headers)
            assert reply.status_code == 401, (what, reply.text)
            assert {"detail", "error", "error_code"} & set(reply.json()), reply.text


def test_jobs_voices_and_files_are_their_owners(api: Api, ann: Person, bob: Person, files: Path) -> None:
    with api.client(ann) as mine, api.client(bob) as other, api.client(api.person("owner")) as rich:
        job = mine.post("/api/v1/tts/auto", data={"text": "Hello", "async_mode": "1"}).json()["job_id"]
        request = mine.post("/api/v1/tts", json=speech()).json()["result"]["request_id"]
        settled(mine, f"/api/v1/job/{job}")
        settled(mine, f"/api/v1/tts/{request}")
        for somebody in (other, rich):
            for path in (
                f"/api/v1/job/{job}",
                f"/a/api/v1/job/{job}",
                f"/api/v1/tts/{request}",
                f"/b/api/v1/tts/{request}",
            ):
                assert somebody.get(path).status_code == 404, path
            assert somebody.post(f"/api/v1/job/{job}/cancel").status_code == 404
            assert not {one["id"] for one in somebody.get("/api/v1/voices").json()} & set(ann.voices)
            for reply in (
                somebody.post("/api/v1/tts/saved", data={"text": "a", "voice_id": ann.voices[0]}),
                somebody.post(
                    "/api/v1/tts/dialogue", data={"text": "#MC\na", "char_voice_map": f'{{"MC": {ann.voices[0]}}}'}
                ),
                somebody.post(
                    "/api/v1/srt-to-voice",
                    data={"voice_id": str(ann.voices[0])},
                    files={"srt_file": (files / "subtitles.srt").read_bytes()},
                ),
            ):
                assert reply.status_code == 404, reply.text
                assert reply.json()["field"] == "voice_id"
        assert mine.get(f"/api/v1/tts/{job}").status_code == 404  # nor is a job of one dialect another's
        assert mine.get(f"/api/v1/job/{request}").status_code == 404


def test_an_idempotency_key_is_its_owners(api: Api, ann: Person, bob: Person) -> None:
    ids = set()
    for person in (ann, bob):
        with api.client(person) as client:
            form = {"text": "Hello", "async_mode": "1"}
            ids.add(client.post("/api/v1/tts/auto", data=form, headers={"Idempotency-Key": "same"}).json()["job_id"])
    assert len(ids) == 2


def test_an_app_speaks_for_itself_alone(api: Api) -> None:
    """B2, B3: the token's App and no other; a key of the account for any."""
    person = api.person()

    async def make(accounts: Accounts) -> tuple[str, str]:
        app, token = await accounts.apps.create(person.user_id, "robot", 3600)
        return app.id, token

    app_id, token = api.within(make)
    with api.client() as client:
        bearer = {"Authorization": f"Bearer {token}"}
        other = client.post("/api/v1/tts", json=speech(), headers=bearer)
        assert (other.status_code, other.json()["error_code"]) == (403, "FORBIDDEN")
        own = client.post("/api/v1/tts", json=speech(app_id=app_id), headers=bearer)
        assert own.json()["result"]["app_id"] == app_id
        request_id = own.json()["result"]["request_id"]
        assert client.get(f"/api/v1/tts/{request_id}", headers=bearer).json()["status"] == 1
        assert client.get(f"/api/v1/tts/{request_id}", headers=person.bearer).json()["status"] == 1
        assert client.get("/api/v1/voices", headers=bearer).is_success  # X12: any of them in every dialect
