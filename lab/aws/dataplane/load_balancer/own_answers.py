"""What the balancer answers without asking a target.

Which status code stands for what:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

from lab.aws.dataplane.load_balancer.events import MAX_HEADERS, Request, Response, phrase, size

SERVER = ("Server", "awselb/2.0")
_HTML = ("Content-Type", "text/html")

# The balancer's phrases where they are not the ones of today's RFC.
_PHRASES = {
    405: "Not Allowed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    463: "",
    503: "Service Temporarily Unavailable",
}


def page(status: int) -> Response:
    """The balancer's small HTML page for a status code."""
    reason = _PHRASES.get(status, phrase(status))
    title = f"{status} {reason}".strip()
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, reason, [SERVER, _HTML], body.encode())


def refusal(request: Request) -> int | None:
    """The status code for a request that no action gets to see."""
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
    """Whether the client wants to speak WebSocket, which Lambda targets cannot."""
    return (request.header("upgrade") or "").lower() == "websocket"
