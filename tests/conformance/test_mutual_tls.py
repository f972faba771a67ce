"""Mutual TLS inside the mesh, and the CA behind it. The last module: it restarts istiod."""

import base64
import datetime
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conformance import workloads
from tests.conformance.mesh import Answer, Mesh, eventually, settled
from tests.conftest import run

STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
"""
FORWARDED = "X-Forwarded-Client-Cert"  # the sidecar of the server adds it where the client has an identity


@pytest.mark.slow
@pytest.mark.parametrize("locked", ["conformance", "istio-system"], ids=["namespace", "mesh"])
def test_migration(gke: Mesh, locked: str) -> None:
    """https://istio.io/latest/docs/tasks/security/authentication/mtls-migration/

    STRICT for a namespace; then, in the root namespace, for the mesh.
    """

    def get(of: str) -> Answer:
        return gke.curl("http://httpbin:8000/", of=of)

    assert (get("sleep").status, get("legacy").status) == (200, 200)
    assert FORWARDED in get("sleep").seen["headers"]
    assert FORWARDED not in get("legacy").seen["headers"]
    with gke.applied(STRICT, namespace=locked):
        settled(lambda: get("legacy").exit, 56)
        assert get("sleep").status == 200
    settled(lambda: get("legacy").status, 200)


class Plugged:
    """A root, and an intermediate CA that it issued."""

    def __init__(self) -> None:
        root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = _certificate("Root CA", root_key, "Root CA", root_key)
        self.ca = _certificate("Intermediate CA", self._key, "Root CA", root_key)

    def secret(self) -> str:
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL)
        key = self._key.private_bytes(*form, serialization.NoEncryption())
        ca, root = (one.public_bytes(serialization.Encoding.PEM) for one in (self.ca, self.root))
        files = {"ca-cert_pem": ca, "ca-key_pem": key, "root-cert_pem": root, "cert-chain_pem": ca + root}
        return workloads.secret("cacerts", **files)


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer))
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    return (
        x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(signer, hashes.SHA256())
    )


def chain(mesh: Mesh, deployment: str) -> list[x509.Certificate]:
    """What a workload presents, and, last, the root that it trusts."""
    words = ("proxy-config", "secret", f"deploy/{deployment}.conformance", "-o", "json")
    answer = json.loads(run(mesh.environment, "istioctl", "--context", mesh.context, *words))
    secrets = {each["name"]: each["secret"] for each in answer["dynamicActiveSecrets"]}
    return [
        *_pem(secrets["default"]["tlsCertificate"]["certificateChain"]["inlineBytes"]),
        *_pem(secrets["ROOTCA"]["validationContext"]["trustedCa"]["inlineBytes"]),
    ]


def _pem(encoded: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(base64.b64decode(encoded))


@contextmanager
def plugged_in(mesh: Mesh, secret: str) -> Iterator[None]:
    """istiod with that `cacerts`; at the end with its own CA again, and every proxy, too."""
    try:
        mesh.kubectl("apply", "-n", "istio-system", "-f", "-", stdin=secret)
        _restart(mesh, "conformance")
        yield
    finally:
        mesh.kubectl("delete", "-n", "istio-system", "secret", "cacerts")
        _restart(mesh, "conformance", "istio-ingress")


def _restart(mesh: Mesh, *namespaces: str) -> None:
    """istiod, and, once a new root has arrived in these namespaces, their workloads."""

    def root() -> str:
        return mesh.kubectl("get", "configmap", "istio-ca-root-cert", "-o", "jsonpath={.data}")

    former = root()
    mesh.rollout(restart=True, namespace="istio-system")
    eventually(lambda: root() != former)
    for namespace in namespaces:
        mesh.rollout(restart=True, namespace=namespace)


@pytest.mark.slow
def test_plugged_in_ca(eks: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/"""
    own, plugged = chain(eks, "httpbin-v1")[-1], Plugged()
    assert own.issuer == own.subject
    with plugged_in(eks, plugged.secret()), eks.applied(STRICT):
        leaf, *authorities = eventually(lambda: chain(eks, "httpbin-v1"))
        assert authorities[0] == plugged.ca
        assert authorities[-1] == plugged.root
        leaf.verify_directly_issued_by(plugged.ca)
        with pytest.raises(ValueError, match="does not match"):
            leaf.verify_directly_issued_by(own)
        settled(lambda: eks.curl("http://httpbin:8000/").status, 200)
    assert eventually(lambda: chain(eks, "httpbin-v1"))[-1] == own
    settled(lambda: eks.curl("http://httpbin:8000/").status, 200)
