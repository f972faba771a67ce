"""A fake container registry: manifests, and tokens for everyone, as from Docker Hub."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests import web


class Registry(ThreadingHTTPServer):
    """`images` exist; `private` ones get no token; `refuses` is a status for every request, or 0."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.images: set[str] = set()
        self.private: set[str] = set()
        self.refuses = 0
        self.seen: list[tuple[str, str]] = []  # method and Authorization

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(web.Handler):
    server: Registry

    def do_HEAD(self) -> None:
        self.server.seen.append((self.command, self.headers.get("Authorization", "")))
        _, _, rest = self.path.partition("/v2/")
        repository, _, tag = rest.partition("/manifests/")
        if self.server.refuses:
            self.answer(self.server.refuses)
        elif self.headers.get("Authorization") != f"Bearer {repository}":
            realm = f'realm="http://{self.server.host}/token",service="stand-in"'
            challenge = f'Bearer {realm},scope="repository:{repository}:pull"'
            self.answer(401, **{"WWW-Authenticate": challenge})
        else:
            self.answer(200 if f"{repository}:{tag}" in self.server.images else 404)

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.headers.get("Authorization", "")))
        query = parse_qs(urlsplit(self.path).query)
        repository = query["scope"][0].split(":")[1]
        if query["service"] != ["stand-in"] or repository in self.server.private:
            self.answer(401)
        else:
            self.answer(200, json.dumps({"token": repository}).encode())


@contextmanager
def running() -> Iterator[Registry]:
    """A registry on 127.0.0.1 with the images that the settings name by default."""
    with web.serving(Registry()) as registry:
        yield registry
