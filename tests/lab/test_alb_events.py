"""The ALB's rules as tables: requests and the events they become, answers and the responses they become."""

import base64
import json
import re

import pytest

from lab.aws.load_balancer import own_answers
from lab.aws.load_balancer.actions import Redirect
from lab.aws.load_balancer.events import (
    MAX_BODY,
    InvalidAnswer,
    Request,
    health_check_event,
    request_event,
    response,
    trace_id,
)
from lab.aws.load_balancer.health import HealthCheck, HealthCount, mismatch

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/0123456789abcdef"
TRACE = "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520"


def event(multi: bool = False, method: str = "GET", target: str = "/", headers=(), **values) -> dict:
    request = Request(method, target, list(headers), client="10.0.1.7", **values)
    return json.loads(request_event(request, ARN, TRACE, multi))


def test_the_whole_event():
    headers = [("Host", "alb.example.com"), ("User-Agent", "curl/8"), ("Accept", "*/*")]
    assert event(target="/hello?a=1", headers=headers, scheme="https", port=443) == {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "GET",
        "path": "/hello",
        "queryStringParameters": {"a": "1"},
        "headers": {
            "host": "alb.example.com",
            "user-agent": "curl/8",
            "accept": "*/*",
            "x-forwarded-for": "10.0.1.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            "x-amzn-trace-id": TRACE,
        },
        "body": "",
        "isBase64Encoded": False,
    }


def test_the_whole_event_with_multi_value_headers():
    headers = [("Host", "h"), ("Cookie", "a=1"), ("cookie", "b=2")]
    assert event(multi=True, target="/?k=1&l=2&k=3", headers=headers) == {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "GET",
        "path": "/",
        "multiValueQueryStringParameters": {"k": ["1", "3"], "l": ["2"]},
        "multiValueHeaders": {
            "host": ["h"],
            "cookie": ["a=1", "b=2"],
            "x-forwarded-for": ["10.0.1.7"],
            "x-forwarded-port": ["80"],
            "x-forwarded-proto": ["http"],
            "x-amzn-trace-id": [TRACE],
        },
        "body": "",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_methods_pass(method):
    assert event(method=method)["httpMethod"] == method


@pytest.mark.parametrize(
    ("target", "path", "single", "multi"),
    [
        ("/", "/", {}, {}),
        ("/?", "/", {}, {}),
        ("/a%20b/%2F", "/a%20b/%2F", {}, {}),
        ("/?a=1&a=2", "/", {"a": "2"}, {"a": ["1", "2"]}),
        ("/?a=%26%C3%BC+x", "/", {"a": "%26%C3%BC+x"}, {"a": ["%26%C3%BC+x"]}),
        ("/?%61=1&a=2", "/", {"%61": "1", "a": "2"}, {"%61": ["1"], "a": ["2"]}),
        ("/?a", "/", {"a": ""}, {"a": [""]}),
        ("/?a=&a", "/", {"a": ""}, {"a": ["", ""]}),
        ("/?&myKey=val1&&myKey=val2", "/", {"myKey": "val2"}, {"myKey": ["val1", "val2"]}),
        ("/?a=b=c?d", "/", {"a": "b=c?d"}, {"a": ["b=c?d"]}),
    ],
)
def test_queries_are_not_decoded(target, path, single, multi):
    one, many = event(target=target), event(multi=True, target=target)
    assert (one["path"], one["queryStringParameters"]) == (path, single)
    assert (many["path"], many["multiValueQueryStringParameters"]) == (path, multi)


def test_the_last_of_repeated_headers_wins():
    headers = event(headers=[("X-A", "first"), ("x-b", "other"), ("x-a", "last")])["headers"]
    assert (headers["x-a"], headers["x-b"]) == ("last", "other")
    assert "X-A" not in headers


@pytest.mark.parametrize(
    ("received", "seen"),
    [
        ([], "10.0.1.7"),
        (["198.51.100.9"], "198.51.100.9, 10.0.1.7"),
        (["198.51.100.9, 10.1.1.1", "10.2.2.2"], "198.51.100.9, 10.1.1.1, 10.2.2.2, 10.0.1.7"),
    ],
)
def test_forwarded_for_is_appended_to(received, seen):
    headers = [("X-Forwarded-For", value) for value in received]
    assert event(headers=headers)["headers"]["x-forwarded-for"] == seen
    assert event(multi=True, headers=headers)["multiValueHeaders"]["x-forwarded-for"] == [seen]


def test_forwarded_proto_and_port_are_the_balancers_own():
    headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "8443")]
    seen = event(multi=True, headers=headers)["multiValueHeaders"]
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == (["http"], ["80"])


NEW = r"1-[0-9a-f]{8}-[0-9a-f]{24}"


