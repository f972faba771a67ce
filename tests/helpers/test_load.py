"""Requests at a steady rate, by the real shell and curl, here instead of in a pod."""

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from helpers import load
from helpers.base.errors import TutorialError, UnreachableError
from helpers.clusters import pods
from tests import web


class Server(web.Handler):
    """Responds with 200, or as configured."""

    status = 200

    def do_GET(self) -> None:
        if self.status == 0:
            time.sleep(60)
        self.answer(self.status, b"")


@pytest.fixture
def url(monkeypatch) -> Iterator[str]:
    monkeypatch.setattr(Server, "status", 200)
    with web.serving(web.on_loopback(Server)) as server:
        yield f"http://127.0.0.1:{server.server_port}/"


@pytest.fixture(autouse=True)
def here(monkeypatch) -> list[subprocess.Popen[bytes]]:
    """Programs run on this machine instead of in a pod."""
    started = []

    def execute(
        *_: str, output: Callable[[bytes], None] | None = None, **__: object
    ) -> subprocess.CompletedProcess[bytes]:
        argv = _[3]
        program = subprocess.Popen(argv, stdout=subprocess.PIPE)
        started.append(program)
        for line in program.stdout or ():
            if output:
                output(line)
        return subprocess.CompletedProcess(argv, program.wait())

    monkeypatch.setattr(pods, "execute", execute)
    return started


def sends(sent: load.Requests, more: int) -> None:
    """Wait for this many more responses."""
    enough, end = len(sent.samples) + more, time.monotonic() + 30
    while len(sent.samples) < enough:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_each_request_is_counted_with_its_result(url, capsys):
    with load.running(url, rate=20) as sent:
        sends(sent, 5)
        sent.mark("broken")
        Server.status = 503
        sends(sent, 5)
        Server.status = 200
        sent.mark("whole again")
        sends(sent, 5)
    statuses = [each.status for each in sent.samples]
    assert set(statuses) == {200, 503} and len(sent.failures) == statuses.count(503)
    assert sent.failing(1000) == len(sent.failures) / len(statuses) and sent.failing(0.1) == 0
    assert sent.lately(1000) == sent.samples and len(sent.lately(0.1)) < len(sent.samples)
    assert all(each.at >= 0 and each.seconds > 0 for each in sent.samples)
    times = [sent.samples[0].at, *(at for at, _ in sent.marks), sent.samples[-1].at]
    assert times == sorted(times)
    [row] = sent.table().rows
    assert row[:2] == [f"{len(statuses)} requests", f"{len(sent.failures)} failed"]
    assert row[4] == f"503, {len(sent.failures)} times"
    words = repr(sent.plot("A test")).splitlines()
    assert words[0] == "A test" and words[2] == "after “broken”: some failed"
    assert capsys.readouterr().out.startswith(
        "kubectl --context gke exec -n sleep deploy/sleep -c sleep -- sh -c"
    )


def test_the_rate_is_steady_and_nothing_keeps_running(url, here):
    start = time.monotonic()
    with load.running(url, rate=10) as sent:
        time.sleep(2)
    seconds = time.monotonic() - start
    assert 5 < len(sent.samples) <= 10 * seconds + 1
    count = len(sent.samples)
    assert [program.poll() for program in here] == [0, 0]  # the loop, and what ended it
    time.sleep(0.3)
    assert len(sent.samples) == count
    with pytest.raises(TutorialError, match="30 per second"), load.running(url, rate=30):
        pass


def test_a_request_without_a_response_is_counted_and_blocks_no_other(url):
    with load.running(url, rate=20, patience=1) as sent:
        sends(sent, 3)
        Server.status = 0
        time.sleep(0.5)
        Server.status = 200
        sends(sent, 3)
    kinds = {(each.status, each.exit_code) for each in sent.samples}
    assert kinds == {(200, 0), (0, 28)}
    assert sent.table().rows[0][4].startswith("curl: (28), ")


def test_an_error_in_the_block_ends_the_requests_and_is_raised(url, here):
    with pytest.raises(ZeroDivisionError), load.running(url) as sent:
        sends(sent, 1)
        1 / 0  # noqa: B018
    assert here[0].poll() == 0


def test_requests_that_end_before_the_block_does_are_an_error(url):
    with pytest.raises(TutorialError, match="it ended before the block did"), load.running(url, timeout=0.5):
        time.sleep(3)


def test_a_connection_that_breaks_while_the_last_responses_arrive_is_an_error(url, monkeypatch):
    whole = pods.execute

    def breaking(*words: object, output: object = None, **more: object) -> object:
        done = whole(*words, output=output, **more)
        if output:
            raise UnreachableError("Running a program", "the connection broke")
        return done

    monkeypatch.setattr(pods, "execute", breaking)
    with pytest.raises(UnreachableError, match="broke"), load.running(url) as sent:
        sends(sent, 2)


def test_without_a_pod_the_block_is_not_entered(monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise UnreachableError("Running a program", "no answer")

    monkeypatch.setattr(pods, "execute", away)
    with pytest.raises(UnreachableError), load.running():
        raise AssertionError
