"""One place on a request's way, and what is known of it."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["passed", "refused", "unknown", "never"]


@dataclass
class Hop:
    """One place on the way: how it was called, what it answered, and how long that took.

    `called` is the address that its caller used, `address` its own; `server` and `client` are the names in
    the certificates that it and its caller showed; `seconds` go from the request's first byte to the answer's
    last.
    """

    name: str
    where: str
    state: State = "never"
    status: str = ""
    why: str = ""
    seconds: float | None = None
    called: str = ""
    address: str = ""
    protocol: str = ""
    tls: str = ""
    server: str = ""
    client: str = ""
    entry: dict[str, Any] = field(default_factory=dict)


def certificate(entry: dict[str, Any], side: Literal["upstream", "downstream"]) -> str:
    """The name in the certificate that this side showed an Envoy: the subject, or else its SAN."""
    return str(
        entry.get(f"{side}_subject") or entry.get(f"{side}_uri_san") or entry.get(f"{side}_dns_san") or ""
    )


def short(name: str) -> str:
    """A SPIFFE id without its trust domain: spiffe://…/ns/<namespace>/sa/<service account>."""
    return re.sub(r"^spiffe://[^/]+/", "spiffe://…/", name)


def milliseconds(seconds: float | None) -> str:
    """E.g. "12.3 ms"; nothing where it is not known."""
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"
