"""Which requests different servers may read differently: the desync mitigation mode `defensive`, the default.

Acceptable requests pass, ambiguous ones do, too, but end their connection; severe ones are no HTTP for h11.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html#desync-mitigation-mode
The rules are those of AWS's library for it: https://github.com/aws/http-desync-guardian
"""

import re

from lab.aws.dataplane.load_balancer.events import Request

ACCEPTABLE, AMBIGUOUS = "Acceptable", "Ambiguous"
_ESSENTIAL = {"transfer-encoding", "content-length"}
_LOOKALIKES = {name.replace("-", "") for name in _ESSENTIAL}


def classify(request: Request) -> tuple[str, str]:
    """Classification and reason as in the access log: "-" for a request that complies with RFC 7230."""
    names = {name.lower() for name, _ in request.headers}
    chunked, length = "transfer-encoding" in names, request.header("content-length")
    bodiless = request.method in ("GET", "HEAD")
    if any(_letters(name) in _LOOKALIKES for name in names - _ESSENTIAL):
        return AMBIGUOUS, "SuspiciousHeader"
    if chunked and (bodiless or request.version == "HTTP/1.0"):
        return AMBIGUOUS, "UndefinedTransferEncodingSemantics"
    if bodiless and length is not None and int(length) > 0:
        return AMBIGUOUS, "UndefinedContentLengthSemantics"
    if chunked and length is not None:
        return AMBIGUOUS, "BothTeClPresent"
    if any(re.search(r"[^\t -~]", value) for _, value in request.headers):
        return ACCEPTABLE, "NonCompliantHeader"
    if bodiless and length is not None:
        return ACCEPTABLE, "GetHeadZeroContentLength"
    if request.version not in ("HTTP/1.0", "HTTP/1.1"):
        return ACCEPTABLE, "NonCompliantVersion"
    return "-", "-"


def _letters(name: str) -> str:
    return re.sub("[^a-z]", "", name)
