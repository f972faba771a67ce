"""A stand-in for a container registry: manifests, and tokens for whoever asks, as Docker Hub gives them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit


class Registry(ThreadingHTTPServer):
    """`images` are there; `private` ones get no token; `refuses` is a status for every request, or 0."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.images: set[str] = set()
        self.private: set[str] = set()
        self.refuses = 0
        self.seen: list[tuple[str, str]] = []  # method and Authorization

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self.server.seen.append((self.command, self.headers.get("Authorization", "")))
        _, _, rest = self.path.partition("/v2/")
        repository, _, tag = rest.partition("/manifests/")
        if self.server.refuses:
            self._answer(self.server.refuses)
        elif self.headers.get("Authorization") != f"Bearer {repository}":
            realm = f'realm="http://{self.server.host}/token",service="stand-in"'
            challenge = f'Bearer {realm},scope="repository:{repository}:pull"'
            self._answer(401, **{"WWW-Authenticate": challenge})
        else:
            self._answer(200 if f"{repository}:{tag}" in self.server.images else 404)

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.headers.get("Authorization", "")))
        query = parse_qs(urlsplit(self.path).query)
        repository = query["scope"][0].split(":")[1]
        if query["service"] != ["stand-in"] or repository in self.server.private:
            self._answer(401)
        else:
            self._answer(200, json.dumps({"token": repository}).encode())

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def running() -> Iterator[Registry]:
    """A registry on 127.0.0.1 with the images that the settings ask for by default."""
    with Registry() as registry:
        Thread(target=registry.serve_forever, daemon=True).start()
        try:
            yield registry
        finally:
            registry.shutdown()
