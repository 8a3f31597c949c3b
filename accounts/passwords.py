"""Passwords: Argon2id at OWASP's minimum, in threads, few at a time since each takes 19 MiB and a core.

A check takes as long for an account that is not there as for one that is, so that a log-in form tells nobody which
addresses have one.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from protocol.errors import Code, VoiceError

T = TypeVar("T")

MIN_LENGTH, MAX_LENGTH = 8, 200
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
_AT_ONCE, _WAITING = 2, 40  # 40 at 20 to 50 ms each: nobody waits for longer than a second or two


class Hasher:
    """Makes and checks password hashes."""

    def __init__(self, *, at_once: int = _AT_ONCE, waiting: int = _WAITING) -> None:
        self._argon2 = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        self._turn = asyncio.Semaphore(at_once)
        self._room = at_once + waiting
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """The hash to store. BAD_REQUEST when the password is too short or too long."""
        check_password(password)
        return await self._take_turn(self._argon2.hash, _bytes(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password of that hash; never for None, after the same work."""
        if len(password) > MAX_LENGTH:
            password = ""
        if not self._nobody:
            self._nobody = await self._take_turn(self._argon2.hash, b"nobody's password")
        right = await self._take_turn(self._matches, stored or self._nobody, _bytes(password))
        return right and bool(stored)

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made at other cost than new ones are."""
        return self._argon2.check_needs_rehash(stored)

    def _matches(self, stored: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _take_turn(self, work: Callable[..., T], *given: str | bytes) -> T:
        if not self._room:
            raise VoiceError(Code.BUSY, "Too many people are logging in; try again in a moment.", retry_after=2)
        self._room -= 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work, *given)
        finally:
            self._room += 1


def check_password(password: str) -> None:
    """BAD_REQUEST unless it may be a password."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        allowed = f"{MIN_LENGTH} to {MAX_LENGTH} characters"
        raise VoiceError(Code.BAD_REQUEST, f"password must have {allowed}.", field="password", allowed=allowed)


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")
