"""HTTP servers on 127.0.0.1 for tests."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from threading import Thread
from typing import TypeVar

AnyServer = TypeVar("AnyServer", bound=HTTPServer)


class Handler(BaseHTTPRequestHandler):
    """Logs no requests, and sends Content-Length."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(server: AnyServer, tls: ssl.SSLContext | None = None) -> Iterator[AnyServer]:
    """It answers inside the block; with `tls`, by HTTPS."""
    with server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def on_loopback(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """On any free port."""
    return ThreadingHTTPServer(("127.0.0.1", 0), handler)
