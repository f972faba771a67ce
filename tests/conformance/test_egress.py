"""Calls to a host outside: straight, through the egress gateway, and with TLS that a proxy adds."""

import uuid

import pytest

from tests.conformance import outside, workloads
from tests.conformance.conftest import EDITION, Pki
from tests.conformance.mesh import Mesh, eventually, settled
from tests.conformance.workloads import CERTIFICATES

HTTPS = f"outbound|443||{EDITION}"  # in a log, a request to the host over HTTPS
GATEWAY = "istio-egressgateway.conformance.svc.cluster.local"
CA = f"caCertificates: {CERTIFICATES}/ca.crt"
FILES = f"clientCertificate: {CERTIFICATES}/tls.crt, privateKey: {CERTIFICATES}/tls.key, {CA}"


def entry(http: int = outside.HTTP, https: int = outside.HTTPS) -> str:
    """The host with its ports 80 and 443, and where these are in truth."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: edition}}
spec:
  hosts: [{EDITION}]
  resolution: DNS
  ports:
  - {{number: 80, name: http-port, protocol: HTTP, targetPort: {http}}}
  - {{number: 443, name: https-port, protocol: TLS, targetPort: {https}}}
"""


def originated(port: int, tls: str, of: str = "") -> str:
    """A DestinationRule for requests to that port of the host; `tls` in flow style."""
    selector = f"\n  workloadSelector: {{matchLabels: {{app: {of}}}}}" if of else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: edition}}
spec:
  host: {EDITION}{selector}
  trafficPolicy:
    portLevelSettings: [{{port: {{number: {port}}}, tls: {tls}}}]
"""


def gateway(port: int, protocol: str, tls: str = "") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: istio-egressgateway}}
spec:
  selector: {{istio: conformance-egressgateway}}
  servers:
  - {{port: {{number: {port}, name: edition, protocol: {protocol}}}, hosts: [{EDITION}]{tls}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: egressgateway-for-edition}}
spec:
  host: {GATEWAY}
  subsets: [{{name: edition}}]
"""


def through_gateway(kind: str, port: int, target: int) -> str:
    """From sidecars to the gateway, and from there to the host; `kind` is http or tls."""
    sni = f", sniHosts: [{EDITION}]" if kind == "tls" else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: through-egress-gateway}}
spec:
  hosts: [{EDITION}]
  gateways: [istio-egressgateway, mesh]
  {kind}:
  - match: [{{gateways: [mesh], port: {port}{sni}}}]
    route: [{{destination: {{host: {GATEWAY}, subset: edition, port: {{number: {port}}}}}}}]
  - match: [{{gateways: [istio-egressgateway], port: {port}{sni}}}]
    route: [{{destination: {{host: {EDITION}, port: {{number: {target}}}}}}}]
"""


def path() -> str:
    return f"/{uuid.uuid4()}"


def logged_at_gateway(gke: Mesh) -> str:
    """The path of a request over HTTP, once the gateway's log has it, and so all that passed before."""

    def sent() -> str:
        asked = path()
        gke.curl(f"http://{EDITION}{asked}")
        eventually(lambda: asked in gke.log("istio-egressgateway"), 5)
        return asked

    return str(eventually(sent))


def log_after(gke: Mesh, request: str) -> str:
    """The gateway's log after the line of that path."""
    _, found, rest = gke.log("istio-egressgateway").partition(request)
    assert found
    return rest


def secure(gke: Mesh, certificates: Pki) -> int:
    """The status of a request over HTTPS from the pod, with the host's own certificate."""
    gke.sh(f"cat >/tmp/ca.crt <<'EOF'\n{certificates.ca.pair.certificate.decode()}EOF")
    return gke.curl("--cacert", "/tmp/ca.crt", f"https://{EDITION}/").status


def test_egress_gateway(gke: Mesh, edition: str, certificates: Pki) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/egress/egress-gateway/, HTTP."""
    with gke.applied(entry()):
        settled(lambda: gke.curl(f"http://{edition}/").status, 301)
        straight = path()
        assert gke.curl(f"http://{edition}{straight}").seen["path"] == straight
        with gke.applied(gateway(80, "HTTP"), through_gateway("http", 80, 80)):
            first = logged_at_gateway(gke)
            assert gke.curl(f"http://{edition}/").status == 301
            assert secure(gke, certificates) == 200  # port 443 leads there directly
            last = logged_at_gateway(gke)
            assert HTTPS not in log_after(gke, first).partition(last)[0]
            assert straight not in gke.log("istio-egressgateway")


@pytest.mark.slow
def test_egress_gateway_for_https(gke: Mesh, edition: str, certificates: Pki) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/egress/egress-gateway/, HTTPS.

    At first, only HTTP passes the gateway.
    """
    with gke.applied(entry(), gateway(80, "HTTP"), through_gateway("http", 80, 80)):
        first = logged_at_gateway(gke)
        settled(lambda: secure(gke, certificates), 200)
        last = logged_at_gateway(gke)
        assert HTTPS not in log_after(gke, first).partition(last)[0]
        gke.apply(gateway(443, "TLS", ", tls: {mode: PASSTHROUGH}"))
        gke.apply(through_gateway("tls", 443, 443))
        eventually(lambda: secure(gke, certificates) == 200 and HTTPS in log_after(gke, last))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["files", "credentialName"])
