"""A hub on this machine: real HTTP, ranges, and the ways in which transfers fail."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

FILES = {
    "model.bin": bytes(range(256)) * 4000,
    "config.json": b"{}",
    "tokenizer.json": b'{"tokens": []}',
    "vocabulary.txt": b"a\nb\n",
    "README.md": b"not wanted",
    "../escape.json": b"not wanted either",
}
LARGE = "model.bin"
REVISION = "0123abcd" * 5


@dataclass(slots=True)
class StandIn:
    """What the hub holds and how it behaves; all of it may be changed while it runs."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    breaks: list[int] = field(default_factory=list)  # bytes after which each of the next transfers of LARGE breaks off
    ranges: bool = True
    wrong: set[str] = field(default_factory=set)  # files that are not what their checksum says
    status: int = 200
    asked: list[str] = field(default_factory=list)  # "name" or "name from-"
    address: str = ""

    def listing(self, repository: str) -> dict[str, object]:
        """The document of the API, as the hub writes it."""
        siblings = []
        for name, content in self.files.items():
            row: dict[str, object] = {"rfilename": name, "size": len(content)}
            row["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if name == LARGE:
                row["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            siblings.append(row)
        return {"id": repository, "sha": REVISION, "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    hub: StandIn

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        listing = re.match(r"/api/models/([^/]+/[^/]+)/revision/main\?blobs=true$", self.path)
        file = re.match(rf"/[^/]+/[^/]+/resolve/{REVISION}/(.+)$", self.path)
        if self.hub.status != 200:
            self.send_error(self.hub.status)
        elif listing:
            self._send(200, json.dumps(self.hub.listing(listing[1])).encode(), {})
        elif file and file[1] in self.hub.files:
            self._send_file(file[1])
        else:
            self.send_error(404)

    def _send_file(self, name: str) -> None:
        content = self.hub.files[name]
        if name in self.hub.wrong:
            content = bytes([content[0] ^ 1]) + content[1:]
        asked = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and self.hub.ranges else 0
        self.hub.asked.append(f"{name} {asked[1]}-" if asked else name)
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        cut = self.hub.breaks.pop(0) if name == LARGE and self.hub.breaks else None
        self._send(206 if start else 200, content[start:], headers, cut)

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Not on the tests' output."""


@contextmanager
def hub_server() -> Iterator[StandIn]:
    """The stand-in, running."""
    hub = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