@pytest.mark.parametrize(
    ("received", "pattern"),
    [
        (None, f"Root={NEW}"),
        (TRACE, f"Self={NEW};{TRACE}"),
        (f"{TRACE};CalledFrom=app", f"Self={NEW};{TRACE};CalledFrom=app"),
        (f"Self=1-00000000-000000000000000000000000;{TRACE}", f"Self=(?!1-0{{8}}){NEW};{TRACE}"),
        ("CalledFrom=app", f"Root={NEW};CalledFrom=app"),
    ],
)
def test_trace_ids(received, pattern):
    assert re.fullmatch(pattern, trace_id(received))


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/html; charset=utf-8", "application/json", "APPLICATION/JSON;x=y",
     "application/javascript", "application/xml"],
)  # fmt: skip
def test_text_bodies_go_as_they_are(content_type):
    seen = event(method="POST", headers=[("Content-Type", content_type)], body='{"ü": 1}'.encode())
    assert (seen["body"], seen["isBase64Encoded"]) == ('{"ü": 1}', False)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Content-Type", "application/octet-stream")],
        [("Content-Type", "application/x-www-form-urlencoded")],
        [("Content-Type", "application/jsonx")],
        [("Content-Type", "image/png")],
        [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")],
    ],
)
def test_other_bodies_are_base64(headers):
    seen = event(method="POST", headers=headers, body=b"\x00\xffa=1")
    assert base64.b64decode(seen["body"]) == b"\x00\xffa=1"
    assert seen["isBase64Encoded"] is True


def test_text_that_is_not_utf8_survives():
    seen = event(method="POST", headers=[("Content-Type", "text/plain")], body=b"\xe9")
    assert (base64.b64decode(seen["body"]), seen["isBase64Encoded"]) == (b"\xe9", True)


def test_health_check_event():
    assert json.loads(health_check_event(ARN, "/health")) == {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "GET",
        "path": "/health",
        "queryStringParameters": {},
        "headers": {"user-agent": "ELB-HealthChecker/2.0"},
        "body": "",
        "isBase64Encoded": False,
    }
    many = json.loads(health_check_event(ARN, "/", multi_value_headers=True))
    assert many["multiValueHeaders"] == {"user-agent": ["ELB-HealthChecker/2.0"]}


OCTETS = ("Content-Type", "application/octet-stream")


@pytest.mark.parametrize(
    ("answer", "status", "reason", "headers", "body"),
    [
        ({"statusCode": 200}, 200, "OK", [OCTETS], b""),
        ({"statusCode": 200, "body": "grün"}, 200, "OK", [OCTETS], "grün".encode()),
        ({"statusCode": 404, "statusDescription": "404 Nothing here"}, 404, "Nothing here", [OCTETS], b""),
        ({"statusCode": 418, "statusDescription": "nonsense"}, 418, "I'm a Teapot", [OCTETS], b""),
        ({"statusCode": 299}, 299, "", [OCTETS], b""),
        ({"statusCode": 200, "headers": {"content-type": "a/b", "X-A": "1"}}, 200, "OK",
         [("content-type", "a/b"), ("X-A", "1")], b""),
        ({"statusCode": 200, "headers": {"Connection": "close", "Transfer-Encoding": "chunked",
          "Keep-Alive": "x", "Upgrade": "h2c", "Content-Length": "999"}, "body": "x"}, 200, "OK",
         [OCTETS], b"x"),
        ({"statusCode": 200, "headers": {"X": " \tü "}}, 200, "OK", [("X", "ü"), OCTETS], b""),
        ({"statusCode": 200, "multiValueHeaders": {"X-A": ["1"]}}, 200, "OK", [OCTETS], b""),
        ({"statusCode": 200, "multiValueHeaders": None}, 200, "OK", [OCTETS], b""),
        ({"statusCode": 200, "isBase64Encoded": True, "body": "AP8="}, 200, "OK", [OCTETS], b"\0\xff"),
        ({"statusCode": 204, "body": "x"}, 204, "No Content", [OCTETS], b""),
        ({"statusCode": 304, "body": "x"}, 304, "Not Modified", [OCTETS], b""),
        ({"statusCode": 599, "cookies": ["unknown keys are ignored"]}, 599, "", [OCTETS], b""),
    ],
)  # fmt: skip
def test_answers(answer, status, reason, headers, body):
    seen = response(json.dumps(answer).encode(), None)
    assert (seen.status, seen.reason.lower(), seen.headers, seen.body) == (
        status,
        reason.lower(),
        headers,
        body,
    )


