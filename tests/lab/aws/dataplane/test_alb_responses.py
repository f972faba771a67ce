"""What a client gets for each result of a function: responses, malformed responses, failures.

A real listener, the real curl over HTTP/1.1 in the clear and over HTTP/2 with TLS, AWS's own runtime client.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html#respond-to-load-balancer
"""

import functools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.lab.aws.dataplane.alb import Alb, Answer, ask, curl, function, until, versions

MEGABYTE = 1024 * 1024
OCTETS = "application/octet-stream"
NO_LENGTH = {"content-length": None}


def answered(alb: Alb, version: str, answer: object, *arguments: str) -> Answer:
    """What curl gets if the function returns `answer`."""
    content = ["-H", "Content-Type: application/json", "-X", "POST", *arguments]
    return ask(alb, version, "/answer", *content, body=json.dumps(answer).encode())


def answer(status: int = 200, **more: object) -> dict:
    return {"statusCode": status, **more}


@dataclass(frozen=True)
class Returned:
    """A function's response and the client's; `headers` are those to check, None: must be missing."""

    what: str
    answer: dict
    status: int = 200
    reason: str = "OK"
    body: bytes = b""
    headers: dict = field(default_factory=dict)


ANSWERS = [
    Returned("the least", answer(), headers={"content-length": "0", "content-type": OCTETS}),
    Returned("text", answer(body="grün"), body="grün".encode(), headers={"content-length": "5"}),
    Returned("base64", answer(isBase64Encoded=True, body="AP8="), body=b"\x00\xff"),
    Returned("not base64", answer(isBase64Encoded=False, body="AP8="), body=b"AP8="),
    Returned("204 has no body", answer(204, body="x"), 204, "No Content", headers=NO_LENGTH),
    Returned("nor has 304", answer(304, body="x"), 304, "Not Modified", headers=NO_LENGTH),
    Returned("an error of its own", answer(502, body="mine"), 502, "Bad Gateway", b"mine"),
    Returned("an unknown status", answer(599), 599, ""),
    Returned("a phrase", answer(404, statusDescription="404 Nothing here"), 404, "Nothing here"),
    Returned("a phrase without number", answer(404, statusDescription="Gone"), 404, "Not Found"),
    Returned("no body", answer(headers={}), headers={"content-length": "0"}),
    Returned("no headers, and null in the other form", answer(headers={}, multiValueHeaders=None)),
    Returned("a header", answer(headers={"X-A": " ü "}), headers={"x-a": "ü"}),
    Returned("its type", answer(headers={"content-type": "a/b"}), headers={"content-type": "a/b"}),
    Returned("the balancer's Server", answer(), headers={"server": "awselb/2.0"}),
    Returned("a Server of its own", answer(headers={"Server": "x"}), headers={"server": "x"}),
    Returned(
        "hop-by-hop headers are not honoured",
        answer(headers={"Transfer-Encoding": "chunked", "Keep-Alive": "x", "Upgrade": "h2c"}),
        headers={"transfer-encoding": None, "keep-alive": None, "upgrade": None},
    ),
    Returned(
        "nor is a length",
        answer(headers={"Content-Length": "999"}, body="x"),
        body=b"x",
        headers={"content-length": "1"},
    ),
    Returned(
        "a redirect",
        answer(302, headers={"Location": "https://example.org/"}),
        302,
        "Found",
        headers={"location": "https://example.org/"},
    ),
    Returned("multi-value headers by default", answer(multiValueHeaders={"X-A": ["1"]}),
             headers={"x-a": None}),
    Returned("keys that nobody knows", answer(cookies=["a=1"]), headers={"set-cookie": None}),
]  # fmt: skip


@versions
@pytest.mark.parametrize("returned", ANSWERS, ids=lambda returned: returned.what)
def test_responses(alb, version, returned):
    answer = answered(alb, version, returned.answer)
    reason = returned.reason if version == "HTTP/1.1" else ""  # HTTP/2 has no reason phrase
    assert (answer.status, answer.reason, answer.body) == (returned.status, reason, returned.body)
    assert {name: answer.headers.get(name) for name in returned.headers} == returned.headers
    assert answer.headers["date"].endswith(" GMT")
    assert alb.record()["target_status_code"] == str(returned.status)


@versions
def test_multi_value_headers(alb, version, tmp_path):
    alb.group.multi_value_headers = True
    headers = tmp_path / "headers"
    many = {"Set-Cookie": ["a=1", "b=2"], "X-One": ["1"]}
    answer = {"statusCode": 200, "headers": {"X-Lost": "1"}, "multiValueHeaders": many}
    assert "x-lost" not in answered(alb, version, answer, "--dump-header", str(headers)).headers
    seen = headers.read_text().lower()
    assert re.findall("set-cookie: (.*)", seen) == ["a=1", "b=2"]
    assert re.findall("x-one: (.*)", seen) == ["1"]


