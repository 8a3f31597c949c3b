"""Who may use seed C's API (C1, C3)."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from accounts.policy import Plan
from batch.callers import Caller
from batch.transcripts import Transcripts
from batch.visitors import ORIGIN, Visitors
from protocol.errors import Code, VoiceError
from server.api.exchange import Exchange
from server.api.stt_ai_door import Door

MEMBER, VISITOR = Caller(1, Plan()), Caller(2, Plan(), origin="somewhere")


def asking(*headers: tuple[bytes, bytes]) -> Request:
    return Request({"type": "http", "headers": list(headers), "client": ("192.0.2.1", 1)})


KEY = (b"authorization", b"Bearer x")


def door(*, anonymous: bool, visitor: VoiceError | None = None, member: VoiceError | None = None) -> Door:
    """A door where whoever is refused says why."""

    async def caller(request: Request, *, reading: bool = False) -> Caller:
        if "authorization" not in request.headers:
            raise VoiceError(Code.UNAUTHORIZED, "no key")
        return MEMBER

    async def identify(address: str, *, reading: bool = False) -> Caller:
        assert address == "192.0.2.1"
        return VISITOR

    def admit(error: VoiceError | None) -> Any:
        async def admitted(_caller: Caller) -> None:
            if error is not None:
                raise error

        return admitted

    visitors = SimpleNamespace(identify=identify, admit=admit(visitor), check=lambda caller: "of visitors")
    kept = SimpleNamespace(admit=admit(member), check=lambda caller, seconds: f"of {seconds:g} s")
    return Door(
        cast(Exchange, SimpleNamespace(caller=caller)),
        cast(Transcripts, kept),
        cast(Visitors, visitors) if anonymous else None,
    )


async def test_without_a_key() -> None:
    open_, closed = door(anonymous=True), door(anonymous=False)
    assert await open_.caller(asking()) is await open_.listener(asking()) is VISITOR
    assert await open_.caller(asking(KEY)) is await closed.worker(asking(KEY)) is MEMBER
    for ask in (closed.caller, closed.worker, closed.listener):
        with pytest.raises(VoiceError) as caught:
            await ask(asking())
        assert caught.value.code is Code.UNAUTHORIZED


async def test_what_is_against_a_job_is_told_before_anything_is_uploaded() -> None:
    busy, used = VoiceError(Code.TOO_MANY_SESSIONS, "busy"), VoiceError(Code.RATE_LIMITED, "used")
    shut = door(anonymous=True, visitor=busy, member=used)
    for ask in (shut.worker, shut.listener):
        with pytest.raises(VoiceError, match="busy"):
            await ask(asking())
    assert await shut.worker(asking(KEY)) is MEMBER  # only what is transcribed counts towards the minutes
    with pytest.raises(VoiceError, match="used"):
        await shut.listener(asking(KEY))


def test_what_the_job_says_and_what_it_is_checked_by() -> None:
    open_ = door(anonymous=True)
    assert open_.details(MEMBER) == {} and open_.details(VISITOR) == {ORIGIN: "somewhere"}
    checks: list[object] = [open_.check(VISITOR), open_.check(VISITOR, 5.0), open_.check(MEMBER, 5.0)]
    assert checks == ["of visitors", "of visitors", "of 5 s"] and open_.check(MEMBER) is None
