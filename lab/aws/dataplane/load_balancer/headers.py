"""With which headers a request is sent to its target.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#load-balancer-attributes
"""

import re

from lab.aws.dataplane.load_balancer.attributes import Attributes
from lab.aws.dataplane.load_balancer.events import Headers, Request

_VALID = re.compile("[-A-Za-z0-9]+")


def forwarded(request: Request, trace_id: str, attributes: Attributes) -> Headers:
    """The request's own headers, and in place of the client's those that the balancer adds."""
    added = [
        ("x-forwarded-port", str(request.port)),
        ("x-forwarded-proto", request.scheme),
        ("x-amzn-trace-id", trace_id),
        *_tls(request, attributes),
    ]
    replaced = {"x-forwarded-for", *(name for name, _ in added)}
    kept = [(name, value) for name, value in request.headers if name.lower() not in replaced]
    if attributes.drop_invalid_header_fields:
        kept = [(name, value) for name, value in kept if _VALID.fullmatch(name)]
    return [*kept, *_forwarded_for(request, attributes), *added]


def _forwarded_for(request: Request, attributes: Attributes) -> Headers:
    """The port counts where an address is appended only: what is preserved is not changed."""
    before = [(name, value) for name, value in request.headers if name.lower() == "x-forwarded-for"]
    if attributes.xff_header_processing == "preserve":
        return before
    if attributes.xff_header_processing == "remove":
        return []
    client = request.client_port if attributes.xff_client_port else request.client
    return [("x-forwarded-for", ", ".join([*(value for _, value in before), client]))]


def _tls(request: Request, attributes: Attributes) -> Headers:
    if not (attributes.tls_version_and_cipher_suite and request.scheme == "https"):
        return []
    return list(zip(("x-amzn-tls-version", "x-amzn-tls-cipher-suite"), request.tls, strict=True))
