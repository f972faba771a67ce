"""The ALB's rules in detail; test_alb_requests.py and test_alb_responses.py test them as a client."""

import base64
import json
import re

import pytest

from lab.aws.dataplane.load_balancer import generated_responses
from lab.aws.dataplane.load_balancer.events import (
    InvalidResponseError,
    Request,
    health_check_event,
    request_event,
    response,
    trace_id,
)
from lab.aws.dataplane.load_balancer.health import HealthCheck, HealthCount, mismatch

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/0123456789abcdef"
TRACE = "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520"


def event(multi: bool = False, method: str = "GET", target: str = "/", headers=(), **values) -> dict:
    request = Request(method, target, list(headers), client="10.0.1.7", **values)
    return json.loads(request_event(request, ARN, multi))


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
    [
        "text/plain",
        "text/html; charset=utf-8",
        "application/json",
        "APPLICATION/JSON;x=y",
        "application/javascript",
        "application/xml",
    ],
)
def test_text_bodies_are_unchanged(content_type):
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


@pytest.mark.parametrize("payload", [b"", b"no JSON"])
def test_malformed_results_that_the_runtime_client_never_returns(payload):
    with pytest.raises(InvalidResponseError) as error:
        response(payload, None)
    assert error.value.code == "LambdaInvalidResponse"


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
def test_rejected_requests(request_, status):
    assert generated_responses.refusal(request_) == status


@pytest.mark.parametrize(
    ("status", "title", "size"),  # sizes as observed on AWS
    [(502, "502 Bad Gateway", 122), (503, "503 Service Temporarily Unavailable", 162), (463, "463", None)],
)
def test_the_load_balancers_own_pages(status, title, size):
    page = generated_responses.page(status)
    assert f"<title>{title}</title>".encode() in page.body
    assert size is None or len(page.body) == size
    assert page.headers == [("Server", "awselb/2.0"), ("Content-Type", "text/html")]


@pytest.mark.parametrize(
    ("matcher", "status", "matches"),
    [
        ("200", 200, True),
        ("200", 201, False),
        ("200,202", 202, True),
        ("200,202", 201, False),
        ("200-299", 299, True),
        ("200-299", 300, False),
        ("200-201,404", 404, True),
    ],
)
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


def test_a_failing_new_target_is_unhealthy_after_the_threshold():
    settings, count = HealthCheck(enabled=True, unhealthy_threshold=2), HealthCount()
    assert count.health.reason == "Elb.RegistrationInProgress"
    count.add(mismatch(500), settings)
    assert (count.health.state, count.health.reason) == ("initial", "Elb.InitialHealthChecking")
    count.add(mismatch(500), settings)
    assert count.health == mismatch(500)
