"""TLS at the ingress gateway."""

import pytest

from lab import pki
from tests.conformance import workloads
from tests.conformance.conftest import Outside, Pki
from tests.conformance.mesh import Answer, Mesh, eventually, settled

HTTPBIN, HELLOWORLD, NGINX = "httpbin.example.com", "helloworld.example.com", "nginx.example.com"
# curl's exit codes: no certificate that it trusts; the connection ended in or after the handshake.
UNTRUSTED, ENDED = 60, (16, 35, 52, 55, 56)


class Gate:
    """The ingress gateway's port 443, from outside."""

    def __init__(self, outside: Outside, address: str) -> None:
        self._outside, self._address = outside, address

    def get(self, host: str, path: str, ca: str, *words: str) -> Answer:
        trusted = ("--cacert", ca, "--resolve", f"{host}:443:{self._address}")
        return self._outside.curl(*trusted, *words, f"https://{host}{path}")


@pytest.fixture
def gate(outside: Outside, ingress: str) -> Gate:
    return Gate(outside, ingress)


def served(**hosts: tuple[str, str]) -> str:
    """A Gateway's servers on port 443: name → host, TLS settings in flow style."""
    servers = "\n".join(
        f"  - {{port: {{number: 443, name: https-{name}, protocol: HTTPS}}, hosts: [{host}], tls: {tls}}}"
        for name, (host, tls) in hosts.items()
    )
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: mygateway}}
spec:
  selector: {{istio: conformance-ingressgateway}}
  servers:
{servers}
"""


def simple(credential: str) -> str:
    return f"{{mode: SIMPLE, credentialName: {credential}}}"


def route(name: str, host: str, uri: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  gateways: [mygateway]
  http:
  - {{match: [{{uri: {uri}}}], route: [{{destination: {{host: httpbin, port: {{number: 8000}}}}}}]}}
"""


def issued(authority: pki.CertificateAuthority, host: str, name: str, ca: pki.KeyPair | None = None) -> str:
    return workloads.tls_secret(name, authority.issue(host, pki.SERVER, names=(host,)), ca)


TEAPOT = route("httpbin", HTTPBIN, "{prefix: /status}")


@pytest.mark.slow
def test_a_host(gke: Mesh, gate: Gate, certificates: Pki) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/ingress/secure-ingress/, a single host."""
    known, other = certificates.trusted, certificates.file("other.crt", certificates.other.pair.certificate)
    credential = issued(certificates.ca, HTTPBIN, "httpbin-credential")
    with gke.applied(credential, served(httpbin=(HTTPBIN, simple("httpbin-credential"))), TEAPOT):
        eventually(lambda: gate.get(HTTPBIN, "/status/418", known).status == 418)
        assert gate.get(HTTPBIN, "/headers", known).status == 404  # no route
        assert gate.get(HTTPBIN, "/status/418", other).exit == UNTRUSTED
        gke.delete(credential)
        gke.apply(issued(certificates.other, HTTPBIN, "httpbin-credential"))
        eventually(lambda: gate.get(HTTPBIN, "/status/418", other).status == 418)
        assert gate.get(HTTPBIN, "/status/418", known).exit == UNTRUSTED


@pytest.mark.slow
def test_several_hosts(gke: Mesh, gate: Gate, certificates: Pki) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/ingress/secure-ingress/, multiple hosts."""
    known, other = certificates.trusted, certificates.file("other.crt", certificates.other.pair.certificate)
    hosts = {
        "httpbin": (HTTPBIN, simple("httpbin-credential")),
        "helloworld": (HELLOWORLD, simple("helloworld-credential")),
    }
    documents = [
        issued(certificates.ca, HTTPBIN, "httpbin-credential"),
        issued(certificates.other, HELLOWORLD, "helloworld-credential"),
        served(**hosts), TEAPOT, route("helloworld", HELLOWORLD, "{exact: /hello}"),
    ]  # fmt: skip
    with gke.applied(*documents):
        eventually(lambda: gate.get(HELLOWORLD, "/hello", other).status == 200)
        eventually(lambda: gate.get(HTTPBIN, "/status/418", known).status == 418)
        assert gate.get(HTTPBIN, "/hello", known).status == 404
        assert gate.get(HELLOWORLD, "/hello", known).exit == UNTRUSTED  # each has its own certificate
        assert gate.get("nobody.example.com", "/hello", known).exit in ENDED


@pytest.mark.slow
def test_a_clients_certificate(gke: Mesh, gate: Gate, certificates: Pki) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/ingress/secure-ingress/, mutual TLS."""
    credential = issued(certificates.ca, HTTPBIN, "httpbin-credential", certificates.ca.pair)
    servers = served(httpbin=(HTTPBIN, "{mode: MUTUAL, credentialName: httpbin-credential}"))
    stranger = certificates.other.issue("client.example.com", pki.CLIENT)

    def get(pair: pki.KeyPair | None) -> Answer:
        words: tuple[str, ...] = ()
        if pair:
            files = (
                certificates.file("client.crt", pair.certificate),
                certificates.file("client.key", pair.key),
            )
            words = ("--cert", files[0], "--key", files[1])
        return gate.get(HTTPBIN, "/status/418", certificates.trusted, *words)

    with gke.applied(credential, servers, TEAPOT):
        eventually(lambda: get(certificates.client).status == 418)
        assert get(None).exit in ENDED
        assert get(stranger).exit in ENDED


PASSED_ON = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: nginx}}
spec:
  hosts: [{NGINX}]
  gateways: [mygateway]
  tls:
  - match: [{{port: 443, sniHosts: [{NGINX}]}}]
    route: [{{destination: {{host: my-nginx, port: {{number: 443}}}}}}]
"""


@pytest.mark.slow
def test_sni_passthrough(gke: Mesh, gate: Gate, certificates: Pki) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/ingress/ingress-sni-passthrough/

    The server terminates TLS with a key that the gateway does not have.
    """
    with gke.applied(served(nginx=(NGINX, "{mode: PASSTHROUGH}")), PASSED_ON):
        eventually(lambda: gate.get(NGINX, "/", certificates.trusted).status == 200)
        answer = gate.get(NGINX, "/", certificates.trusted)
        assert (answer.seen["server"], answer.seen["tls"]["sni"]) == ("v1", NGINX)
        assert "X-Forwarded-For" not in answer.seen["headers"]  # no proxy saw the request
        assert gate.get(HTTPBIN, "/", certificates.trusted).exit in ENDED
    settled(lambda: gate.get(NGINX, "/", certificates.trusted).status, 0)
