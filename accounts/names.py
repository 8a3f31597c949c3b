"""What people type to name things: names and addresses as they are kept, and numbers that can be an id at all."""

import re
import unicodedata

from protocol.errors import Code, VoiceError

_EMAIL = re.compile(r"[^\s@,;<>\"()\[\]\\]{1,64}@[^\s@,;<>\"()\[\]\\]{1,189}")


def clean_name(text: str, longest: int = 100) -> str:
    """A name for something of a user's: normalised, without control characters and the space around it, cut."""
    printable = "".join(mark for mark in unicodedata.normalize("NFC", text) if mark.isprintable())
    return printable.strip()[:longest].rstrip()


def clean_email(text: str) -> str:
    """An address as accounts are found by: lower case. BAD_REQUEST when it cannot be one."""
    address = unicodedata.normalize("NFC", text.strip()).lower()
    if not address.isprintable() or not _EMAIL.fullmatch(address):
        raise VoiceError(Code.BAD_REQUEST, "email must be an e-mail address.", field="email")
    return address


def possible_id(number: int) -> bool:
    """Whether a row can have it: no database takes a number of any length."""
    return 0 < number < 2**31
