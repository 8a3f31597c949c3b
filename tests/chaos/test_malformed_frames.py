"""Row S5 where Autobahn is missing: frames no client should send, and strange ones any client may (RFC 6455)."""

import asyncio
import struct
from dataclasses import dataclass

import pytest

from tests.chaos.clients import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, raw
from tests.chaos.conftest import Subject

PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1002, 1007, 1009
CLOSED_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535)  # nobody may send these
OPEN_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
EURO = "\u20ac".encode()


def closing(code: int, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


BAD: dict[str, tuple[bytes, int]] = {
    **{f"reserved bits {bits}": (frame(TEXT, b"{}", reserved=bits), PROTOCOL_ERROR) for bits in range(1, 8)},
    **{f"reserved bits {bits} on a ping": (frame(PING, reserved=bits), PROTOCOL_ERROR) for bits in (1, 4)},
    **{f"opcode {code}": (frame(code, b"x"), PROTOCOL_ERROR) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"not masked, opcode {code}": (frame(code, masked=False), PROTOCOL_ERROR) for code in (1, 2, 8, 9)},
    **{f"close code {code}": (closing(code), PROTOCOL_ERROR) for code in CLOSED_CODES},
    "a close of one byte": (frame(CLOSE, b"\3"), PROTOCOL_ERROR),
    "a close with a reason that is not UTF-8": (closing(1000, b"\xff\xfe"), INVALID_DATA),
    "a close too long": (frame(CLOSE, bytes(126)), PROTOCOL_ERROR),
    "a ping too long": (frame(PING, bytes(126)), PROTOCOL_ERROR),
    "a pong too long": (frame(PONG, bytes(70_000)), PROTOCOL_ERROR),
    "a ping in fragments": (frame(PING, b"a", fin=False) + frame(CONTINUATION, b"b"), PROTOCOL_ERROR),
    "a close in fragments": (frame(CLOSE, b"\3\xe8", fin=False), PROTOCOL_ERROR),
    "an end without a beginning": (frame(CONTINUATION, b"x"), PROTOCOL_ERROR),
    "a middle without a beginning": (frame(CONTINUATION, b"x", fin=False), PROTOCOL_ERROR),
    "a beginning in the middle": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), PROTOCOL_ERROR),
    "sound in the middle of text": (frame(TEXT, b"{", fin=False) + frame(BINARY, b"\0\0"), PROTOCOL_ERROR),
    "text that is not UTF-8": (frame(TEXT, b"\xff"), INVALID_DATA),
    "half a character": (frame(TEXT, EURO[:2]), INVALID_DATA),
    "an overlong character": (frame(TEXT, b"\xc0\xaf"), INVALID_DATA),
    "half a pair": (frame(TEXT, b"\xed\xa0\x80"), INVALID_DATA),
    "beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), INVALID_DATA),
    "half a character at the end of fragments": (
        frame(TEXT, EURO, fin=False) + frame(CONTINUATION, EURO[:1]), INVALID_DATA,
    ),
    "a length of 2**63": (frame(BINARY, length=1 << 63), TOO_BIG),
    "a length of 2**40": (frame(BINARY, length=1 << 40), TOO_BIG),
    "a byte too many": (frame(BINARY, length=256 * 1024 + 1), TOO_BIG),
    "compressed, though never agreed on": (frame(BINARY, b"\x00", reserved=4), PROTOCOL_ERROR),
}  # fmt: skip

STRANGE: dict[str, bytes] = {
    "an empty ping": frame(PING),
    "a ping as long as it may be": frame(PING, bytes(125)),
    "a pong nobody asked for": frame(PONG, b"hello"),
    "a ping between fragments": (
        frame(TEXT, b'{"action":', fin=False) + frame(PING, b"x") + frame(CONTINUATION, b'"keepalive"}')
    ),
    "empty fragments": frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION),
    "a character in two fragments": frame(TEXT, b'{"x":"\xe2', fin=False) + frame(CONTINUATION, b'\x82\xac"}'),
    "an empty text": frame(TEXT),
    "an empty binary": frame(BINARY),
    "a length that could be shorter": b"\x82\xfe\x00\x02\0\0\0\0xx",
}

PATHS = ("/v1/stream", "/v1/stream/tts")


@dataclass(frozen=True, slots=True)
class Sent:
    """How bytes are put on the wire: whole, or one at a time."""

    bytewise: bool

    def pieces(self, data: bytes) -> list[bytes]:
        """In the order they go."""
        return [data[at : at + 1] for at in range(len(data))] if self.bytewise and len(data) < 500 else [data]


async def ended_with(subject: Subject, path: str, data: bytes, sent: Sent, *, configured: bool) -> int:
    """The close code that follows such bytes, in the first message or later."""
    async with raw(subject.world.host, subject.world.port, path) as client:
        if configured:
            await client.ready()
        for piece in sent.pieces(data):
            await client.send(piece)
        return await client.close_code()


@pytest.mark.parametrize("sent", [Sent(False), Sent(True)], ids=["whole", "bytewise"])
async def test_what_breaks_the_protocol_ends_the_connection_with_its_code(subject: Subject, sent: Sent) -> None:
    cases = [(name, path, first) for name in BAD for path in PATHS for first in (True, False)]
    codes = await asyncio.gather(
        *(ended_with(subject, path, BAD[name][0], sent, configured=not first) for name, path, first in cases)
    )
    wrong = {
        (name, path, "first" if first else "later"): (code, BAD[name][1])
        for (name, path, first), code in zip(cases, codes, strict=True)
        if code != BAD[name][1]
    }
    assert not wrong, wrong


async def test_what_is_strange_and_allowed_ends_nothing(subject: Subject) -> None:
    async def survives(data: bytes, sent: Sent) -> bool:
        async with raw(subject.world.host, subject.world.port, "/v1/stream") as client:
            await client.ready()
            for piece in sent.pieces(data):
                await client.send(piece)
            await client.send(frame(PING, b"are you there?"))
            while (payload := await client.until(PONG)) not in (b"are you there?", None):
                pass
            return payload is not None

    cases = [(name, sent) for name in STRANGE for sent in (Sent(False), Sent(True))]
    alive = await asyncio.gather(*(survives(STRANGE[name], sent) for name, sent in cases))
    assert all(alive), [name for (name, _), here in zip(cases, alive, strict=True) if not here]


async def test_a_close_is_echoed(subject: Subject) -> None:
    async def echoed(code: int) -> int:
        async with raw(subject.world.host, subject.world.port, "/v1/stream") as client:
            await client.send(closing(code, "au revoir \u20ac".encode()))
            return await client.close_code()

    assert await asyncio.gather(*map(echoed, OPEN_CODES)) == list(OPEN_CODES)


async def test_nothing_is_read_after_a_close(subject: Subject) -> None:
    async with raw(subject.world.host, subject.world.port, "/v1/stream") as client:
        await client.send(closing(1000) + frame(TEXT, b"{}") + frame(PING, b"x"))
        assert await client.receive() == (CLOSE, struct.pack("!H", 1000))
        assert await client.close_code() == 1006  # and no frame more
