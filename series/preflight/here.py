"""Whether this machine's own network uses the VPC's addresses: then 01 has another result from outside.

Nothing is sent: connecting a UDP socket only selects the route.
"""

import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from helpers import network
from helpers.base.settings import current
from series.preflight.finding import Finding, note, ok

_INTERNET = "198.51.100.1"  # for documentation (RFC 5737): routed like the internet, used by nobody
_MEANS = "notebook 01 explains curl's exit codes 6 and 7"


def routes() -> Iterator[Finding]:
    """The route to the VPC's addresses: it should be the default route."""
    if current().TUTORIAL_OUTSIDE_COMMAND:
        return  # "outside" is not this machine
    default = _source(_INTERNET)
    for cidr in (network.CIDR, *network.PRIVATE, *network.PUBLIC):
        source = _source(str(ip_network(cidr)[10]))
        if source and (source != default or ip_address(source) in ip_network(network.CIDR)):
            yield note(
                network.CIDR,
                f"this machine reaches {cidr} from its address {source}, and the internet from "
                f"{default or 'none'}: a VPN, Docker or your own network uses these addresses; {_MEANS}",
            )
            return
    yield ok(network.CIDR, "no network that this machine is in uses these addresses")


def withholds(name: str) -> bool:
    """Whether this machine's resolver drops private addresses of public names."""
    try:
        found = socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror:
        return True
    return not any(ip_address(entry[4][0]) in ip_network(network.CIDR) for entry in found)


def names(balancer: str) -> Iterator[Finding]:
    """Whether a load balancer's AWS name resolves here."""
    if not current().TUTORIAL_OUTSIDE_COMMAND and withholds(balancer):
        yield note(
            "DNS", f"the resolver returns no private address for {balancer} (rebinding protection); {_MEANS}"
        )


def _source(address: str) -> str:
    """The source address that this machine would use for packets to that address; "" without a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 443))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


CHECKS = (routes,)
