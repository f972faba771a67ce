"""A proxy on 127.0.0.1 in front of a cloud's API; for each call, a judge decides what happens."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

READS = re.compile(r"(Describe|List|Get|Filter|Simulate)")
IDS = re.compile(r"[0-9a-f]{8,}|\d{6,}|%3A|\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Call:
    """One request. `protocol` determines the format of errors; `what` is the same in every run."""

    service: str
    operation: str
    changes: bool
    protocol: str
    what: str

    def __str__(self) -> str:
        return f"{self.service} {self.operation}"


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


Send = Callable[[], Answer]
Judge = Callable[[Call, Send], Answer | None]  # None: the connection is closed without a response


class Proxy:
    """Until `close`, http://127.0.0.1:<port> stands in for `upstream`; `judge` decides about each call."""

    def __init__(self, upstream: str, judge: Judge) -> None:
        target, proxy = urlsplit(upstream), self
        self.judge = judge

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):  # the client has disconnected
                    self.close_connection = True

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                call = read(self.command, self.path, self.headers, body)
                send = lambda: _send(target.netloc, self.command, self.path, self.headers, body)  # noqa: E731
                answer = proxy.judge(call, send)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _pass

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _send(netloc: str, method: str, path: str, headers: HTTPMessage, body: bytes) -> Answer:
    connection = HTTPConnection(netloc, timeout=300)
    try:
        # The Host header stays the proxy's: it is signed.
        kept = {name: value for name, value in headers.items() if name.lower() != "connection"}
        connection.request(method, path, body, {**kept, "Connection": "close"})
        answer = connection.getresponse()
        dropped = ("content-length", "transfer-encoding", "connection")
        shown = [(name, value) for name, value in answer.getheaders() if name.lower() not in dropped]
        return Answer(answer.status, shown, answer.read())
    finally:
        connection.close()


def read(method: str, path: str, headers: HTTPMessage, body: bytes) -> Call:
    """The operation of a request, in AWS's three protocols or Google's one."""
    text = body.decode(errors="replace")
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", headers.get("Authorization", ""))
    service = scope[1] if scope else "google"
    if target := headers.get("X-Amz-Target"):
        operation, protocol = target.rpartition(".")[2], "json"
    elif service != "google" and (action := parse_qs(text).get("Action")):
        operation, protocol = action[0], "ec2" if service == "ec2" else "query"
    else:
        # For S3, the query string names the bucket setting.
        asked = path if service == "s3" else urlsplit(path).path
        operation = f"{method} {IDS.sub('#', asked)}"
        protocol = {"google": "google", "route53": "query", "s3": "s3"}.get(service, "rest-json")
    reads = READS.match(operation) or method == "GET" or path == "/token"
    key = f"{service} {operation} {IDS.sub('#', text)[:2000] if protocol != 'rest-json' else ''}"
    return Call(service, operation, not reads, protocol, key)


def throttled(call: Call) -> Answer:
    """A throttling error in the service's own format."""
    if call.protocol == "google" and "/compute/" in call.operation:
        errors = (
            '[{"message": "Rate Limit Exceeded", "domain": "usageLimits", "reason": "rateLimitExceeded"}]'
        )
        body = f'{{"error": {{"code": 403, "message": "Rate Limit Exceeded", "errors": {errors}}}}}'
        return Answer(403, [("Content-Type", "application/json")], body.encode())
    if call.protocol == "google":
        body = '{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}'
        return Answer(429, [("Content-Type", "application/json")], body.encode())
    error = "<Error><Code>{}</Code><Message>Rate exceeded</Message></Error>"
    if call.protocol == "ec2":
        xml = f"<Response><Errors>{error.format('RequestLimitExceeded')}</Errors></Response>"
        return Answer(503, [("Content-Type", "text/xml")], xml.encode())
    if call.protocol == "s3":
        return Answer(503, [("Content-Type", "application/xml")], error.format("SlowDown").encode())
    if call.protocol == "query":
        xml = f"<ErrorResponse>{error.format('Throttling')}</ErrorResponse>"
        return Answer(400, [("Content-Type", "text/xml")], xml.encode())
    kind = "TooManyRequestsException" if call.protocol == "rest-json" else "ThrottlingException"
    shown = [("Content-Type", "application/json"), ("x-amzn-ErrorType", kind)]
    return Answer(429, shown, f'{{"__type": "{kind}", "message": "Rate exceeded"}}'.encode())


def unavailable(call: Call) -> Answer:
    """A 503 from something in front of the service, in no particular format."""
    return Answer(503, [("Content-Type", "text/html")], b"<html><body>Service Unavailable</body></html>")


SLOW = 2.5  # seconds: longer than the timeout of a test's client


def slow(send: Send) -> None:
    """The service handles the request, but responds only after the client has timed out."""
    send()
    time.sleep(SLOW)
