"""kubectl against a real API server, some of whose connections break."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml

from helpers import command, kube
from helpers.errors import CommandFailed, NotYet
from helpers.settings import current
from lab.relay import Relay


class Way:
    """What leads to the API server: its next `broken` connections are reset."""

    def __init__(self, port: int) -> None:
        self.made = self.broken = 0
        self._port = port

    def connect(self) -> socket.socket:
        self.made += 1
        if self.made <= self.broken:
            raise ConnectionResetError
        return socket.create_connection(("127.0.0.1", self._port))


@pytest.fixture
def way(cluster, server) -> Iterator[Way]:
    url, _ = server
    port = urlsplit(url).port
    assert port
    listener = socket.create_server(("127.0.0.1", 0))
    config = yaml.safe_load(current().KUBECONFIG.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{listener.getsockname()[1]}"
    current().KUBECONFIG.write_text(yaml.safe_dump(config))
    made = Way(port)
    relay = Relay().start(listener, made.connect)
    yield made
    relay.close()


def test_kubectl_asks_again_and_the_answer_is_shown_once(way, capsys):
    way.broken = 2
    assert "default" in kube.kubectl("eks", "get", "namespaces").text
    assert way.made > 2
    said = capsys.readouterr().out
    assert said.count("$ kubectl --context eks get namespaces") == said.count("default ") == 1


def test_what_is_applied_meanwhile_is_there(way):
    way.broken = 1
    kube.namespace("eks", "away")
    assert kube.kubectl("eks", "get", "namespace", "away", "-o", "name").text == "namespace/away\n"


@pytest.mark.parametrize("check", [True, False])
def test_when_nobody_answers_that_is_no_answer(way, check):
    """Else "there is none" would be believed of what could not be looked up."""
    way.broken = 1000
    with pytest.raises(CommandFailed, match=r"EOF|connection reset"):
        kube.asked(["kubectl", "--context", "eks", "get", "namespaces"], check=check, patience=2)
    assert way.made > 1


def test_a_refusal_is_an_answer(way):
    kube.kubectl("eks", "get", "namespaces")
    once = way.made
    with pytest.raises(NotYet):
        kube.find("eks", "default", "service/none-such", "02-deploy-istio-in-eks")
    assert way.made == 2 * once


def test_a_program_in_a_pod_is_not_started_twice(way):
    way.broken = 1000
    words = ["exec", "-n", "default", "deploy/none-such", "--", "true"]
    with pytest.raises(CommandFailed):
        command.run(["kubectl", "--context", "eks", *words])
    once = way.made
    with pytest.raises(CommandFailed, match=r"EOF|connection reset"):
        kube.kubectl("eks", *words)
    assert way.made == 2 * once
