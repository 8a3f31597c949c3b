"""A language model behind an OpenAI-compatible address, as far as its clients see: it answers what it was taught."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Messages = list[dict[str, str]]
Answer = Callable[[Messages], str]


class LanguageModel:
    """It runs until ``close``; ``asked`` are the messages of all requests so far."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[Messages] = []
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                model.asked.append(body["messages"])
                message = {"role": "assistant", "content": answer(body["messages"])}
                reply = {"model": "parrot", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
                told = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def language_model(answer: Answer) -> Iterator[LanguageModel]:
    """One that is there for a block."""
    model = LanguageModel(answer)
    try:
        yield model
    finally:
        model.close()
