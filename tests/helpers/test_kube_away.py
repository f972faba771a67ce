"""The client in front of a real API server: connections that break or stall, lost responses."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml
from urllib3.connection import HTTPConnection

from helpers import istio, kube
from helpers.base.errors import CommandError, PrerequisiteError, UnreachableError
from helpers.base.settings import current
from helpers.clusters import client, connection
from lab.relay import Relay


class Route:
    """The connections to the API server: the next `broken` ones are reset, or stall first."""

    def __init__(self, port: int) -> None:
        self.made = self.broken = 0
        self.stall = 0.0  # seconds
        self.relay, self._port = Relay(), port

    def connect(self, _near: socket.socket) -> socket.socket:
        self.made += 1
        if self.made <= self.broken:
            time.sleep(self.stall)
            raise ConnectionResetError
        return socket.create_connection(("127.0.0.1", self._port))

    def close(self) -> None:
        self.relay.close()


@pytest.fixture
def way(cluster, server) -> Iterator[Route]:
    url, _ = server
    port = urlsplit(url).port
    assert port
    listener = socket.create_server(("127.0.0.1", 0))
    config = yaml.safe_load(current().KUBECONFIG.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{listener.getsockname()[1]}"
    current().KUBECONFIG.write_text(yaml.safe_dump(config))
    made = Route(port)
    made.relay.start(listener, made.connect)
    yield made
    made.close()


@pytest.mark.parametrize("stall", [0, 3], ids=["dropped", "stalled"])
def test_a_broken_connection_is_retried(way, stall, monkeypatch, capsys):
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 1)
    way.broken, way.stall = 1, stall
    kube.namespace("eks", f"away-{stall}")
    assert way.made > 1
    assert capsys.readouterr().out.count("serverside-applied") == 1
    assert kube.find("eks", "default", f"namespace/away-{stall}") is not None


@pytest.fixture
def lost(monkeypatch) -> list[str]:
    """Methods whose next response is lost after the API server has handled the request."""
    methods: list[str] = []
    real, answer = HTTPConnection.request, HTTPConnection.getresponse

    def request(self, method, *args, **kwargs):
        self.asked = method
        return real(self, method, *args, **kwargs)

    def getresponse(self):
        got = answer(self)
        if self.asked in methods:
            methods.remove(self.asked)
            raise ConnectionResetError
        return got

    monkeypatch.setattr(HTTPConnection, "request", request)
    monkeypatch.setattr(HTTPConnection, "getresponse", getresponse)
    return methods


def test_a_lost_response_is_not_a_failure(cluster, lost, capsys):
    lost.append("PATCH")
    kube.namespace("eks", "lost")
    assert kube.find("eks", "default", "namespace/lost") is not None
    assert capsys.readouterr().out.count("serverside-applied") == 1
    lost.append("DELETE")
    kube.apply_text("eks", "{apiVersion: v1, kind: ConfigMap, metadata: {name: lost, namespace: default}}")
    kube.delete("eks", "default", "configmap/lost")
    assert kube.find("eks", "default", "configmap/lost") is None
    assert lost == []


def test_an_unreachable_server_is_not_a_missing_object(way, monkeypatch):
    """Otherwise callers would conclude that an object does not exist."""
    monkeypatch.setattr(client, "RETRY_TIMEOUT", 4)
    way.broken = 1000
    with pytest.raises(UnreachableError, match=r"no answer from https://127\.0\.0\.1"):
        kube.find("eks", "default", "service/none-such")
    assert way.made > 1


@pytest.mark.parametrize("check", [True, False])
def test_istioctl_is_retried(way, check):
    way.close()
    argv = ["istioctl", "--context", "eks", "analyze", "-A"]
    with pytest.raises(CommandError, match=r"connection refused|connection to the server .* was refused"):
        istio._run(argv, check=check, retry_timeout=2)


def test_a_rejection_is_not_retried(way):
    kube.get("eks", "namespaces")
    once = way.made
    with pytest.raises(PrerequisiteError):
        kube.require("eks", "default", "service/none-such")
    assert way.made == once
