"""HTTP requests to Lambda events, and Lambda's answers to HTTP responses: pure functions.

The rules: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

import base64
import binascii
import json
import re
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus

MAX_BODY = 1024 * 1024  # bytes, of the request's body, and of the answer's JSON
# https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html#http-header-limits
MAX_HEADERS, MAX_RESPONSE_HEADERS = 64 * 1024, 32 * 1024  # bytes
HEALTH_CHECKER = "ELB-HealthChecker/2.0"
Headers = list[tuple[str, str]]

_TEXT = re.compile(r"(text/.*|application/(json|javascript|xml))", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\0-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


@dataclass
class Request:
    """The client's request; `target` is path and query, as sent."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    version: str = "HTTP/1.1"
    client: str = "127.0.0.1"
    scheme: str = "http"
    port: int = 80
    too_large: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The last value of a header; `name` in lower case."""
        return next((value for key, value in reversed(self.headers) if key.lower() == name), None)


@dataclass(frozen=True)
class Response:
    """The response to the client, without the connection's headers."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""


class LambdaError(Exception):
    """No valid answer for the client; `code` is the access log's error reason."""

    def __init__(self, code: str, why: str) -> None:
        self.code = code
        super().__init__(f"{code}: {why}")


class InvalidRequestError(LambdaError):
    """The request cannot be converted to an event."""


class InvalidResponseError(LambdaError):
    """The function's answer is not a response."""


def request_event(request: Request, target_group_arn: str, multi_value_headers: bool = False) -> bytes:
    """The event of a request, as JSON. Without multi-value headers, the last value of a name is used.

    Raises InvalidRequestError if headers or text are not UTF-8 (error reason LambdaBadRequest).
    """
    body, is_base64 = _event_body(request)
    query = [pair.partition("=")[::2] for pair in request.query.split("&") if pair]
    headers = [(name.lower(), value) for name, value in request.headers]
    return _event(
        target_group_arn, request.method, request.path, query, headers, body, is_base64, multi_value_headers
    )


def health_check_event(target_group_arn: str, path: str, multi_value_headers: bool = False) -> bytes:
    """The event of a health check, recognizable by its user agent."""
    headers = [("user-agent", HEALTH_CHECKER)]
    return _event(target_group_arn, "GET", path, [], headers, "", False, multi_value_headers)


def text(data: bytes) -> str:
    """The client's bytes as text; invalid UTF-8 is kept as surrogates."""
    return data.decode(errors="surrogateescape")


def trace_id(received: str | None) -> str:
    """X-Amzn-Trace-Id: a new Root; or if there is a Root, a Self before it. Other fields are kept.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
    """
    ours = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    fields = [part.strip() for part in (received or "").split(";") if part.strip()]
    fields = [part for part in fields if not part.startswith("Self=")]
    name = "Self" if any(part.startswith("Root=") for part in fields) else "Root"
    return ";".join([f"{name}={ours}", *fields])


def response(payload: bytes, function_error: str | None, multi_value_headers: bool = False) -> Response:
    """The response for a function's answer. Raises InvalidResponseError (the client gets 502).

    Only statusCode is required, as a number; no value may be null. AWS's page requires more; the service's
    actual behavior: awsdocs/elb-application-load-balancers-user-guide#33, adamchainz/apig-wsgi#52,
    aws/aws-lambda-go#207, jeremydaly/lambda-api#117 on GitHub. The default Content-Type is octet-stream.
    """
    if function_error:
        raise InvalidResponseError("LambdaUnhandled", payload.decode(errors="replace"))
    if len(payload) > MAX_BODY:
        raise InvalidResponseError("LambdaResponseTooLarge", f"{len(payload)} bytes")
    try:
        answer = json.loads(payload)
    except ValueError as error:
        raise _invalid(str(error)) from error
    if not isinstance(answer, dict):
        raise _invalid("not an object")
    status = _typed(answer, "statusCode", int, None)
    if status is None or not 200 <= status <= 599:
        raise _invalid(f"statusCode {status}")
    body = _response_body(answer)
    headers = _response_headers(answer, multi_value_headers)
    return Response(status, _reason(answer, status), headers, b"" if status in (204, 304) else body)


def _event(arn, method, path, query, headers, body, is_base64, multi) -> bytes:
    prefix = ("multiValueQueryStringParameters", "multiValueHeaders")
    names = prefix if multi else ("queryStringParameters", "headers")
    collect = _lists if multi else dict
    event = {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": method,
        "path": path,
        names[0]: collect(query),
        names[1]: collect(headers),
        "body": body,
        "isBase64Encoded": is_base64,
    }
    try:
        return json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError("LambdaBadRequest", "not UTF-8") from error


def _lists(pairs) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _event_body(request: Request) -> tuple[str, bool]:
    content_type = (request.header("content-type") or "").partition(";")[0].strip()
    if not request.body:
        return "", False
    if _TEXT.fullmatch(content_type) and not request.header("content-encoding"):
        return text(request.body), False
    return base64.b64encode(request.body).decode(), True


def _response_body(answer: dict) -> bytes:
    body = _typed(answer, "body", str, "")
    if not _typed(answer, "isBase64Encoded", bool, False):
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"body: {error}") from error


def _response_headers(answer: dict, multi: bool) -> Headers:
    """The headers in the form that the target group's attribute requires; the other form is ignored."""
    headers: Headers = []
    for name, values in _typed(answer, "multiValueHeaders" if multi else "headers", dict, {}).items():
        for value in values if multi and isinstance(values, list) else [values]:
            if not (isinstance(value, str) and _VALUE.fullmatch(value) and _TOKEN.fullmatch(name)):
                raise _invalid(f"header {name}: {value!r}")
            headers.append((name, value.strip(" \t")))
    kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP | {"content-length"}]
    if size(kept) > MAX_RESPONSE_HEADERS:
        raise _invalid(f"headers of more than {MAX_RESPONSE_HEADERS} bytes")
    if not any(name.lower() == "content-type" for name, _ in kept):
        kept.append(("Content-Type", "application/octet-stream"))
    return kept


def size(headers: Headers) -> int:
    """The size in bytes in HTTP/1.1."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _reason(answer: dict, status: int) -> str:
    """The phrase after the number in statusDescription ("200 OK"), or the standard one."""
    description = _typed(answer, "statusDescription", str, "")
    if match := re.fullmatch(r"\d{3} ([\t -~]+)", description):
        return match[1]
    return phrase(status)


def phrase(status: int) -> str:
    """The standard reason phrase; "" if the status code has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _typed(answer: dict, name: str, kind: type, default):
    value = answer.get(name, default)
    # A bool is an int in Python, not in JSON.
    if name in answer and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise _invalid(f"{name} is {json.dumps(value)[:100]}")
    return value


def _invalid(why: str) -> InvalidResponseError:
    return InvalidResponseError("LambdaInvalidResponse", why)
