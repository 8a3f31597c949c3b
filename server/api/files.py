"""``GET`` and ``HEAD /audio/{name}``: what was made, to whoever has the name of it (A26).

No key is asked for, so the name is the secret and the answer gives nothing else away: a fixed Content-Type that
browsers must not guess beyond, no scripts, no referrer, subtitles to be saved and not shown.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batch.artifacts import Artifact, Artifacts, Found
from server.api.byte_ranges import ByteRange, Unsatisfiable, parse_range

log = logging.getLogger("voxline.files")

_PIECE_BYTES = 64 * 1024
_CACHED_S = 3600
# Enough for a browser to play sound that is opened as a page of its own, and for nothing else.
_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"


class Files:
    """The route's handler. ``send_deadline_s`` is how long a client may take nothing; ``now`` the time of day."""

    def __init__(self, artifacts: Artifacts, *, now: Callable[[], float], send_deadline_s: float = 10.0) -> None:
        self._artifacts = artifacts
        self._now = now
        self._send_deadline_s = send_deadline_s

    async def get(self, request: Request) -> Response:
        """The file that the path names, or the range of it. Raises NOT_FOUND and GONE."""
        found = await self._artifacts.open(request.path_params["name"])
        try:
            return self._answer(request, found)
        except BaseException:
            found.file.close()
            raise

    async def whole(self, name: str, headers: Mapping[str, str]) -> Response:
        """All of a file, as the reply to the request that waited for its job. Raises NOT_FOUND and GONE."""
        found = await self._artifacts.open(name)
        size = os.fstat(found.file.fileno()).st_size
        told = _headers(found.artifact, self._now()) | {"content-length": str(size), "cache-control": "no-store"}
        del told["etag"], told["accept-ranges"]  # there is nothing to ask for again at this address
        told |= {name.lower(): value for name, value in headers.items()}
        return _FileResponse(found.file, ByteRange(0, size - 1), 200, told, self._send_deadline_s)

    def _answer(self, request: Request, found: Found) -> Response:
        headers = _headers(found.artifact, self._now())
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if known & {headers["etag"], "*"}:
            found.file.close()
            return Response(status_code=304, headers=headers)
        size = os.fstat(found.file.fileno()).st_size
        whole, part = ByteRange(0, size - 1), None
        asked = request.headers.get("range")
        if (
            asked is not None
            and request.method == "GET"
            and request.headers.get("if-range", headers["etag"]) == headers["etag"]
        ):
            try:
                part = parse_range(asked, size)
            except Unsatisfiable:
                found.file.close()
                return Response(status_code=416, headers={"content-range": f"bytes */{size}", "accept-ranges": "bytes"})
        if part is not None:
            headers["content-range"] = f"bytes {part.first}-{part.last}/{size}"
        headers["content-length"] = str((part or whole).size)
        return _FileResponse(found.file, part or whole, 200 if part is None else 206, headers, self._send_deadline_s)


def _headers(artifact: Artifact, now: float) -> dict[str, str]:
    """A file never changes under its name, so its name is its entity tag."""
    shown = artifact.media_type.startswith("audio/")
    return {
        "content-type": artifact.media_type,
        "content-disposition": f'{"inline" if shown else "attachment"}; filename="{artifact.name}"',
        "accept-ranges": "bytes",
        "etag": f'"{artifact.name}"',
        "cache-control": f"private, max-age={max(0, min(_CACHED_S, int(artifact.expires_at - now)))}",
        "content-security-policy": _POLICY,
        "referrer-policy": "no-referrer",
    }


class _FileResponse(Response):
    """A stretch of a file, piece by piece; a client that takes nothing for too long is left."""

    def __init__(
        self, file: BinaryIO, part: ByteRange, status: int, headers: dict[str, str], send_deadline_s: float
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        self._file = file
        self._part = part
        self._send_deadline_s = send_deadline_s

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await self._deliver(
                send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            await self._body(send, 0 if scope["method"] == "HEAD" else self._part.size)
        except (OSError, TimeoutError) as error:
            log.info("a file was not taken to its end", extra={"reason": type(error).__name__})
        finally:
            self._file.close()

    async def _body(self, send: Send, left: int) -> None:
        await asyncio.to_thread(self._file.seek, self._part.first)
        while left:
            piece = await asyncio.to_thread(self._file.read, min(left, _PIECE_BYTES))
            if not piece:
                raise OSError("the file is shorter than it was")
            left -= len(piece)
            await self._deliver(send, {"type": "http.response.body", "body": piece, "more_body": True})
        await self._deliver(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _deliver(self, send: Send, message: dict[str, object]) -> None:
        async with asyncio.timeout(self._send_deadline_s):
            await send(message)
