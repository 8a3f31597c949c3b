"""Secrets with a prefix that says what they are and a checksum that shows a typing error before any look-up.

``sk-ov-`` or ``vt-``, then 32 base62 characters (190 random bits), then the CRC-32 of all that in 6 more.
"""

import hashlib
import string
import zlib
from collections.abc import Callable

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS, CHECK_CHARACTERS = 32, 6


def new_secret(prefix: str, choice: Callable[[str], str]) -> str:
    """A new secret; ``choice`` picks a character, and is ``secrets.choice`` outside tests."""
    body = prefix + "".join(choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return body + _checksum(body)


def well_formed(secret: str, prefix: str) -> bool:
    """Whether it can be one of ours at all."""
    if not secret.startswith(prefix) or not secret.isascii():
        return False
    body, check = secret[:-CHECK_CHARACTERS], secret[-CHECK_CHARACTERS:]
    return len(body) == len(prefix) + RANDOM_CHARACTERS and _checksum(body) == check


def digest(secret: str) -> bytes:
    """What is stored in place of it."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    number, characters = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_CHARACTERS):
        number, index = divmod(number, len(ALPHABET))
        characters = ALPHABET[index] + characters
    return characters
