"""Passwords: hashed at OWASP's cost, few at a time, and the same work for nobody's account."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from accounts.passwords import Hasher, check_password
from protocol.errors import Code, VoiceError


async def test_a_hash_knows_its_password_and_no_other() -> None:
    hasher = Hasher()
    stored = await hasher.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")  # RELIABILITY section 2: OWASP's minimum
    assert await hasher.verify(stored, "correct horse")
    for wrong in ("correct horsf", "", "correct horse ", "x" * 500, "\ud800" * 10):
        assert not await hasher.verify(stored, wrong)
    assert await hasher.hash("correct horse") != stored and not hasher.outdated(stored)


async def test_nobody_has_no_password_and_a_broken_hash_opens_nothing() -> None:
    hasher = Hasher()
    assert not await hasher.verify(None, "nobody's password")
    assert not await hasher.verify("", "nobody's password")
    assert not await hasher.verify("$argon2id$broken", "anything at all")


async def test_an_unknown_account_takes_the_work_of_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = Hasher()
    stored = await hasher.hash("correct horse")
    await hasher.verify(None, "to have the dummy made")
    matches = Mock(wraps=hasher._matches)
    monkeypatch.setattr(hasher, "_matches", matches)
    for account in (stored, None):
        await hasher.verify(account, "wrong password")
    costs = [call.args[0].rsplit("$", 2)[0] for call in matches.call_args_list]
    assert costs == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2


@pytest.mark.parametrize("password", ["", "7 chars", "x" * 201])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(VoiceError) as caught:
        check_password(password)
    assert caught.value.code is Code.BAD_REQUEST and caught.value.facts["field"] == "password"


async def test_few_are_worked_on_at_once_and_a_crowd_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 19 MiB: a flood of log-ins must not take the machine's memory."""
    hasher = Hasher(at_once=2, waiting=3)
    running, most, go_on = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow(_: bytes) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go_on.wait(20)
        with lock:
            running -= 1
        return "hash"

    monkeypatch.setattr(hasher, "_argon2", _Argon2(slow))
    crowd = [asyncio.ensure_future(hasher.hash("a long password")) for _ in range(9)]
    refused, _ = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    while len(refused) < 4:
        refused, _ = await asyncio.wait(crowd, timeout=0.05)
    go_on.set()
    answers = await asyncio.gather(*crowd, return_exceptions=True)
    busy = [answer for answer in answers if isinstance(answer, VoiceError)]
    assert len(busy) == 4 and {error.code for error in busy} == {Code.BUSY} and busy[0].facts["retry_after"]
    assert answers.count("hash") == 5 and most == 2


class _Argon2:
    def __init__(self, hash: Callable[[bytes], str]) -> None:
        self.hash: Any = hash
