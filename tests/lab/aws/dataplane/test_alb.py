"""The load balancer on real sockets, with the real curl as the client and functions that really run."""

import http.client
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.aws.dataplane.load_balancer import TargetGroup, listener
from tests.lab.aws.dataplane.alb import HOST, Alb, run_curl


def raw(alb: Alb, data: bytes) -> bytes:
    """The HTTP listener's response to these bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", alb.http), 10) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_requests_on_one_connection_are_answered_in_order(alb):
    one = f"GET /%d HTTP/1.1\r\nHost: {HOST}\r\n%s\r\n"
    data = (one % (1, "") + one % (2, "") + one % (3, "Connection: close\r\n")).encode()
    assert re.findall(rb'"path": "(/\d)"', raw(alb, data)) == [b"/1", b"/2", b"/3"]


def test_requests_of_one_http2_connection_run_concurrently(alb, gate):
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
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n", 400),
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
def test_requests_that_curl_does_not_send(alb, data, status):
    answer = raw(alb, data)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nServer: awselb/2.0\r\n" in answer
    assert (b"<center><h1>" in answer) == (status != 200)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", b"HTTP/1.1 408 "),
        (b"GET / HT", b"HTTP/1.1 408 "),
        (b"", b""),
    ],
)
def test_an_idle_client_is_disconnected(alb, data, answer, monkeypatch):
    monkeypatch.setattr(listener, "IDLE_TIMEOUT", 0.1)
    assert raw(alb, data)[:13] == answer


def test_a_changed_target_group_applies_to_open_connections(alb):
    connection = http.client.HTTPConnection("127.0.0.1", alb.http)
    statuses = []
    for group in (alb.group, TargetGroup("arn:aws:nothing-registered")):
        alb.balancer.set_listener(alb.http, "HTTP", group)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200, 503]
