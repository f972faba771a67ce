"""An API server on 127.0.0.1 with a pod in every namespace: its log, and programs that run in it.

Kubernetes' own needs a node for that. Exec as in v5.channel.k8s.io: a channel's number before each message.
https://kubernetes.io/blog/2024/08/20/websockets-transition/
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

_CORE = {"name": "pods", "singularName": "pod", "kind": "Pod", "namespaced": True, "shortNames": ["po"]}
_APPS = {
    "name": "deployments",
    "singularName": "deployment",
    "kind": "Deployment",
    "namespaced": True,
    "shortNames": ["deploy"],
}
_VERSION = {"groupVersion": "apps/v1", "version": "v1"}
_GROUP = {"name": "apps", "versions": [_VERSION], "preferredVersion": _VERSION}
_READY = {"conditions": [{"type": "Ready", "status": "True"}]}
_CONTAINERS = [{"name": "main"}, {"name": "istio-proxy"}]


class PodsServer:
    """The logs and exec results of its pods, by namespace, and the requests that it got."""

    def __init__(self) -> None:
        self.logs: dict[str, str] = {}
        self.asked: list[str] = []  # namespaces whose logs were read
        self.started: list[tuple[str, list[str]]] = []  # container and command of each program
        self.away = 0  # how many of the next requests get a 503
        self.loses_input = 0  # how many of the next programs get no standard input
        self.files: dict[str, bytes] = {}  # what `sh -c "cat > …"` wrote
        self.url = ""


class _Api(RequestHandler):
    server: PodsServer

    def initialize(self, server: PodsServer) -> None:
        self.server = server

    def prepare(self) -> None:
        if self.server.away:
            self.server.away -= 1
            self.send_error(503)

    def get(self, path: str) -> None:
        self.finish(json.dumps(self._answer(path.strip("/").split("/"))))

    def _answer(self, path: list[str]) -> dict[str, Any]:
        match path:
            case ["version"]:
                return {"gitVersion": "v1.35.0"}
            case ["apis"]:
                return {"kind": "APIGroupList", "groups": [_GROUP]}
            case ["api", "v1"]:
                return {"kind": "APIResourceList", "resources": [_CORE]}
            case ["apis", "apps", "v1"]:
                return {"kind": "APIResourceList", "resources": [_APPS]}
            case [*_, "deployments", name]:
                spec = {"selector": {"matchLabels": {"app": name}}}
                return {"kind": "Deployment", "metadata": {"name": name}, "spec": spec}
            case [*_, namespace, "pods"]:
                return {"kind": "PodList", "apiVersion": "v1", "items": [_pod(namespace)]}
            case [*_, namespace, "pods", _]:
                return _pod(namespace)
        raise AssertionError(path)


def _pod(namespace: str) -> dict[str, Any]:
    metadata = {"name": "the-pod", "namespace": namespace}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": _CONTAINERS}, "status": _READY}


class _Log(_Api):
    def get(self, namespace: str) -> None:
        self.server.asked.append(namespace)
        self.finish(self.server.logs.get(namespace, ""))


class _Exec(WebSocketHandler):
    server: PodsServer

    def initialize(self, server: PodsServer) -> None:
        self.server, self.given = server, b""

    def select_subprotocol(self, subprotocols: list[str]) -> str:
        return subprotocols[0]

    async def get(self, *args: str, **kwargs: str) -> None:
        if self.get_query_arguments("command") == ["refused"]:
            self.set_status(403)
            message = 'pods "the-pod" is forbidden'
            await self.finish(json.dumps({"kind": "Status", "reason": "Forbidden", "message": message}))
            return
        await super().get(*args, **kwargs)

    def open(self, *args: str, **kwargs: str) -> None:
        command = self.get_query_arguments("command")
        self.server.started.append((self.get_query_argument("container"), command))
        match command:
            case ["echo", *words]:
                self._say(1, " ".join(words).encode())
                self._end({"status": "Success"})
            case ["fail", code]:
                self._say(1, b"so far")
                self._say(2, b"no further")
                causes = [{"reason": "ExitCode", "message": code}]
                self._end({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}})
            case ["vanish"]:
                self.ws_connection.stream.close()  # type: ignore[union-attr]
            case ["cat", path]:
                self._say(1, self.server.files.get(path, b""))
                self._end({"status": "Success"})
            case ["sh", "-c", _] | ["sleep"]:
                pass
            case _:
                message = f'exec: "{command[0]}": executable file not found in $PATH'
                self._end({"status": "Failure", "reason": "InternalError", "message": message})

    def on_message(self, message: str | bytes) -> None:
        assert isinstance(message, bytes)
        if message[0] == 0:
            self.given += message[1:]
        elif message == bytes([255, 0]):  # end of standard input
            if self.server.loses_input:
                self.server.loses_input -= 1
                self.given = b""
            if written := re.search(r"cat > (\S+)", self.get_query_arguments("command")[-1]):
                self.server.files[written[1]] = self.given
            self._say(1, self.given)
            self._end({"status": "Success"})

    def _say(self, channel: int, content: bytes) -> None:
        self.write_message(bytes([channel]) + content, binary=True)

    def _end(self, status: dict[str, Any]) -> None:
        self._say(3, json.dumps(status).encode())
        self.close()


@contextmanager
def running() -> Iterator[PodsServer]:
    """Start it; its URL is an attribute."""
    server, started = PodsServer(), threading.Event()
    loop = asyncio.new_event_loop()
    pod = r"/api/v1/namespaces/(.+)/pods/the-pod"
    own = {"server": server}
    routes = [(rf"{pod}/log", _Log, own), (rf"{pod}/exec", _Exec, own), (r"/(.*)", _Api, own)]

    async def listen() -> None:
        [listener] = bind_sockets(0, "127.0.0.1")
        HTTPServer(Application(routes)).add_socket(listener)
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started.set()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(listen())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(10)
    yield server
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
