"""The load balancer on real sockets, asked by the real curl, with functions that really run."""

import functools
import http.client
import json
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.aws.load_balancer import (
    FixedResponse,
    Forward,
    Redirect,
)
from tests.lab.alb import GROUP_ARN, HOST, Alb, Answer, ask, curl, function, run_curl, versions

MEGABYTE = 1024 * 1024


def raw(alb: Alb, data: bytes) -> bytes:
    """What the HTTP listener says to these bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", alb.http), 10) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


# Requests


@versions
def test_the_event_that_the_function_gets(alb, version):
    answer = ask(alb, version, "/a%20b?k=1&k=%202", "-H", "X-Two: 1", "-H", "x-two: 2", "-A", "tester/1")
    https = version == "HTTP/2"
    event = answer.json
    trace = event["headers"].pop("x-amzn-trace-id")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    assert event == {
        "requestContext": {"elb": {"targetGroupArn": GROUP_ARN}},
        "httpMethod": "GET",
        "path": "/a%20b",
        "queryStringParameters": {"k": "%202"},
        "headers": {
            "host": f"{HOST}:{alb.https}" if https else f"127.0.0.1:{alb.http}",
            "user-agent": "tester/1",
            "accept": "*/*",
            "x-two": "2",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": str(alb.https if https else alb.http),
            "x-forwarded-proto": "https" if https else "http",
        },
        "body": "",
        "isBase64Encoded": False,
    }


@versions
def test_multi_value_headers(alb, version):
    alb.group.multi_value_headers = True
    body = json.dumps({"statusCode": 200, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}}).encode()
    arguments = ["-H", "Content-Type: application/json", "-X", "POST"]
    assert ask(alb, version, "/answer", *arguments, body=body).headers["set-cookie"] == "b=2"
    arguments += ["-o", "/dev/null", "-D", "-"]
    target = [alb.url("/answer")] if version == "HTTP/1.1" else alb.tls("/answer")
    assert run_curl(*arguments, *target, body=body).stdout.lower().count(b"set-cookie: ") == 2


@versions
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods(alb, version, method):
    assert ask(alb, version, "/", "-X", method, body=b"").json["httpMethod"] == method


@versions
def test_head_has_the_length_but_no_body(alb, version):
    answer = ask(alb, version, "/", "--head")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 300
    assert ask(alb, version).status == 200


@versions
@pytest.mark.parametrize(
    ("arguments", "body", "seen", "is_base64"),
    [
        (["-H", "Content-Type: text/plain"], "grün".encode(), "grün", False),
        (["-H", "Content-Type: text/plain", "-H", "Transfer-Encoding: chunked"], b"chunks", "chunks", False),
        (["-H", "Content-Type: image/png"], b"\x00\xff", "AP8=", True),
        (["-H", "Content-Type:"], b"", "", False),
    ],
)
def test_bodies(alb, version, arguments, body, seen, is_base64):
    event = ask(alb, version, "/", *arguments, body=body).json
    assert (event["body"], event["isBase64Encoded"]) == (seen, is_base64)


@versions
@pytest.mark.parametrize("expect", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"]])
def test_a_body_of_one_megabyte_and_a_byte_more(alb, version, expect):
    arguments = ["-H", "Content-Type: application/octet-stream", *expect]
    assert ask(alb, version, "/count", *arguments, body=b"x" * MEGABYTE).status == 200
    answer = ask(alb, version, "/count", *arguments, body=b"x" * (MEGABYTE + 1))
    assert (answer.status, answer.headers["server"]) == (413, "awselb/2.0")
    assert alb.records[-1]["error_reason"] == "LambdaRequestTooLarge"
    assert ask(alb, version, "/count").status == 200


def test_requests_on_one_connection_are_answered_in_turn(alb):
    one = f"GET /%d HTTP/1.1\r\nHost: {HOST}\r\n%s\r\n"
    data = (one % (1, "") + one % (2, "") + one % (3, "Connection: close\r\n")).encode()
    assert re.findall(rb'"path": "(/\d)"', raw(alb, data)) == [b"/1", b"/2", b"/3"]


def test_requests_of_one_http2_connection_run_side_by_side(alb, gate):
    urls = [alb.tls(f"/wait?port={gate.port}&n={n}") for n in range(3)]
    arguments = ["--http2", "--parallel", *urls[0][:4], *(url[4] for url in urls)]
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run_curl, *arguments)
        gate.wait_for(3)
        gate.open()
        assert done.result().stdout.count(b'"httpMethod"') == 3
    assert len({record["client:port"] for record in alb.records}) == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\nConnection: close\r\n\r\n", 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 414),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGVzdA==\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_refused_requests(alb, data, status):
    answer = raw(alb, data)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nServer: awselb/2.0\r\n" in answer
    assert (b"<center><h1>" in answer) == (status != 200)


# Answers


def answered(alb: Alb, version: str, answer: dict, *arguments: str) -> Answer:
    """What curl gets for a function's answer."""
    content = ["-H", "Content-Type: application/json", "-X", "POST", *arguments]
    return ask(alb, version, "/answer", *content, body=json.dumps(answer).encode())


def test_the_reason_phrase_is_passed_on(alb):
    answer = {"statusCode": 404, "statusDescription": "404 Not Here", "body": "x"}
    assert answered(alb, "HTTP/1.1", answer).reason == "Not Here"
    assert answered(alb, "HTTP/2", answer).reason == ""
    assert ask(alb, "HTTP/1.1").reason == "As You Wish"


