"""kubectl against a real API server, some of whose connections break."""

import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import yaml

from helpers import kube
from helpers.base.errors import CommandError, PrerequisiteError
from helpers.base.settings import current
from lab.relay import Relay


class Way:
    """What leads to the API server: its next `broken` connections are reset."""

    def __init__(self, port: int) -> None:
        self.made = self.broken = 0
        self.relay, self._port = Relay(), port

    def connect(self) -> socket.socket:
        self.made += 1
        if self.made <= self.broken:
            raise ConnectionResetError
        return socket.create_connection(("127.0.0.1", self._port))

    def close(self) -> None:
        self.relay.close()


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
    made.relay.start(listener, made.connect)
    yield made
    made.close()


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


@pytest.fixture
def starts(way, programs, tmp_path, monkeypatch) -> Callable[[], int]:
    """Nothing listens where the API server was. How often kubectl was started since."""
    way.close()
    tools, log = tmp_path / "tools", tmp_path / "starts"
    tools.mkdir()
    (tools / "kubectl").write_text(f'#!/bin/sh\necho >>{log}\nexec {programs}/kubectl "$@"\n')
    (tools / "kubectl").chmod(0o755)
    monkeypatch.setenv("TUTORIAL_TOOLS", str(tools))
    return lambda: len(log.read_text().splitlines())


@pytest.mark.parametrize("check", [True, False])
def test_when_nobody_answers_that_is_no_answer(starts, check):
    """Else "there is none" would be believed of what could not be looked up."""
    with pytest.raises(CommandError, match=r"connection refused|connection to the server .* was refused"):
        kube.run_when_reachable(["kubectl", "--context", "eks", "get", "namespaces"], check=check, patience=2)
    assert starts() > 1


def test_a_program_in_a_pod_is_not_started_twice(starts):
    with pytest.raises(CommandError, match=r"connection refused|connection to the server .* was refused"):
        kube.run_in_pod("eks", "default", "deploy/none-such", "true")
    assert starts() == 1


def test_a_refusal_is_an_answer(way):
    kube.kubectl("eks", "get", "namespaces")
    once = way.made
    with pytest.raises(PrerequisiteError):
        kube.find("eks", "default", "service/none-such", "02-deploy-istio-in-eks")
    assert way.made == 2 * once
