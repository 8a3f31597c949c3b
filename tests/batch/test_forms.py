"""Forms as browsers and libraries send them, forms nobody should send (X8), and what stays on the disk: nothing."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from accounts.store import Store
from batch.disk import Watermark
from batch.form_limits import FileCap, FormLimits, is_video
from batch.forms import Form, read_form
from batch.uploads import Uploads
from protocol.errors import Code, VoiceError
from tests.batch.clocks import Clock
from tests.batch.disks import grow, small_disk

KIB, MIB = 1024, 1024 * 1024
LIMITS = FormLimits({"audio_file": FileCap(100 * KIB, video=200 * KIB), "ref_audio": FileCap(100 * KIB)})
PROMPTLY_S = 0.2  # X8; measured as CPU time, so that a busy machine does not fail the test


def uploads_in(directory: Path) -> Uploads:
    store = Store.__new__(Store)  # receiving asks no store
    return Uploads(directory, store, now=Clock(), choice=secrets.choice, watermark=Watermark(0, 0, 0))


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[Uploads]:
    """Whatever a test did, no file is left."""
    directory = tmp_path / "uploads"
    yield uploads_in(directory)
    assert not [path for path in directory.rglob("*") if path.is_file()]


async def pieces(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


def request(**given: object) -> tuple[dict[str, str], bytes]:
    """The headers and the body a real client sends."""
    made = httpx.Request("POST", "http://test/", **given)  # type: ignore[arg-type]
    return dict(made.headers), made.read()


async def refusal(
    uploads: Uploads, headers: dict[str, str], body: bytes, limits: FormLimits = LIMITS, size: int = 1000
) -> VoiceError:
    began = time.process_time()
    with pytest.raises(VoiceError) as caught:
        async with read_form(headers, pieces(body, size), limits, uploads):
            raise AssertionError("it was accepted")
    assert time.process_time() - began < PROMPTLY_S
    return caught.value


def part(disposition: str, value: bytes = b"x", *more: str) -> bytes:
    head = "\r\n".join([f"Content-Disposition: {disposition}", *more])
    return b"--B\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


MULTIPART = {"content-type": "multipart/form-data; boundary=B"}
END = b"--B--\r\n"


# -- as they should be -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
async def test_fields_and_a_file_however_the_body_is_cut(uploads: Uploads, size: int) -> None:
    sound = secrets.token_bytes(20_000) + b"\r\n--" + secrets.token_bytes(20_000)
    headers, body = request(data={"language": "vietnamese", "text": "Xin chào"}, files={"audio_file": ("a.mp3", sound)})
    if size == 1:
        sound = b"\r\n--short\r\n"
        headers, body = request(
            data={"language": "vietnamese", "text": "Xin chào"}, files={"audio_file": ("a.mp3", sound)}
        )
    async with read_form(headers, pieces(body, size), LIMITS, uploads) as form:
        assert form.fields == {"language": "vietnamese", "text": "Xin chào"}
        upload = form.files["audio_file"]
        assert (upload.filename, upload.size, upload.head) == ("a.mp3", len(sound), sound[:4096])
        assert upload.path.read_bytes() == sound
    assert not upload.path.exists()


async def test_a_file_that_is_kept_outlives_its_form(uploads: Uploads) -> None:
    headers, body = request(files={"audio_file": ("a.mp3", b"sound"), "ref_audio": ("b.mp3", b"more")})
    async with read_form(headers, pieces(body), LIMITS, uploads) as form, uploads.kept(form.files["ref_audio"].name):
        name = form.files["ref_audio"].name
    assert uploads.path(name).read_bytes() == b"more"
    await uploads.remove(name)


async def test_a_urlencoded_form(uploads: Uploads) -> None:
    headers, body = request(data={"text": "Xin chào & tạm biệt", "empty": ""})
    async with read_form(headers, pieces(body, 3), LIMITS, uploads) as form:
        assert form == Form({"text": "Xin chào & tạm biệt", "empty": ""}, {})


async def test_no_body_is_an_empty_form(uploads: Uploads) -> None:
    async with read_form({}, pieces(b""), LIMITS, uploads) as form:
        assert form == Form({}, {})
    async with read_form({"content-length": "0"}, pieces(b""), LIMITS, uploads) as form:
        assert form == Form({}, {})


async def test_a_file_field_left_empty_in_a_browser_is_no_file(uploads: Uploads) -> None:
    body = part('form-data; name="audio_file"; filename=""', b"", "Content-Type: application/octet-stream") + END
    async with read_form(MULTIPART, pieces(body), LIMITS, uploads) as form:
        assert form == Form({}, {})


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ('filename="tiếng Việt.mp3"', "tiếng Việt.mp3"),
        ("filename*=utf-8''ti%E1%BA%BFng%20Vi%E1%BB%87t.mp3", "tiếng Việt.mp3"),  # urllib3 1.x, so older requests
        ('filename="C:\\Users\\me\\song.mp3"', "song.mp3"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="a\x00b\x1b[31m.mp3"', "ab[31m.mp3"),
        ('filename="' + "x" * 1000 + '.mp3"', "x" * 251 + ".mp3"),
        ('filename="a\\"b;c.mp3"', 'a"b;c.mp3'),
    ],
)
async def test_the_name_of_a_file_is_its_last_step(uploads: Uploads, parameter: str, name: str) -> None:
    body = part(f'form-data; name="audio_file"; {parameter}') + END
    async with read_form(MULTIPART, pieces(body), LIMITS, uploads) as form:
        assert form.files["audio_file"].filename == name


VIDEOS = ["a.mp4", "a.MOV", "a.mkv", "a.webm", "a.avi", "a.flv", "a.wmv", "a.m4v", "a.3gp", "a.mpg", "a.b.mpeg", "x.ts"]


@pytest.mark.parametrize("name", VIDEOS)
def test_video_by_its_name(name: str) -> None:
    """A34."""
    assert is_video(name)


@pytest.mark.parametrize("name", ["", "mp4", "a.mp3", "mp4.wav", "a.mp4.ogg", "a.mp4 ", "a.m4a", "a.ogg", "a."])
def test_sound_by_its_name(name: str) -> None:
    assert not is_video(name)


async def test_video_may_be_larger_than_sound(uploads: Uploads) -> None:
    """A42: 50 MB and 100 MB; told by the name, while the file arrives."""
    headers, body = request(files={"audio_file": ("a.mp4", bytes(150 * KIB))})
    async with read_form(headers, pieces(body), LIMITS, uploads) as form:
        assert form.files["audio_file"].size == 150 * KIB
    headers, body = request(files={"audio_file": ("a.mp3", bytes(150 * KIB))})
    error = await refusal(uploads, headers, body)
    assert (error.code, error.facts) == (Code.TOO_LARGE, {"field": "audio_file", "maximum": 100 * KIB})


# -- X8: as nobody should send them ------------------------------------------------------------------


def many(count: int) -> bytes:
    return b"".join(part(f'form-data; name="f{number}"') for number in range(count)) + END


@pytest.mark.parametrize(
    ("headers", "body", "code", "field"),
    [
        (MULTIPART, many(10_001), Code.BAD_REQUEST, None),
        (MULTIPART, part('form-data; name="text"', bytes(10 * MIB)) + END, Code.TOO_LARGE, "text"),
        (MULTIPART, part('form-data; name="' + "n" * 300_000 + '"') + END, Code.BAD_REQUEST, None),
        ({"content-type": "multipart/form-data"}, many(1), Code.BAD_REQUEST, "Content-Type"),
        ({"content-type": "multipart/form-data; boundary="}, many(1), Code.BAD_REQUEST, "Content-Type"),
        ({"content-type": "multipart/form-data; boundary=" + "b" * 1000}, many(1), Code.BAD_REQUEST, None),
        (MULTIPART, b"", Code.BAD_REQUEST, None),
        (MULTIPART, b"--B", Code.BAD_REQUEST, None),
        (MULTIPART, b"no form at all", Code.BAD_REQUEST, None),
        (MULTIPART, part('form-data; name="a"'), Code.BAD_REQUEST, None),
        (MULTIPART, part('form-data; name="a"') + b"--B", Code.BAD_REQUEST, None),
        (MULTIPART, 2 * part('form-data; name="text"') + END, Code.BAD_REQUEST, "text"),
        (MULTIPART, 2 * part('form-data; name="audio_file"; filename="a.mp3"') + END, Code.BAD_REQUEST, "audio_file"),
        (MULTIPART, part('form-data; name="other"; filename="a.mp3"') + END, Code.BAD_REQUEST, "other"),
        (MULTIPART, part('form-data; name="audio_file"') + END, Code.BAD_REQUEST, "audio_file"),
        (MULTIPART, part("form-data") + END, Code.BAD_REQUEST, None),
        (MULTIPART, part('attachment; name="a"') + END, Code.BAD_REQUEST, None),
        (MULTIPART, b"--B\r\n\r\nx\r\n" + END, Code.BAD_REQUEST, None),
        (MULTIPART, b"--B\r\nContent-Disposition\r\n\r\nx\r\n" + END, Code.BAD_REQUEST, None),
        (MULTIPART, part('form-data; name="a"', b"\xff\xfe") + END, Code.BAD_REQUEST, "a"),
        (MULTIPART, b"--B\r\n" + b"X-A: b\r\n" * 1000 + b"\r\nx\r\n" + END, Code.BAD_REQUEST, None),
        (MULTIPART, b"--B\r\nX-A: " + bytes(1 * MIB) + b"\r\n\r\nx\r\n" + END, Code.BAD_REQUEST, None),
        (
            MULTIPART,
            part('form-data; name="a"', b"eA==", "Content-Transfer-Encoding: base64") + END,
            Code.BAD_REQUEST,
            "a",
        ),
        ({**MULTIPART, "content-length": "-1"}, many(1), Code.BAD_REQUEST, "Content-Length"),
        ({**MULTIPART, "content-length": "１２"}, many(1), Code.BAD_REQUEST, "Content-Length"),
        ({**MULTIPART, "content-length": "9" * 5000}, many(1), Code.TOO_LARGE, "The body"),
        ({**MULTIPART, "content-length": str(50 * MIB)}, many(1), Code.TOO_LARGE, "The body"),
        ({"content-type": "application/json"}, b"{}", Code.BAD_REQUEST, "Content-Type"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1&a=2", Code.BAD_REQUEST, "a"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"audio_file=x", Code.BAD_REQUEST, "audio_file"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=%ff", Code.BAD_REQUEST, None),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=\xff", Code.BAD_REQUEST, None),
        ({"content-type": "application/x-www-form-urlencoded"}, b"&" * 50_000, Code.BAD_REQUEST, None),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=" + bytes(MIB), Code.TOO_LARGE, "The body"),
    ],
)
async def test_abuse_is_refused_at_once_and_by_name(
    uploads: Uploads, headers: dict[str, str], body: bytes, code: Code, field: str | None
) -> None:
    error = await refusal(uploads, headers, body, size=64 * KIB)
    assert error.code is code
    assert error.facts.get("field") == field


async def test_a_chunked_body_beyond_every_cap_is_cut_off(uploads: Uploads) -> None:
    """Nothing says how long it is, and what comes after the last boundary counts too."""
    limits = FormLimits({"audio_file": FileCap(10 * KIB)}, text_bytes=KIB)
    error = await refusal(uploads, MULTIPART, part('form-data; name="a"') + END + bytes(10 * MIB), limits, 64 * KIB)
    assert (error.code, error.facts["field"]) == (Code.TOO_LARGE, "The body")


@pytest.mark.parametrize("size", [KIB, 64 * KIB, 4 * MIB])
async def test_a_file_beyond_its_cap_is_named_however_much_comes_at_once(uploads: Uploads, size: int) -> None:
    body = part('form-data; name="audio_file"; filename="a.mp3"', bytes(3 * MIB))
    error = await refusal(uploads, MULTIPART, body, size=size)
    assert error.facts == {"field": "audio_file", "maximum": 100 * KIB}


async def test_ten_thousand_urlencoded_fields(uploads: Uploads) -> None:
    body = urlencode({f"f{number}": "x" for number in range(10_001)}).encode()
    error = await refusal(uploads, {"content-type": "application/x-www-form-urlencoded"}, body)
    assert error.facts == {"maximum": 32}


async def test_a_client_that_goes_away_leaves_nothing(uploads: Uploads, tmp_path: Path) -> None:
    async def vanishing() -> AsyncIterator[bytes]:
        yield part('form-data; name="audio_file"; filename="a.mp4"', bytes(150 * KIB))[:-2]
        yield bytes(40 * KIB)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        async with read_form(MULTIPART, vanishing(), LIMITS, uploads):
            raise AssertionError("it was accepted")


async def test_a_request_that_is_cancelled_leaves_nothing(uploads: Uploads) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield part('form-data; name="audio_file"; filename="a.mp4"', bytes(150 * KIB))
        yield part('form-data; name="ref_audio"; filename="a.mp3"', bytes(90 * KIB))
        begun.set()
        await asyncio.Event().wait()

    async def read() -> None:
        async with read_form(MULTIPART, endless(), LIMITS, uploads):
            raise AssertionError("it was accepted")

    task = asyncio.ensure_future(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_disk_that_fills_up_is_said_and_more_room_lets_the_next_one_in(tmp_path: Path) -> None:
    """R6."""
    limits = FormLimits({"audio_file": FileCap(4 * MIB)})
    headers, body = request(files={"audio_file": ("a.mp3", bytes(2 * MIB))})
    with small_disk(tmp_path / "disk", 600) as disk:
        uploads = uploads_in(disk)
        chunked = {name: value for name, value in headers.items() if name != "content-length"}
        error = await refusal(uploads, chunked, body, limits, 64 * KIB)
        assert (error.code, error.facts) == (Code.STORAGE_FULL, {"retry_after": 60})
        error = await refusal(uploads, headers, body, limits, 64 * KIB)
        assert error.code is Code.STORAGE_FULL
        assert not [path for path in disk.rglob("*") if path.is_file()]
        grow(disk, 8000)
        async with read_form(headers, pieces(body, 64 * KIB), limits, uploads) as form:
            assert form.files["audio_file"].size == 2 * MIB


# -- F1: anything at all -----------------------------------------------------------------------------


def mutants(count: int) -> Iterator[tuple[dict[str, str], bytes]]:
    rng = random.Random(8)
    fields = {"text": "Xin chào", "language": "auto"}
    seeds = [request(data=fields, files={"audio_file": ("a.mp3", b"\r\n--" * 20)}), request(data=fields)]
    pieces = [b"\r\n", b"--", b"\x00", b"\xff", b'"', b";", b"=", b"&", b"%", b":", b"\r\n\r\n", b"name", b"filename*="]
    for _ in range(count):
        headers, body = rng.choice(seeds)
        damaged = bytearray(body)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(damaged) + 1)
            match rng.randrange(3):
                case 0:
                    damaged[at:at] = rng.choice(pieces)
                case 1:
                    del damaged[at : at + rng.randint(1, 20)]
                case _:
                    damaged[at : at + 1] = bytes([rng.randrange(256)])
        yield {"content-type": headers["content-type"]}, bytes(damaged)


async def mutated(uploads: Uploads, count: int) -> None:
    accepted = 0
    for headers, body in mutants(count):
        try:
            async with read_form(headers, pieces(body, 4096), LIMITS, uploads):
                accepted += 1
        except VoiceError as error:
            assert error.code in (Code.BAD_REQUEST, Code.TOO_LARGE)
    assert 0 < accepted < count


async def test_damaged_forms_end_in_a_form_or_a_typed_error(uploads: Uploads) -> None:
    """F1."""
    await mutated(uploads, 2_000)


@pytest.mark.nightly
async def test_very_many_damaged_forms(uploads: Uploads) -> None:
    """F1."""
    await mutated(uploads, 300_000)
