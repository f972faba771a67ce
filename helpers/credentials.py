"""The certificates of both gateways: replacing them, their expiry, and errors about them in logs."""

import datetime
from pathlib import Path

from helpers import callers, curl, istio, kube, logs, pki
from helpers.base import folding
from helpers.base.tables import Table
from helpers.proxies import EGRESS, GATEWAYS, SIDECAR


@folding.step()
def install(cluster: str, pair: tuple[Path, Path], ca: Path) -> None:
    """Give a cluster's gateway this certificate and key, and the CAs to trust; wait until its Envoy has them.

    Of several CAs in the file, the first must be one that the gateway did not have.
    """
    certificate, key = pair
    gateway = GATEWAYS[cluster]
    files = {"key": key, "cert": certificate, "cacert": ca}
    kube.secret(cluster, gateway.namespace, "mtls-credential", files)
    for each in (certificate, ca):
        istio.certificates(cluster, gateway.workload, pki.serial(each))


@folding.step()
def install_both(server: tuple[Path, Path], client: tuple[Path, Path], ca: Path) -> None:
    """The same for both gateways, first in EKS, then in GKE."""
    install("eks", server, ca)
    install("gke", client, ca)


def expiry() -> Table:
    """The certificates in both gateways, from Envoy's own configuration, and the days that they have left."""
    now = datetime.datetime.now(datetime.UTC)
    rows = []
    for cluster, gateway in GATEWAYS.items():
        for name, (certificate, *_) in istio.secrets(cluster, gateway.workload).items():
            days = (certificate.not_valid_after_utc - now) / datetime.timedelta(days=1)
            rows.append((cluster, name, certificate.issuer.rfc4514_string(), f"{days:.1f} days"))
    return Table(("cluster", "secret", "issued by", "left"), sorted(rows))


@folding.step()
def failure() -> Table:
    """One request from `sleep` that fails, and what each proxy on its way logged about it.

    The ingress gateway logs requests, and none reaches it.
    """
    parent = curl.traceparent()
    callers.SLEEP.ask(callers.FUNCTION, "-H", f"traceparent: {parent}")
    rows = []
    for name, proxy in {"sidecar": SIDECAR, "egress gateway": EGRESS}.items():
        entry = logs.envoy(*proxy, parent)
        reason = entry["upstream_failure"] or entry["details"]
        rows.append((name, entry["status"], entry["flags"], reason))
    return Table(("proxy", "status", "flags", "reason"), rows)
