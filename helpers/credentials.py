"""The certificates of both gateways: replacing them, their expiry, and errors about them in logs."""

import base64
import datetime
import json
from pathlib import Path
from typing import Any

from cryptography import x509

from helpers import curl, istio, kube, logs, pki
from helpers.base import folding
from helpers.base.tables import Table

WORKLOADS = {
    "gke": ("istio-egress", "deploy/istio-egressgateway"),
    "eks": ("istio-ingress", "deploy/istio-ingressgateway"),
}
_HOPS = {
    "sidecar": ("gke", "sleep", "deploy/sleep"),
    "egress gateway": ("gke", *WORKLOADS["gke"]),
}


@folding.step()
def install(cluster: str, pair: tuple[Path, Path], ca: Path) -> None:
    """Give a cluster's gateway this certificate and key, and the CAs to trust; wait until its Envoy has them.

    Of several CAs in the file, the first must be one that the gateway did not have.
    """
    certificate, key = pair
    namespace, _ = WORKLOADS[cluster]
    files = {"key": key, "cert": certificate, "cacert": ca}
    kube.secret(cluster, namespace, "mtls-credential", files)
    for each in (certificate, ca):
        istio.certificates(cluster, _workload(cluster), pki.serial(each))


@folding.step()
def install_both(server: tuple[Path, Path], client: tuple[Path, Path], ca: Path) -> None:
    """The same for both gateways, first in EKS, then in GKE."""
    install("eks", server, ca)
    install("gke", client, ca)


def expiry() -> Table:
    """The certificates in both gateways, from Envoy's own configuration, and the days that they have left."""
    rows = []
    for cluster in WORKLOADS:
        found = istio.istioctl(
            cluster, "proxy-config", "secret", _workload(cluster), "-o", "json", show=False
        )
        rows += [(cluster, *row) for row in _secrets(json.loads(found.text))]
    return Table(("cluster", "secret", "issued by", "left"), sorted(rows))


def _secrets(configuration: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for each in configuration["dynamicActiveSecrets"]:
        secret = each["secret"]
        content = secret.get("tlsCertificate", {}).get("certificateChain") or secret.get(
            "validationContext", {}
        ).get("trustedCa", {})
        if pem := base64.b64decode(content.get("inlineBytes", "")):
            certificate = x509.load_pem_x509_certificates(pem)[0]
            left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
            issuer = certificate.issuer.rfc4514_string()
            rows.append((each["name"], issuer, f"{left / datetime.timedelta(days=1):.1f} days"))
    return rows


@folding.step()
def failure() -> Table:
    """One request from `sleep` that fails, and what each proxy on its way logged about it.

    The ingress gateway logs requests, and none reaches it.
    """
    parent = curl.traceparent()
    words = ("-so", "/dev/null", "-w", r"%{http_code}\n", "-H", f"traceparent: {parent}")
    curl.in_pod(
        "gke", "sleep", "deploy/sleep", *words, "http://lambda.external/hello-world", container="sleep"
    )
    rows = []
    for name, at in _HOPS.items():
        entry = logs.envoy(*at, parent)
        reason = entry["upstream_failure"] or entry["details"]
        rows.append((name, entry["status"], entry["flags"], reason))
    return Table(("proxy", "status", "flags", "reason"), rows)


def _workload(cluster: str) -> str:
    namespace, workload = WORKLOADS[cluster]
    return f"{workload}.{namespace}"