def test_tls_origination(gke: Mesh, edition: str, certificates: Pki, how: str) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/egress/egress-tls-origination/

    The sidecar verifies the host's certificate; it trusts this CA only where it is told to.
    """
    tls = {"files": CA, "credentialName": "credentialName: edition-ca"}[how]
    ca = workloads.secret("edition-ca", ca_crt=certificates.ca.pair.certificate)
    selected = "sleep" if how == "credentialName" else ""

    def answer() -> tuple[int, bool]:
        found = gke.curl(f"http://{edition}/politics")
        return found.status, found.seen.get("tls", False)

    with gke.applied(entry()):
        settled(answer, (301, False))
    origination = originated(80, f"{{mode: SIMPLE, {tls}}}", selected)
    with gke.applied(entry(http=outside.HTTPS), ca, workloads.may_read_secrets("sleep"), origination):
        settled(answer, (200, True))
        gke.apply(originated(80, "{mode: SIMPLE}", selected))
        settled(answer, (503, False))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["files", "credentialName"])
def test_mutual_tls_origination(gke: Mesh, edition: str, certificates: Pki, how: str) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/egress/egress-tls-origination/, mutual."""
    tls = {"files": f"{{mode: MUTUAL, {FILES}}}", "credentialName": "{mode: MUTUAL, credentialName: mine}"}
    mine = workloads.tls_secret("mine", certificates.client, certificates.ca.pair)
    with gke.applied(entry(http=outside.MUTUAL), mine, workloads.may_read_secrets("sleep")):
        with gke.applied(originated(80, tls[how], "sleep" if how == "credentialName" else "")):
            assert_mutual(gke, edition)
        with gke.applied(originated(80, f"{{mode: SIMPLE, {CA}}}")):
            settled(lambda: gke.curl(f"http://{edition}/").status, 503)


def assert_mutual(gke: Mesh, edition: str) -> None:
    settled(lambda: gke.curl(f"http://{edition}/").status, 200)
    [subject] = gke.curl(f"http://{edition}/").seen["client"]["subject"]
    assert subject == [["commonName", "client.example.com"]]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["files", "credentialName"])
def test_tls_origination_at_the_gateway(gke: Mesh, edition: str, certificates: Pki, how: str) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/egress/egress-gateway-tls-origination/"""
    tls = {"files": CA, "credentialName": "credentialName: edition-ca"}[how]
    ca = workloads.secret("edition-ca", ca_crt=certificates.ca.pair.certificate)
    with gke.applied(entry(), ca, gateway(80, "HTTP"), through_gateway("http", 80, 443)):
        with gke.applied(originated(443, f"{{mode: SIMPLE, {tls}}}")):
            settled(lambda: gke.curl(f"http://{edition}/").status, 200)
            assert gke.curl(f"http://{edition}/").seen["tls"]
            assert logged_at_gateway(gke)
        with gke.applied(originated(443, "{mode: SIMPLE}")):
            settled(lambda: gke.curl(f"http://{edition}/").status, 503)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["files", "credentialName"])
def test_mutual_tls_origination_at_the_gateway(gke: Mesh, edition: str, certificates: Pki, how: str) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/egress/egress-gateway-tls-origination/

    For a host that demands a client's certificate.
    """
    tls = {"files": f"{{mode: MUTUAL, {FILES}}}", "credentialName": "{mode: MUTUAL, credentialName: mine}"}
    mine = workloads.tls_secret("mine", certificates.client, certificates.ca.pair)
    documents = [gateway(80, "HTTP"), through_gateway("http", 80, 443), originated(443, tls[how])]
    with gke.applied(entry(https=outside.MUTUAL), mine, *documents):
        assert_mutual(gke, edition)
        assert logged_at_gateway(gke)
        gke.apply(originated(443, f"{{mode: SIMPLE, {CA}}}"))
        settled(lambda: gke.curl(f"http://{edition}/").status, 503)
