"""Where callbacks arrive."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Mailbox:
    """Takes what is posted to ``url``, and keeps the last of it."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.body: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        box = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                box.headers = {name.lower(): value for name, value in self.headers.items()}
                box.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                box.arrived.set()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"


@contextmanager
def mailboxes() -> Iterator[Mailbox]:
    """One that is open for a block."""
    box = Mailbox()
    thread = threading.Thread(target=box.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield box
    finally:
        box.server.shutdown()
        thread.join()
        box.server.server_close()
