"""Many requests by the real shell and curl, here instead of in a pod."""

import subprocess
from collections import Counter
from itertools import count

import pytest

from helpers import throughput
from helpers.clusters import pods
from tests import web


class Server(web.Handler):
    """Responds with 200, but every fifth request gets 502."""

    numbers = count(1)

    def do_GET(self) -> None:
        self.answer(502 if next(self.numbers) % 5 == 0 else 200, b"")


@pytest.fixture
def server(monkeypatch):
    def execute(*words: str, **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(words[3], stdout=subprocess.PIPE, check=False)

    monkeypatch.setattr(pods, "execute", execute)
    monkeypatch.setattr(Server, "numbers", count(1))
    with web.serving(web.on_loopback(Server)) as server:
        yield ("--connect-to", f"lambda.external:80:127.0.0.1:{server.server_port}")


@pytest.mark.parametrize("connections", [1, 8])
def test_every_response_is_counted(server, connections, capsys):
    run = throughput.run(50, connections, "/x", *server)
    assert run.statuses == Counter({200: 40, 502: 10}) and len(run.times) == 50
    assert run.seconds >= 0 and run.median > 0
    said = capsys.readouterr().out
    assert said.startswith("kubectl --context gke exec -n sleep deploy/sleep -c sleep -- timeout 20 curl")
    assert ("--parallel" in said) == (connections > 1)


def test_a_server_that_is_away_counts_as_no_response(server):
    run = throughput.run(3, 1, "/x", "--connect-to", "lambda.external:80:127.0.0.1:1")
    assert run.statuses == Counter({0: 3})


def test_a_curl_that_is_ended_in_the_middle_of_a_line_counts_until_then(server, monkeypatch):
    monkeypatch.setattr(throughput, "_LONGEST", 1)
    run = throughput.run(1_000_000, 1, "/x", *server)
    assert run.statuses[200] > 0 and set(run.statuses) == {200, 502}
    assert len(run.times) == run.statuses.total() and 0 < run.processor < 3


def test_the_table_lists_what_was_not_200():
    runs = {
        1: throughput.Run(2.0, Counter({200: 10}), [0.1], 0.0),
        8: throughput.Run(1.0, Counter({200: 8, 502: 2}), [0.2], 0.0),
    }
    assert throughput.table(runs).rows == [
        ["1", "5 /s", "100.0 ms", ""],
        ["8", "8 /s", "200.0 ms", "502, 2 times"],
    ]
