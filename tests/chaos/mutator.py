"""Small, seeded changes to what is right: the cheapest way to what nobody thought of."""

import json
import random
from collections.abc import Iterator, Sequence

JSON_BYTES = b'{}[]",:0123456789.eE-+truefalsn\\u\xc3\xa0 \x00\xff\xf0\x9f\x98\x80\xed\xa0\x80'
HOSTILE: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 0.0, -0.0, 1e308, -1e308, 5e-324, 1e999, -1e999, 10**30, -(10**400), 2**63,
    8000, 8000.5,
    "", " ", "x", "auto", "stop", "\x00", "\ud800", "\udfff", "\U0010ffff", "\u202e", "x" * 5001, "\u0301" * 400,
    "../..",
    [], [[]], {}, {"": {}}, ["x"] * 200, {"a": {"b": {"c": {}}}}, [None], "NaN", "1e999",
)  # fmt: skip


KEYS = ("", "x", "text", "action", "vad", "speed", "__class__", "\ud800")


def mutated(seeds: Sequence[bytes], count: int, seed: int, alphabet: bytes = JSON_BYTES) -> Iterator[bytes]:
    """``count`` inputs; half of those whose seed is JSON are changed in their structure, all others in their bytes."""
    chance = random.Random(seed)
    trees = [_tree(one) for one in seeds]
    for _ in range(count):
        index = chance.randrange(len(seeds))
        tree = trees[index]
        if tree is not None and chance.random() < 0.5:
            yield json.dumps(_grown(tree, chance)).replace("Infinity", "1e999").encode()
        else:
            yield _spoilt(bytearray(seeds[index]), chance, alphabet)


def _tree(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _grown(value: object, chance: random.Random) -> object:
    """The same tree with other leaves, and here and there a branch less or more."""
    if chance.random() < 0.12:
        return chance.choice(HOSTILE)
    if isinstance(value, dict):
        kept = {key: _grown(item, chance) for key, item in value.items() if chance.random() > 0.06}
        if chance.random() < 0.1:
            kept[chance.choice(KEYS)] = chance.choice(HOSTILE)
        return kept
    if isinstance(value, list):
        return [_grown(item, chance) for item in value for _ in range(chance.choice((0, 1, 1, 1, 1, 2)))]
    return value


def _spoilt(data: bytearray, chance: random.Random, alphabet: bytes) -> bytes:
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(data):
                data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del data[at : at + chance.randint(1, 20)]
            case 3:
                data[at:at] = bytes(chance.choices(alphabet, k=chance.randint(1, 10)))
            case 4:
                data[at:at] = data[: chance.randint(1, 80)]
            case 5:
                del data[at:]
            case _:
                data[at : at + 4] = chance.randbytes(4)
    return bytes(data)