@versions
def test_head_has_the_length_but_no_body(alb, version):
    answer = ask(alb, version, "/large?json=1000", "--head")
    assert (answer.status, answer.body) == (200, b"")
    assert 900 < int(answer.headers["content-length"]) < 1000


@versions
def test_a_response_of_one_megabyte_and_one_byte_more(alb, version):
    answer = ask(alb, version, f"/large?json={MEGABYTE}")
    assert (answer.status, set(answer.body)) == (200, {ord("x")})
    assert len(answer.body) == int(answer.headers["content-length"]) > MEGABYTE - 50
    assert ask(alb, version, f"/large?json={MEGABYTE + 1}").status == 502
    assert alb.records[-1]["error_reason"] == "LambdaResponseTooLarge"


MALFORMED = [
    None, "text", [], {}, 200,
    {"body": "no status"}, {"statusCode": None}, {"statusCode": "200"},
    {"statusCode": True}, {"statusCode": 200.5}, answer(99), answer(100), answer(600),
    answer(statusDescription=None), answer(statusDescription=200),
    answer(body=None), answer(body={"a": 1}), answer(body=1),
    answer(headers=None), answer(headers=[]),
    answer(headers={"A": 3}), answer(headers={"A": True}),
    answer(headers={"A": None}), answer(headers={"A": ["1"]}),
    answer(headers={"a b": "1"}), answer(headers={"A": "1\r\nB: 2"}),
    answer(headers={f"X{n}": "x" * 11_000 for n in range(3)}),  # 32 KB are allowed
    answer(isBase64Encoded="true"), answer(isBase64Encoded=None),
    answer(isBase64Encoded=True, body="not base64!"), answer(isBase64Encoded=True, body="AP8=\r\nAP8="),
    answer(headers={"Content-Length": 5}, body="Hello"),
]  # fmt: skip


@pytest.mark.parametrize("answer", MALFORMED, ids=lambda answer: json.dumps(answer)[:60])
def test_malformed_responses_are_502(alb, answer):
    bad_gateway(alb, answered(alb, "HTTP/1.1", answer), "LambdaInvalidResponse")


def bad_gateway(alb: Alb, answer: Answer, reason: str) -> None:
    """The load balancer's page for 502; the access log has the reason."""
    assert (answer.status, answer.headers["server"]) == (502, "awselb/2.0")
    assert b"<center><h1>502 Bad Gateway</h1></center>" in answer.body
    record = alb.record()
    assert (record["elb_status_code"], record["target_status_code"]) == ("502", "-")
    assert record["error_reason"] == reason


FAILURES = [  # the path tells the function what to do; patterns for the lines of its log
    ("/raise", r"\[ERROR\] RuntimeError: as told\n", r"Max Memory Used: \d+ MB\t"),
    ("/exit", "Error: Runtime exited with error: exit status 1\nRuntime.ExitError\n",
     "\tStatus: error\tError Type: Runtime.ExitError"),
    ("/sleep", r"Z \S+ Task timed out after 1.00 seconds\n", r"Duration: 1000.00 ms\t.*\tStatus: timeout"),
    ("/memory", "Error: Runtime exited with error: signal: killed\nRuntime.OutOfMemory\n",
     "Max Memory Used: 128 MB\t.*\tStatus: error\tError Type: Runtime.OutOfMemory"),
]  # fmt: skip


@versions
@pytest.mark.parametrize(("path", "line", "report"), FAILURES)
def test_a_failing_function_is_502(alb, version, path, line, report):
    log: list[str] = []
    limit = 1 if path == "/sleep" else 20
    alb.functions.deploy(function("f", timeout=limit, log=lambda _group, _stream, lines: log.extend(lines)))
    bad_gateway(alb, ask(alb, version, path), "LambdaUnhandled")
    until(lambda: any(text.startswith("REPORT") for text in log))
    whole = "\n".join([*log, ""])
    assert re.search(line, whole), whole
    assert re.search(rf"REPORT RequestId: \S+\t.*{report}", whole), whole
    assert ask(alb, version, "/count").status == 200


@versions
def test_a_function_that_lambda_does_not_run(alb, version):
    """Throttled or deleted: 502; none registered: 503."""
    alb.functions.reserve("f", 0)
    bad_gateway(alb, ask(alb, version), "LambdaThrottling")
    alb.functions.reserve("f", None)
    assert ask(alb, version).status == 200
    alb.group.register(functools.partial(alb.functions.invoke, "deleted"))
    alb.lines.clear()
    bad_gateway(alb, ask(alb, version), "LambdaResourceNotFound")
    alb.group.deregister()
    assert ask(alb, version).status == 503
    assert curl(alb.url()).headers["server"] == "awselb/2.0"


@versions
def test_more_requests_than_the_reserved_concurrency(alb, version, gate):
    alb.functions.reserve("f", 1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, alb, version, f"/wait?port={gate.port}")
        gate.wait_for(1)
        bad_gateway(alb, ask(alb, version), "LambdaThrottling")
        gate.open()
        assert first.result().status == 200
    alb.functions.reserve("f", None)