def test_answers_with_multi_value_headers():
    many = {"Set-Cookie": ["a=1", "b=2"], "Content-Type": ["text/plain"]}
    answer = {"statusCode": 200, "headers": {"X-A": "lost"}, "multiValueHeaders": many}
    assert response(json.dumps(answer).encode(), None, True).headers == [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Content-Type", "text/plain"),
    ]
    assert response(b'{"statusCode": 200, "headers": {"X-A": "1"}}', None, True).headers == [OCTETS]


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"no JSON", b"null", b'"text"', b"[]", b"{}",
        b'{"statusCode": null}', b'{"statusCode": "200"}', b'{"statusCode": true}', b'{"statusCode": 200.5}',
        b'{"statusCode": 99}', b'{"statusCode": 100}', b'{"statusCode": 600}',
        b'{"statusCode": 200, "statusDescription": null}', b'{"statusCode": 200, "statusDescription": 200}',
        b'{"statusCode": 200, "body": null}', b'{"statusCode": 200, "body": {"a": 1}}',
        b'{"statusCode": 200, "headers": null}', b'{"statusCode": 200, "headers": []}',
        b'{"statusCode": 200, "headers": {"Content-Length": 3}}',
        b'{"statusCode": 200, "headers": {"A": true}}', b'{"statusCode": 200, "headers": {"A": "\\ud800"}}',
        b'{"statusCode": 200, "headers": {"A": ["1"]}}', b'{"statusCode": 200, "headers": {"a b": "1"}}',
        b'{"statusCode": 200, "headers": {"A": "1\\r\\nB: 2"}}',
        b'{"statusCode": 200, "isBase64Encoded": "true"}', b'{"statusCode": 200, "isBase64Encoded": null}',
        b'{"statusCode": 200, "isBase64Encoded": true, "body": "not base64!"}',
    ],
)  # fmt: skip
def test_malformed_answers(payload):
    with pytest.raises(InvalidAnswer) as error:
        response(payload, None)
    assert error.value.code == "LambdaInvalidResponse"


def test_one_megabyte_and_a_byte_more():
    frame = len('{"statusCode": 200, "body": ""}')
    fits = json.dumps({"statusCode": 200, "body": "x" * (MAX_BODY - frame)}).encode()
    assert len(response(fits, None).body) == MAX_BODY - frame
    with pytest.raises(InvalidAnswer) as error:
        response(fits.replace(b"xx", b"xxx", 1), None)
    assert error.value.code == "LambdaResponseTooLarge"


def test_a_functions_error_is_no_answer():
    with pytest.raises(InvalidAnswer) as error:
        response(b'{"statusCode": 200}', "Unhandled")
    assert error.value.code == "LambdaUnhandled"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request("GET", "/", []), None),
        (Request("OPTIONS", "*", []), None),
        (Request("TRACE", "/", []), 405),
        (Request("CONNECT", "example.com:443", []), 400),
        (Request("GET", "/" + "x" * 16 * 1024, []), 414),
        (Request("GET", "/" + "x" * (16 * 1024 - 1), []), None),
        (Request("GET", "/", [("a", "x" * 16 * 1024)]), 400),
        (Request("GET", "/", [("X-Forwarded-For", ", ".join(["10.0.0.1"] * 30))]), None),
        (Request("GET", "/", [("X-Forwarded-For", ", ".join(["10.0.0.1"] * 31))]), 463),
    ],
)
def test_refusals(request_, status):
    assert own_answers.refusal(request_) == status


@pytest.mark.parametrize(
    ("status", "title", "size"),  # sizes as seen on AWS
    [(502, "502 Bad Gateway", 122), (503, "503 Service Temporarily Unavailable", 162), (463, "463", None)],
)
def test_the_balancers_own_pages(status, title, size):
    page = own_answers.page(status)
    assert f"<title>{title}</title>".encode() in page.body
    assert size is None or len(page.body) == size
    assert page.headers == [("Server", "awselb/2.0"), ("Content-Type", "text/html")]


@pytest.mark.parametrize(
    ("action", "target", "location"),
    [
        (Redirect(301, protocol="HTTPS", port="443"), "/a/b?c=d", "https://h.example:443/a/b?c=d"),
        (Redirect(301, protocol="HTTPS", port="443"), "/", "https://h.example:443/"),
        (
            Redirect(302, host="x.#{host}", path="/new/#{path}", query=""),
            "/a?c=d",
            "http://x.h.example:80/new/a",
        ),
    ],
)
def test_redirects(action, target, location):
    assert own_answers.location(action, Request("GET", target, [("Host", "h.example")])) == location


@pytest.mark.parametrize(
    ("matcher", "status", "matches"),
    [
        ("200", 200, True), ("200", 201, False), ("200,202", 202, True), ("200,202", 201, False),
        ("200-299", 299, True), ("200-299", 300, False), ("200-201,404", 404, True),
    ],
)  # fmt: skip
def test_matchers(matcher, status, matches):
    assert HealthCheck(matcher=matcher).matches(status) is matches


def test_thresholds():
    settings = HealthCheck(enabled=True, healthy_threshold=3, unhealthy_threshold=2)
    count = HealthCount()
    bad = mismatch(503)
    states = [count.health.state]
    for failure in [bad, None, bad, bad, None, None, bad, None, None, None]:
        count.add(failure, settings)
        states.append(count.health.state)
    assert states == ["initial", "initial", "healthy", "healthy", *["unhealthy"] * 6, "healthy"]


def test_a_new_target_that_fails_is_unhealthy_after_the_threshold():
    settings, count = HealthCheck(enabled=True, unhealthy_threshold=2), HealthCount()
    assert count.health.reason == "Elb.RegistrationInProgress"
    count.add(mismatch(500), settings)
    assert (count.health.state, count.health.reason) == ("initial", "Elb.InitialHealthChecking")
    count.add(mismatch(500), settings)
    assert count.health == mismatch(500)
