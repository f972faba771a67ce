"""One hop on a request's path: what is known of it, and how each kind of log says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from helpers.pictures import explain

State = Literal["passed", "refused", "unknown", "never"]


@dataclass(frozen=True)
class Hop:
    """One hop: how it was called, what it answered, and how long that took.

    `called` is the address that its caller used, `address` its own; `server` and `client` are the names in
    the certificates that it and its caller presented; `seconds` go from the request's first byte to the
    answer's last. `entry` is what its own log has of the request.
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
    entry: Mapping[str, Any] = field(default_factory=dict)


def called(name: str, where: str, caller: Mapping[str, Any]) -> Hop:
    """A hop as far as the log entry of its caller describes it."""
    return Hop(
        name,
        where,
        called=str(caller.get("upstream", "")),
        protocol=str(caller.get("upstream_protocol", "")),
        tls=str(caller.get("upstream_tls", "")),
        server=certificate(caller, "upstream"),
    )


def envoy(hop: Hop, entry: Mapping[str, Any]) -> Hop:
    """The hop, by the access log of an Envoy, whose fields are in manifests/mesh/control-plane.yaml."""
    known = {key: "" if value in (None, "-") else value for key, value in entry.items()}
    passed = known.get("details") == "via_upstream"
    said = (str(known.get(key, "")) for key in ("flags", "details", "upstream_failure"))
    return replace(
        hop,
        entry=known,
        state="passed" if passed else "refused",
        why="" if passed else explain.envoy(*said),
        status=str(known.get("status", "")),
        seconds=int(known["microseconds"]) / 1e6 if known.get("microseconds") else None,
        address=str(known.get("downstream_local", "")),
        protocol=str(known.get("protocol", "")),
        tls=str(known.get("downstream_tls", "")),
        client=certificate(known, "downstream"),
    )


def load_balancer(hop: Hop, entry: Mapping[str, str]) -> Hop:
    """The hop, by the load balancer's access log.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
    """
    times = [float(entry[f"{part}_processing_time"]) for part in ("request", "target", "response")]
    passed = entry["target_status_code"].isdigit()
    return replace(
        hop,
        entry=entry,
        state="passed" if passed else "refused",
        why="" if passed else explain.balancer(entry["error_reason"]),
        status=entry["elb_status_code"],
        seconds=sum(time for time in times if time > 0),  # -1 for what did not happen
        protocol=entry["request"].split()[-1].replace("HTTP/2.0", "HTTP/2"),
        tls=entry["ssl_protocol"].replace("-", ""),
    )


def function(balancer: Mapping[str, str]) -> Hop:
    """The function, as far as the load balancer's entry describes it."""
    hop, status = Hop("function", "AWS", protocol="invoked by AWS"), balancer.get("target_status_code", "-")
    if not status.isdigit():
        return hop
    ok = int(status) < 400
    return replace(
        hop,
        state="passed" if ok else "refused",
        why="" if ok else "the function's own response",
        status=status,
        seconds=float(balancer["target_processing_time"]),
    )


def function_log(hop: Hop, line: str) -> Hop:
    """The function, with the line of its log that has the request."""
    return replace(hop, entry={"line": line}, state="passed" if hop.state == "never" else hop.state)


def certificate(entry: Mapping[str, Any], side: Literal["upstream", "downstream"]) -> str:
    """The name in the certificate that this side presented to an Envoy: the subject, or else its SAN."""
    names = (entry.get(f"{side}_{kind}") for kind in ("subject", "uri_san", "dns_san"))
    return str(next(filter(None, names), ""))


def short(name: str) -> str:
    """A SPIFFE ID without its trust domain: spiffe://…/ns/<namespace>/sa/<service account>."""
    return re.sub(r"^spiffe://[^/]+/", "spiffe://…/", name)


def milliseconds(seconds: float | None) -> str:
    """E.g. "12.3 ms"; nothing where it is not known."""
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"
