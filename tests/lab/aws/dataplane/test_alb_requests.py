"""What a function receives of a request, and which requests never reach it: two tables.

A real listener, the real curl over HTTP/1.1 in the clear and over HTTP/2 with TLS, AWS's own runtime client.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

import re
from dataclasses import dataclass, field

import pytest

from tests.lab.aws.dataplane.alb import GROUP_ARN, HOST, ask, run_curl, versions

MEGABYTE = 1024 * 1024
ROOT = "Root=1-67891233-abcdef012345678912345678"
TEXT, JSON, IMAGE = "Content-Type: text/plain", "Content-Type: application/json", "Content-Type: image/png"
FORM = "Content-Type: application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Sent:
    """A request, and the parts of it that are in the event.

    `query` and `headers` have all values, as does the event with the target group's attribute
    lambda.multi_value_headers.enabled; by default it has the last value. None: must be missing.
    """

    what: str
    path: str = "/"
    curl: tuple[str, ...] = ()
    body: bytes | None = None
    event: dict = field(default_factory=dict)
    query: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)


def header(*lines: str) -> tuple[str, ...]:
    return tuple(argument for line in lines for argument in ("-H", line))


def text(seen: str) -> dict:
    return {"body": seen, "isBase64Encoded": False}


def base64(seen: str) -> dict:
    return {"body": seen, "isBase64Encoded": True}


EVENTS = [
    Sent("GET", curl=("-X", "GET"), event={"httpMethod": "GET"}),
    Sent("POST", curl=("-X", "POST"), event={"httpMethod": "POST"}),
    Sent("PUT", curl=("-X", "PUT"), event={"httpMethod": "PUT"}),
    Sent("PATCH", curl=("-X", "PATCH"), event={"httpMethod": "PATCH"}),
    Sent("DELETE", curl=("-X", "DELETE"), event={"httpMethod": "DELETE"}),
    Sent("OPTIONS", curl=("-X", "OPTIONS"), event={"httpMethod": "OPTIONS"}),
    Sent("any other method", curl=("-X", "PURGE"), event={"httpMethod": "PURGE"}),
    # Path and query
    Sent("a path is not decoded", "/a%20b/%2F", event={"path": "/a%20b/%2F"}),
    Sent("a path is not normalised", "/a//b/../c", ("--path-as-is",), event={"path": "/a//b/../c"}),
    Sent("a query is not decoded", "/?a=%26%C3%BC+x", query={"a": ["%26%C3%BC+x"]}),
    Sent("nor are its keys", "/?%61=1&a=2", query={"%61": ["1"], "a": ["2"]}),
    Sent("a repeated key", "/?&k=1&&k=2", query={"k": ["1", "2"]}),
    Sent("keys are case-sensitive", "/?k=1&K=2", query={"k": ["1"], "K": ["2"]}),
    Sent("a key without a value", "/?a&b=", query={"a": [""], "b": [""]}),
    Sent("= and ? in a value", "/?a=b=c?d", query={"a": ["b=c?d"]}),
    # Headers
    Sent("names in lower case", curl=header("X-A: 1"), headers={"x-a": ["1"], "X-A": None}),
    Sent("a repeated header", curl=header("X-A: 1", "x-a: 2"), headers={"x-a": ["1", "2"]}),
    Sent("a list is one value", curl=header("X-A: 1, 2"), headers={"x-a": ["1, 2"]}),
    Sent("Host", curl=header("Host: example.org"), headers={"host": ["example.org"]}),
    Sent("a name with _", curl=header("X_A: 1"), headers={"x_a": ["1"]}),
    Sent("an empty value", curl=header("X-A;"), headers={"x-a": [""]}),
    Sent("UTF-8", curl=header("X-A: grün"), headers={"x-a": ["grün"]}),
    Sent("16 KB", curl=header("X-A: " + "x" * 16_000), headers={"x-a": ["x" * 16_000]}),
    Sent("X-Forwarded-For is made", headers={"x-forwarded-for": ["127.0.0.1"]}),
    Sent(
        "X-Forwarded-For is appended to",
        curl=header("X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"),
        headers={"x-forwarded-for": ["192.0.2.1, 192.0.2.2, 127.0.0.1"]},
    ),
    # Bodies
    Sent("no body", event=text("")),
    Sent("an empty body", curl=("-X", "POST"), body=b"", event=text("")),
    Sent("text", curl=header(TEXT), body="grün\n".encode(), event=text("grün\n")),
    Sent("JSON", curl=header(f"{JSON}; charset=utf-8"), body=b'{"a": 1}', event=text('{"a": 1}')),
    Sent("bytes", curl=header(IMAGE), body=b"\x00\xff", event=base64("AP8=")),
    Sent("a body of no type", curl=header("Content-Type:"), body=b"a=1", event=base64("YT0x")),
    Sent("a form is no text", curl=header(FORM), body=b"a=1", event=base64("YT0x")),
    Sent("compressed text", curl=header(TEXT, "Content-Encoding: br"), body=b"a=1", event=base64("YT0x")),
    Sent("chunks", curl=header(TEXT, "Transfer-Encoding: chunked"), body=b"abc", event=text("abc")),
    Sent("a body of GET", curl=(*header(TEXT), "-X", "GET"), body=b"abc", event=text("abc")),
    Sent("100-continue", curl=header(TEXT, "Expect: 100-continue"), body=b"abc", event=text("abc")),
]


@versions
@pytest.mark.parametrize("multi", [False, True], ids=["single", "multi"])
@pytest.mark.parametrize("sent", EVENTS, ids=lambda sent: sent.what)
def test_what_the_function_receives(alb, version, multi, sent):
    alb.group.multi_value_headers = multi
    event = ask(alb, version, sent.path, *sent.curl, body=sent.body).json
    headers = event["multiValueHeaders" if multi else "headers"]
    query = event["multiValueQueryStringParameters" if multi else "queryStringParameters"]
    seen = {name: headers.get(name) for name in sent.headers}
    assert (query, seen) == (expected(sent.query, multi), expected(sent.headers, multi))
    assert sent.event.items() <= event.items()


def expected(values: dict[str, list[str] | None], multi: bool) -> dict:
    return {name: every if multi or every is None else every[-1] for name, every in values.items()}


@versions
def test_a_complete_event(alb, version):
    event = ask(alb, version, "/hello?a=1", "-A", "tester/1").json
    https = version == "HTTP/2"
    port = alb.https if https else alb.http
    trace = event["headers"].pop("x-amzn-trace-id")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    assert event == {
        "requestContext": {"elb": {"targetGroupArn": GROUP_ARN}},
        "httpMethod": "GET",
        "path": "/hello",
        "queryStringParameters": {"a": "1"},
        "headers": {
            "host": f"{HOST if https else '127.0.0.1'}:{port}",
            "user-agent": "tester/1",
            "accept": "*/*",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": str(port),
            "x-forwarded-proto": "https" if https else "http",
        },
        "body": "",
        "isBase64Encoded": False,
    }


@versions
def test_head(alb, version):
    answer = ask(alb, version, "/", "--head")
    assert (answer.status, answer.body, answer.headers["x-method"]) == (200, b"", "HEAD")
    assert int(answer.headers["content-length"]) > 300


@versions
def test_the_load_balancers_own_headers_cannot_be_forged(alb, version):
    lines = header("X-Forwarded-Proto: gopher", "X-Forwarded-Port: 70", f"X-Amzn-Trace-Id: {ROOT};By=me")
    seen = ask(alb, version, "/", *lines).json["headers"]
    proto, port = ("https", alb.https) if version == "HTTP/2" else ("http", alb.http)
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == (proto, str(port))
    assert re.fullmatch(rf"Self=1-[0-9a-f]{{8}}-[0-9a-f]{{24}};{ROOT};By=me", seen["x-amzn-trace-id"])
    beyond_7_kb = ask(alb, version, "/", *lines, "-H", "X: " + "x" * 7168).json["headers"]
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", beyond_7_kb["x-amzn-trace-id"])


@pytest.mark.parametrize(("version", "seen"), [("HTTP/1.1", "b=2"), ("HTTP/2", "a=1; b=2")])
def test_cookies_split_by_http2_are_joined(alb, version, seen):
    answer = ask(alb, version, "/", "-H", "Cookie: a=1", "-H", "Cookie: b=2")
    assert answer.json["headers"]["cookie"] == seen


@versions
@pytest.mark.parametrize("how", [[], ["Expect:"], ["Expect: 100-continue"], ["Transfer-Encoding: chunked"]])
def test_a_body_of_one_megabyte_and_one_byte_more(alb, version, how):
    arguments = header(IMAGE, *how)
    assert ask(alb, version, "/size", *arguments, body=b"x" * MEGABYTE).body == b"1048576"
    answer = ask(alb, version, "/size", *arguments, body=b"x" * (MEGABYTE + 1))
    assert (answer.status, answer.headers["server"]) == (413, "awselb/2.0")
    assert alb.records[-1]["error_reason"] == "LambdaRequestTooLarge"
    assert ask(alb, version, "/size").body == b"0"


UPGRADE = header("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
BOTH, CLEAR = ("HTTP/1.1", "HTTP/2"), ("HTTP/1.1",)


@pytest.mark.parametrize(
    ("what", "path", "arguments", "over", "status"),
    [
        ("TRACE", "/", ["-X", "TRACE"], BOTH, 405),
        ("CONNECT", "/", ["-X", "CONNECT"], CLEAR, 400),
        ("WebSocket", "/", UPGRADE, CLEAR, 400),
        ("a request line of 16 KB", "/" + "x" * 16 * 1024, [], BOTH, 414),
        ("a header of 16 KB", "/", header("X: " + "x" * 16 * 1024), BOTH, 400),
        ("headers of 64 KB", "/", header(*(f"X{n}: " + "x" * 11_000 for n in range(6))), CLEAR, 400),
        ("31 addresses", "/", header("X-Forwarded-For: " + ", ".join(["192.0.2.1"] * 31)), BOTH, 463),
        ("a header that is not UTF-8", "/", header("X: \udce9"), BOTH, 502),
        ("text that is not UTF-8", "/", (*header(TEXT), "--data-binary", "\udce9"), BOTH, 502),
    ],
)
def test_requests_that_never_reach_the_function(alb, what, path, arguments, over, status):
    for version in over:
        answer = ask(alb, version, path, *arguments)
        assert (answer.status, answer.headers["server"]) == (status, "awselb/2.0"), what
        assert alb.records[-1]["target_status_code"] == "-"


@pytest.mark.parametrize(("version", "code"), [("1.1", 35), ("1.2", 0), ("1.3", 0)])
def test_tls_versions(alb, version, code):
    old = ["--ciphers", "DEFAULT:@SECLEVEL=0"]  # otherwise OpenSSL itself would not offer old versions
    done = run_curl(f"--tlsv{version}", "--tls-max", version, *old, *alb.tls())
    assert (done.returncode, b"alert protocol version" in done.stderr) == (code, code == 35), done.stderr