@versions
def test_headers_of_an_answer(alb, version):
    headers = {"X-Mine": "1", "Content-Type": "text/plain", "Connection": "close", "Content-Length": "99"}
    answer = answered(alb, version, {"statusCode": 200, "headers": headers, "body": "grün"})
    assert answer.body == "grün".encode()
    assert answer.headers.pop("date").endswith(" GMT")
    assert answer.headers.pop("connection", None) == ("keep-alive" if version == "HTTP/1.1" else None)
    expected = {"server": "awselb/2.0", "x-mine": "1", "content-type": "text/plain", "content-length": "5"}
    assert answer.headers == expected
    mine = answered(alb, version, {"statusCode": 200, "headers": {"Server": "mine", "Date": "today"}})
    assert (mine.headers["server"], mine.headers["date"]) == ("mine", "today")
    assert mine.headers["content-type"] == "application/octet-stream"


@versions
def test_binary_answers_and_answers_without_a_body(alb, version):
    answer = answered(alb, version, {"statusCode": 200, "isBase64Encoded": True, "body": "AP8="})
    assert answer.body == b"\x00\xff"
    for status in (204, 304):
        answer = answered(alb, version, {"statusCode": status, "body": "ignored"})
        assert (answer.status, answer.body) == (status, b"")
        assert "content-length" not in answer.headers
    assert ask(alb, version).status == 200


@versions
def test_an_answer_of_one_megabyte_and_a_byte_more(alb, version):
    answer = ask(alb, version, f"/large?json={MEGABYTE}")
    assert (answer.status, set(answer.body)) == (200, {ord("x")})
    assert len(answer.body) == int(answer.headers["content-length"]) > MEGABYTE - 50
    assert ask(alb, version, f"/large?json={MEGABYTE + 1}").status == 502
    assert alb.records[-1]["error_reason"] == "LambdaResponseTooLarge"


@versions
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/raise", "LambdaUnhandled"),
        ("/exit", "LambdaUnhandled"),
        ("/sleep", "LambdaUnhandled"),
        pytest.param(
            "/memory",
            "LambdaUnhandled",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="memory is limited by cgroups"),
        ),
        ("/answer", "LambdaInvalidResponse"),
    ],
)
def test_function_failures_are_502(alb, version, path, reason):
    alb.functions.deploy(function("f", timeout=1))
    answer = ask(alb, version, path, "-H", "Content-Type: application/json", body=b'{"statusCode": "200"}')
    assert (answer.status, answer.headers["server"]) == (502, "awselb/2.0")
    assert b"<center><h1>502 Bad Gateway</h1></center>" in answer.body
    record = alb.record()
    seen = (record["elb_status_code"], record["target_status_code"], record["error_reason"])
    assert seen == (502, "-", reason)
    assert ask(alb, version).status == 200


def test_no_target_and_a_throttled_or_deleted_one(alb):
    alb.group.deregister()
    assert curl(alb.url()).status == 503
    alb.reset()
    alb.functions.reserve("f", 0)
    assert curl(alb.url()).status == 502
    assert alb.record()["error_reason"] == "LambdaThrottling"
    alb.functions.reserve("f", None)
    assert curl(alb.url()).status == 200
    alb.group.register(functools.partial(alb.functions.invoke, "deleted"))
    assert curl(alb.url()).status == 502
    assert alb.records[-1]["error_reason"] == "LambdaResourceNotFound"


def test_code_updates_under_load_lose_no_request(alb):
    done = threading.Event()

    def client() -> list[int]:
        connection, statuses = http.client.HTTPConnection("127.0.0.1", alb.http), []
        while not done.is_set():
            connection.request("GET", "/count")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(client) for _ in range(3)]
        pids = set()
        for code in range(3):
            alb.functions.deploy(function("f", environment={"CODE": str(code)}))
            pids.add(curl(alb.url("/count")).body.split()[0])
        done.set()
        assert len(pids) == 3
        assert {status for one in clients for status in one.result()} == {200}


# Other actions


@versions
def test_fixed_responses_and_redirects(alb, version):
    port, protocol = (alb.http, "HTTP") if version == "HTTP/1.1" else (alb.https, "HTTPS")
    certificate = alb.certificate if protocol == "HTTPS" else None
    alb.balancer.set_listener(
        port, protocol, lambda: FixedResponse(403, "application/json", '{"no": 1}'), certificate
    )
    answer = ask(alb, version)
    assert (answer.status, answer.body, answer.headers["server"]) == (403, b'{"no": 1}', "awselb/2.0")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    alb.balancer.set_listener(
        port, protocol, lambda: Redirect(301, "HTTPS", "example.org", "443"), certificate
    )
    answer = ask(alb, version, "/a?b=c")
    assert (answer.status, answer.headers["location"]) == (301, "https://example.org:443/a?b=c")
    assert alb.records[-1]["redirect_url"] == "https://example.org:443/a?b=c"


def test_a_changed_action_counts_for_open_connections(alb):
    connection = http.client.HTTPConnection("127.0.0.1", alb.http)
    statuses = []
    for action in (Forward(alb.group), FixedResponse(418)):
        alb.balancer.set_listener(alb.http, "HTTP", lambda action=action: action)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200, 418]
