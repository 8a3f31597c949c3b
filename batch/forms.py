"""Forms with files, read as they arrive: fields into memory, files onto the disk, each under its cap (X8).

What a form may hold is fixed by its route. Anything beyond is refused where it begins: the first field too many, the
first byte over a cap, a Content-Length that is too large before any of the body was read.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header

from batch.form_limits import FormLimits, refused, too_large
from batch.form_parts import FormParts
from batch.uploads import Upload, Uploads

MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"

_FEED_BYTES = 256 * 1024  # what is gathered before a thread parses and writes it
_OVERHEAD_BYTES = 64 * 1024  # boundaries and headers of parts
_ESCAPED = 3  # how much longer a byte is in a urlencoded form


@dataclass(frozen=True, slots=True)
class Form:
    """What a form held, by the names of its fields. A file field left empty in a browser is in neither."""

    fields: Mapping[str, str]
    files: Mapping[str, Upload]


@asynccontextmanager
async def read_form(
    headers: Mapping[str, str], stream: AsyncIterable[bytes], limits: FormLimits, uploads: Uploads
) -> AsyncIterator[Form]:
    """Read the form of a request whose header names are in lower case, and give it to the block within.

    After the block its files are removed, but for those that were kept (``Uploads.kept``). Raises BAD_REQUEST and
    TOO_LARGE with ``field``, and STORAGE_FULL. A body that was refused has not been read to its end.
    """
    kind, options = parse_options_header(headers.get("content-type", ""))
    declared = _declared(headers.get("content-length"))
    if kind == URLENCODED.encode():
        yield await _read_urlencoded(declared, stream, limits)
    elif kind == MULTIPART.encode():
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise refused("The Content-Type of a multipart form must name its boundary.", "Content-Type")
        parts = FormParts(boundary, limits, uploads)
        try:
            await _read_multipart(declared, stream, limits, uploads, parts)
            yield Form(parts.fields, parts.files)
        finally:
            await asyncio.to_thread(parts.abandon)
    elif declared == 0 or not (kind or declared):
        yield Form({}, {})
    else:
        raise refused(f"The body must be a form ({MULTIPART}).", "Content-Type", allowed=[MULTIPART, URLENCODED])


def _declared(length: str | None) -> int | None:
    if length is None:
        return None
    if not (length.isascii() and length.isdigit()):
        raise refused("Content-Length is not a number of bytes.", "Content-Length")
    return int(length[:18])


async def _read_multipart(
    declared: int | None, stream: AsyncIterable[bytes], limits: FormLimits, uploads: Uploads, parts: FormParts
) -> None:
    """Bytes are gathered, then parsed and written in a thread, so that no slow disk holds up the loop."""
    cap = limits.files_bytes + limits.text_bytes + _OVERHEAD_BYTES
    if declared is not None:
        if declared > cap:
            raise too_large("The body", cap)
        await asyncio.to_thread(uploads.check_room, declared)
    held, total = bytearray(), 0
    async for piece in stream:
        total += len(piece)
        held += piece
        if len(held) >= _FEED_BYTES or total > cap:
            await asyncio.to_thread(parts.feed, bytes(held))  # which knows of what there is too much
            held.clear()
        if total > cap:
            raise too_large("The body", cap)
    if held:
        await asyncio.to_thread(parts.feed, bytes(held))
    parts.finish()


async def _read_urlencoded(declared: int | None, stream: AsyncIterable[bytes], limits: FormLimits) -> Form:
    cap = limits.text_bytes * _ESCAPED
    if declared is not None and declared > cap:
        raise too_large("The body", cap)
    body = bytearray()
    async for piece in stream:
        body += piece
        if len(body) > cap:
            raise too_large("The body", cap)
    if body.count(b"&") >= limits.fields:
        raise refused(f"A form may have {limits.fields} fields here.", maximum=limits.fields)
    try:
        pairs = parse_qsl(bytes(body).decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise refused("The form is not UTF-8, or not escaped.") from None
    if sum(len(name.encode()) + len(value.encode()) for name, value in pairs) > limits.text_bytes:
        raise too_large("The body", limits.text_bytes)
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise refused(f"{name} is given twice.", name)
        if name in limits.files:
            raise refused(f"{name} must be a file, in a {MULTIPART} form.", name)
        fields[name] = value
    return Form(fields, {})
