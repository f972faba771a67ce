"""An HTTP server with configurable responses for each path."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from tests import web


class StandIn(ThreadingHTTPServer):
    """`answers` are statuses and documents (or text) by path, or by x-amz-target; `slow` is in seconds."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[str] = []
        self.bodies: list[str] = []
        self.slow = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(web.Handler):
    server: StandIn

    def do_GET(self) -> None:
        name = self.headers.get("x-amz-target") or self.path.partition("?")[0]
        self.server.asked.append(name)
        self.server.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
        time.sleep(self.server.slow)
        status, answer = self.server.answers.get(
            name, (404, {"error": {"code": 404, "message": "Not found"}})
        )
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.answer(status, body, **{"content-type": "application/json"})

    do_POST = do_GET


@contextmanager
def standing_in() -> Iterator[StandIn]:
    with web.serving(StandIn()) as server:
        yield server
