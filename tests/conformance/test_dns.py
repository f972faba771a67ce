"""Names that only the mesh knows."""

from functools import partial
from ipaddress import ip_address, ip_network

import pytest

from tests.conformance import outside
from tests.conformance.mesh import Mesh, addresses, eventually, settled

AUTOMATIC = ip_network("240.240.0.0/16")


def entry(name: str, host: str, port: str, more: str = "") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  ports: [{port}]
  {more}
"""


def resolved(gke: Mesh, name: str, of: str = "sleep") -> list[str]:
    return addresses(gke.sh(f"nslookup -type=a {name}.", of=of).stdout)


@pytest.mark.slow
def test_dns_proxying(gke: Mesh) -> None:
    """https://istio.io/latest/docs/ops/configuration/traffic-management/dns-proxy/"""
    http = "{number: 80, name: http, protocol: HTTP}"
    with gke.applied(
        entry("external-address", "address.internal", http, "addresses: [198.51.100.99]"),
        entry("external-auto", "auto.internal", http, "resolution: DNS"),
    ):
        settled(lambda: resolved(gke, "address.internal"), ["198.51.100.99"])
        [found] = eventually(lambda: resolved(gke, "auto.internal"))
        assert ip_address(found) in AUTOMATIC
        assert resolved(gke, "other.internal") == []
        assert resolved(gke, "auto.internal", of="legacy") == []  # it has no sidecar


@pytest.mark.slow
def test_two_tcp_services_on_one_port(gke: Mesh, edition: str) -> None:
    """https://istio.io/latest/docs/ops/configuration/traffic-management/dns-proxy/, without VIPs."""
    documents = [
        entry(
            f"external-{name}", f"{name}.internal",
            f"{{number: 9000, name: tcp, protocol: TCP, targetPort: {port}}}",
            f"resolution: DNS\n  endpoints: [{{address: {edition}}}]",
        )
        for port, name in outside.NAMES.items()
    ]  # fmt: skip
    with gke.applied(*documents):
        for name in outside.NAMES.values():
            settled(partial(gke.tcp, f"{name}.internal", 9000), f"{name} hello")
        assert gke.tcp("one.internal", 9000, of="legacy") == ""
