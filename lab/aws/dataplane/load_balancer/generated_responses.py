"""Responses of the load balancer itself, without a target.

Status codes and their causes:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

from lab.aws.dataplane.load_balancer.events import MAX_HEADERS, Request, Response, phrase, size

SERVER = ("Server", "awselb/2.0")
_HTML = ("Content-Type", "text/html")

# The load balancer's phrases that differ from the current RFC.
_PHRASES = {
    405: "Not Allowed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    463: "",
    503: "Service Temporarily Unavailable",
}


def page(status: int) -> Response:
    """The load balancer's small HTML page for a status code."""
    reason = _PHRASES.get(status, phrase(status))
    title = f"{status} {reason}".strip()
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, reason, [SERVER, _HTML], body.encode())


def refusal(request: Request) -> int | None:
    """The status code of a request that is rejected before any action."""
    if request.method == "TRACE":
        return 405
    if request.method == "CONNECT" or not (request.target.startswith("/") or request.target == "*"):
        return 400
    if len(request.target) > 16 * 1024:
        return 414
    if size(request.headers) > MAX_HEADERS or any(size([header]) > 16 * 1024 for header in request.headers):
        return 400
    if len((request.header("x-forwarded-for") or "").split(",")) > 30:
        return 463
    return None


def is_upgrade(request: Request) -> bool:
    """Whether the client requests WebSocket, which Lambda targets do not support."""
    return (request.header("upgrade") or "").lower() == "websocket"
