"""The certificates of both gateways: replacing them, their expiry, and errors about them in logs."""

import datetime
import time
from pathlib import Path

from cryptography import x509

from helpers import curl, istio, kube, logs, pki
from helpers.base import folding
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.clusters import pods
from helpers.proxies import EGRESS, GATEWAYS, INGRESS, SIDECAR

_LATE = 2  # seconds; Envoy writes its log once a second
_TRUSTED = "kubernetes://mtls-credential-cacert"  # the Envoy's secret


@folding.step()
def install(cluster: str, pair: tuple[Path, Path], ca: Path) -> None:
    """Give a cluster's gateway this certificate and key, and the CAs to trust.

    Waits until its Envoy has this certificate and exactly these CAs; raises TimedOutError.
    """
    certificate, key = pair
    gateway = GATEWAYS[cluster]
    files = {"key": key, "cert": certificate, "cacert": ca}
    kube.secret(cluster, gateway.namespace, "mtls-credential", files)
    wanted = {*x509.load_pem_x509_certificates(ca.read_bytes())}
    wait_until(
        f"the CAs of {ca.name} in {gateway.workload}",
        lambda: {*istio.secrets(cluster, gateway.workload).get(_TRUSTED, ())},
        lambda found: found == wanted,
        timeout=60,
        interval=1,
        state=lambda found: f"{len(found)} CAs",
    )
    for each in (certificate, ca):
        istio.certificates(cluster, gateway.workload, pki.serial(each))


@folding.step()
def install_both(server: tuple[Path, Path], client: tuple[Path, Path], ca: Path) -> None:
    """The same for both gateways, first in EKS, then in GKE."""
    install("eks", server, ca)
    install("gke", client, ca)


def expiry() -> Table:
    """The certificates in both gateways, from Envoy's own configuration: their names, and the days left."""
    now = datetime.datetime.now(datetime.UTC)
    rows = []
    for cluster, gateway in GATEWAYS.items():
        for name, certificates in istio.secrets(cluster, gateway.workload).items():
            for certificate in certificates:
                days = (certificate.not_valid_after_utc - now) / datetime.timedelta(days=1)
                issuer = certificate.issuer.rfc4514_string()
                names = ", ".join(each.partition(":")[2] for each in pki.subject_names(certificate))
                rows.append((cluster, name, names, issuer, f"{days:.1f} days"))
    return Table(("cluster", "secret", "names", "issued by", "left"), sorted(rows))


@folding.step()
def failure() -> Table:
    """One request from `sleep` that fails: what curl got, and what each proxy logged about it."""
    parent = curl.traceparent()
    words = ("-H", f"traceparent: {parent}", "http://lambda.external/hello-world")
    answer = curl.in_pod(*SIDECAR, *words, container="sleep")
    rows: list[tuple[object, ...]] = [("curl", answer.status, "", answer.body)]
    for name, proxy in {"sidecar": SIDECAR, "egress gateway": EGRESS}.items():
        entry = logs.envoy(*proxy, parent)
        reason = entry["upstream_failure"] or entry["details"]
        rows.append((name, entry["status"], entry["flags"], reason))
    time.sleep(_LATE)
    reached = parent in pods.logs(*INGRESS, "istio-proxy")
    rows.append(("ingress gateway", "", "", "logged the request" if reached else "no request in its log"))
    return Table(("where", "status", "flags", "reason"), rows)
