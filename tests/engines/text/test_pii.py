"""Private things found in made text: how many of them, and how much else."""

import random
import time

import pytest

from engines.text import pii

SPOKEN = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh"]
FRAMES = [
    "My {} is {}, please write it down.", "You can use {} {} if you like.", "The {}: {}", "so um the {} was {} I think",
    "{}\n{}\nThat is all.", "({} {})", "Cảm ơn, {} của tôi là {}.",
]  # fmt: skip


def luhn(rng: random.Random, prefix: str, length: int) -> str:
    digits = [int(digit) for digit in prefix] + [rng.randrange(10) for _ in range(length - len(prefix) - 1)]
    doubled = [digit if place % 2 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits))]
    return "".join(map(str, digits)) + str(-sum(doubled) % 10)


def iban(rng: random.Random, country: str, length: int) -> str:
    account = "".join(str(rng.randrange(10)) for _ in range(length - 4))
    number = int("".join(str(int(character, 36)) for character in f"{account}{country}00"))
    return f"{country}{98 - number % 97:02d}{account}"


def grouped(text: str, size: int, mark: str) -> str:
    return mark.join(text[at : at + size] for at in range(0, len(text), size))


def digits(rng: random.Random, count: int) -> str:
    return "".join(str(rng.randrange(10)) for _ in range(count))


def private(rng: random.Random) -> tuple[str, str, str]:
    """A kind, what a person calls it, and one."""
    name, other = rng.choice(["ann", "john.smith", "minh_tran", "o-brien"]), rng.choice(["example", "mail", "acme"])
    spoken = " ".join(rng.choice(SPOKEN) for _ in range(9))
    card = luhn(rng, rng.choice(["4", "51", "37", "6011"]), 15 if rng.random() < 0.2 else 16)
    account = iban(rng, *rng.choice([("DE", 22), ("FR", 27), ("GB", 22), ("NL", 18)]))
    return rng.choice([
        ("EMAIL", "address", f"{name}{rng.randrange(99)}@{other}.{rng.choice(['com', 'co.uk', 'vn'])}"),
        ("EMAIL", "address", f"john dot smith at {other} dot com"),
        ("PHONE", "phone", f"+1 ({rng.randrange(201, 989)}) {rng.randrange(200, 999)}-{digits(rng, 4)}"),
        ("PHONE", "number", f"0{rng.choice('35789')}{digits(rng, 8)}"),
        ("PHONE", "number", f"+84 {rng.randrange(90, 99)} {digits(rng, 3)} {digits(rng, 4)}"),
        ("PHONE", "phone", f"{rng.randrange(201, 989)}-{rng.randrange(200, 999)}-{digits(rng, 4)}"),
        ("PHONE", "phone", f"020 7{digits(rng, 3)} {digits(rng, 4)}"),
        ("CARD", "card", card if rng.random() < 0.4 else grouped(card, 4, rng.choice(" -"))),
        ("IBAN", "account", account if rng.random() < 0.5 else grouped(account, 4, " ")),
        ("IP_ADDRESS", "server", ".".join(str(rng.randrange(1, 255)) for _ in range(4))),
        ("IP_ADDRESS", "host", f"2001:db8::{rng.randrange(1, 65535):x}:{rng.randrange(1, 65535):x}"),
        ("SSN", "number", f"{rng.randrange(100, 665)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}"),
        ("MAC_ADDRESS", "device", ":".join(f"{rng.randrange(256):02x}" for _ in range(6))),
        ("SPOKEN_NUMBER", "number", spoken),
    ])  # fmt: skip


def harmless(rng: random.Random) -> tuple[str, str]:
    year = rng.randrange(1950, 2035)
    wrong = luhn(rng, "4", 16)
    wrong = wrong[:-1] + str((int(wrong[-1]) + 3) % 10)
    return rng.choice([
        ("year", str(year)), ("years", f"{year}-{year + 3}"), ("date", f"{year}-{rng.randrange(1, 13):02d}-17"),
        ("price", f"${rng.randrange(1, 999)}.{digits(rng, 2)}"), ("sum", f"{rng.randrange(1, 9)},{digits(rng, 3)},000"),
        ("time", f"{rng.randrange(10, 23)}:{rng.randrange(10, 59)}:30"), ("version", f"{rng.randrange(9)}.30.1"),
        ("order", f"#{rng.randrange(1000, 99999)}"), ("share", f"{rng.randrange(100)}.5%"),
        ("code", f"AB{digits(rng, 5)}"), ("figure", f"{rng.randrange(100, 999)} 000 000"), ("barcode", wrong),
        ("score", f"{rng.randrange(9)}-{rng.randrange(9)}"), ("pi", "3.14159265358979"),
        ("count", "one two three four"), ("people", f"{rng.randrange(2, 99)} million"),
    ])  # fmt: skip


def test_what_is_private_is_found_and_what_is_not_is_left() -> None:
    """C14: of 1,000 private things in made text, and as many figures that are not private."""
    rng = random.Random(5)
    missed, wrong = list[tuple[str, str]](), list[str]()
    for _ in range(1_000):
        kind, called, thing = private(rng)
        text = rng.choice(FRAMES).format(called, thing)
        start = text.index(thing)
        whole = [one for one in pii.find(text) if one.start <= start and one.end >= start + len(thing)]
        if not any(one.kind == kind for one in whole):
            missed.append((kind, text))
        noise = rng.choice(FRAMES).format(*harmless(rng))
        if pii.find(noise):
            wrong.append(noise)
    print(f"missed {len(missed)} of 1000, false alarms {len(wrong)} of 1000: {missed[:5]} {wrong[:5]}")
    assert len(missed) <= 10 and len(wrong) <= 10


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Mail ann@example.com, now.", "Mail [EMAIL], now."),
        ("call 2 4111 1111 1111 1111 today", "call 2 [CARD] today"),
        ("DE89 3704 0044 0532 0130 00 AND MORE", "[IBAN] AND MORE"),
        ("born on 3 May 1980 in Hue", "born on [BIRTH_DATE] in Hue"),
        ("căn cước công dân số 012345678901 nhé", "căn cước công dân số [ID_NUMBER] nhé"),
        ("passport number is C12 34567 ok", "passport number is [ID_NUMBER] ok"),
        ("postgres://app:s3cret@db.example.com/x", "[URL_WITH_PASSWORD]"),
        ("nothing here at all", "nothing here at all"),
    ],
)  # fmt: skip
def test_each_is_replaced_by_its_kind(text: str, redacted: str) -> None:
    assert pii.redact(text)[0] == redacted


@pytest.mark.parametrize("piece", ["1 ", "a.", "a@", "12:", "one ", "9", "AB12 ", "a dot ", "(1) "])
def test_no_text_takes_long(piece: str) -> None:
    """50,000 characters of what patterns could get lost in."""
    began = time.process_time()
    pii.redact(piece * (50_000 // len(piece)))
    assert time.process_time() - began < 4
