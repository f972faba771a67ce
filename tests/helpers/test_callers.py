"""Callers against a server on 127.0.0.1 that lets one path pass, and logs of gateways made for the test."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import pytest

from helpers import callers, logs, pki
from helpers.base.errors import TimedOutError
from helpers.callers import Answers, Caller
from helpers.curl import CurlResult, Pod
from tests import web

REQUESTS = ["GET /hello-world", "GET /a/../hello-world", "HEAD /hello-world", "POST /hello-world"]
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Door(web.Handler):
    """Refuses all but GET of one path; first it answers what is in `before`. "nobody" gets no answer."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str, int]]] = []  # path, traceparent, port of the client
    before: ClassVar[list[int]] = []

    def decide(self) -> None:
        self.seen.append((self.path, self.headers.get("traceparent", ""), self.client_address[1]))
        if self.headers.get("name") == "nobody":
            self.close_connection = True
        elif self.before:
            self.answer(self.before.pop(0))
        else:
            self.answer(200 if (self.command, self.path) == ("GET", "/hello-world") else 403)

    do_GET = do_HEAD = do_POST = decide


@pytest.fixture
def door() -> Iterator[str]:
    Door.seen.clear()
    Door.before.clear()
    with web.serving(web.on_loopback(Door)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def caller(name: str, url: str) -> Caller:
    files = pki.ensure()
    return callers.with_certificate(name, (files.client_cert, files.client_key), url, "-H", f"name: {name}")


def test_each_request_of_each_caller_is_asked_and_shown(door):
    answers = callers.ask_all([caller("somebody", door), caller("nobody", door)], REQUESTS)
    assert answers.allowed("somebody") == REQUESTS[:1]
    assert answers.allowed("nobody") == []
    assert [line.split()[-2:] for line in repr(answers).splitlines()] == [
        ["somebody", "nobody"],
        ["200", "closed"],
        ["403", "closed"],
        ["403", "closed"],
        ["403", "closed"],
    ]


def test_a_path_is_sent_as_it_is_on_a_connection_of_its_own_with_the_tables_trace(door):
    answers = callers.ask_all([caller("somebody", door)], REQUESTS)
    paths, traceparents, ports = zip(*Door.seen, strict=True)
    assert "/a/../hello-world" in paths
    assert {one.split("-")[1] for one in traceparents} == {answers.trace}
    assert len(set(traceparents)) == len(set(ports)) == len(REQUESTS)


def test_the_printed_command_shows_the_status_as_curl_does(door, capsys):
    one = caller("somebody", door)
    capsys.readouterr()
    one.ask("HEAD /hello-world")
    command, answer = capsys.readouterr().out.rstrip().rsplit("\n", 1)
    assert r"-w '%{http_code}\n'" in command and "--head" in command
    assert answer == "403"


def test_answers_that_follow_the_old_policy_are_thrown_away(door, capsys):
    Door.before[:] = [200, 403, 200, 403]
    assert callers.settle(caller("somebody", door), 200, times=3) == [200, 403, 200, 403, 200, 200, 200]
    shown = capsys.readouterr().out
    assert shown.count("\ncurl ") == 1
    assert shown.endswith("somebody, responses in order: 200 403 200 403 200 200 200\n")


def test_an_answer_that_does_not_come_times_out(door):
    with pytest.raises(TimedOutError, match="still “200”"):
        callers.settle(caller("somebody", door), 403, timeout=0.2)


def test_the_first_of_two_answers_does_not_count(door):
    Door.before[:] = [403]
    assert callers.statuses([caller("somebody", door), caller("nobody", door)]) == ["200", "closed"]


DENIED = "rbac_access_denied_matched_policy[none]"
POD, PLAIN = Pod("gke", "sleep", "deploy/sleep"), Pod("gke", "sleep", "deploy/plain")


def entry(status: int, details: str, uri: str | None = None, dns: str | None = None) -> str:
    names = {"downstream_uri_san": uri, "downstream_dns_san": dns}
    traceparent = f"00-{TRACE}-00f067aa0ba902b7-01"
    return json.dumps({"traceparent": traceparent, "status": status, "details": details, **names}) + "\n"


def closed(address: str) -> str:
    """The line of a connection in plain text, as an egress gateway logs it: there was no request."""
    nothing = dict.fromkeys(("traceparent", "downstream_uri_san", "downstream_dns_san"))
    said = {"status": 0, "details": "filter_chain_not_found", "flags": "NR", "downstream": address}
    return json.dumps({**nothing, **said}, separators=(",", ":")) + "\n"


def asked(*results: dict[str, Any]) -> Answers:
    return Answers(TRACE, [], {callers.FUNCTION: [CurlResult(**{"exit_code": 0, **one}) for one in results]})


def test_reasons_come_from_the_logs_of_both_gateways(in_pods):
    in_pods.logs["istio-egress"] = (
        entry(403, DENIED, uri="spiffe://a") + entry(200, "via_upstream", uri="spiffe://b") + "another line\n"
    )
    in_pods.logs["istio-ingress"] = entry(200, "via_upstream", dns="c.example") * 2
    answers = asked(
        {"status": 403, "origin": POD},
        {"status": 200, "origin": POD},
        {"status": 200, "origin": "outside"},
        {"status": 0, "exit_code": 56, "origin": "outside", "local": "203.0.113.7:40001"},
    )
    assert answers.reasons().rows == [
        ["egress", "spiffe://a", "403", DENIED, "1"],
        ["egress", "spiffe://b", "200", "via_upstream", "1"],
        ["ingress", "c.example", "200", "via_upstream", "2"],
    ]


def test_a_connection_that_was_closed_is_found_by_its_address_and_port(in_pods, capsys):
    others = closed("10.8.0.7:40009") + closed("110.8.0.7:40001") + closed("10.8.0.7:400011")
    in_pods.logs["istio-egress"] = (
        others + closed("10.8.0.7:40001") + closed("10.8.0.7:40002") + entry(403, DENIED, uri="spiffe://a")
    )
    answers = asked(
        {"status": 403, "origin": POD, "local": "10.8.0.5:40009"},
        {"exit_code": 56, "origin": PLAIN, "local": "10.8.0.7:40001"},
        {"exit_code": 56, "origin": PLAIN, "local": "10.8.0.7:40002"},
        {"exit_code": 6, "origin": PLAIN},  # it never connected, so no gateway logged it
    )
    assert answers.reasons().rows == [
        ["egress", "none", "0", "filter_chain_not_found", "2"],
        ["egress", "spiffe://a", "403", DENIED, "1"],
    ]
    assert f"grep -e {TRACE} -e '\"10.8.0.7:40001\"'" in capsys.readouterr().out.replace(" \\\n    ", " ")


def test_a_connection_that_no_log_has_is_not_counted_as_closed(in_pods, monkeypatch):
    monkeypatch.setattr(logs, "envoy_all", partial(logs.envoy_all, timeout=0.2))
    in_pods.logs["istio-egress"] = closed("10.8.0.7:40001")
    answers = asked(
        {"exit_code": 56, "origin": PLAIN, "local": "10.8.0.7:40001"},
        {"exit_code": 56, "origin": PLAIN, "local": "10.8.0.7:40002"},
    )
    with pytest.raises(TimedOutError, match="1 so far"):
        answers.reasons()
