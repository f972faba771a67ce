"""The meshes of the series, with a namespace for the scenarios of Istio's own documentation.

The scenarios are made from what those pages promise; names, images, and the host outside are the lab's.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import pki
from tests.conformance import workloads
from tests.conformance.mesh import Answer, Env, Mesh, curl, eventually
from tests.conftest import PROJECT, run

EDITION = "edition.example.net"  # the host outside, in the public DNS
ADDRESS = "198.51.100.2"  # of `outside`


@dataclass(frozen=True)
class Pki:
    """Two authorities that know nothing of each other, and what the first one issued."""

    ca: pki.CertificateAuthority
    other: pki.CertificateAuthority
    edition: pki.KeyPair
    client: pki.KeyPair
    folder: Path  # of files that curl may read

    def file(self, name: str, text: bytes) -> str:
        path = self.folder / name
        path.write_bytes(text)
        return str(path)

    @property
    def trusted(self) -> str:
        return self.file("ca.crt", self.ca.pair.certificate)


@pytest.fixture(scope="package")
def certificates() -> Iterator[Pki]:
    ca, other = pki.CertificateAuthority("example CA"), pki.CertificateAuthority("another CA")
    edition = ca.issue(EDITION, pki.SERVER, names=(EDITION,))
    client = ca.issue("client.example.com", pki.CLIENT, names=("client.example.com",))
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # the lab's owner runs curl
        yield Pki(ca, other, edition, client, Path(folder))


class Outside:
    """The world outside both clouds."""

    def __init__(self, environment: Env) -> None:
        self._environment = environment

    def curl(self, *words: str) -> Answer:
        command = [sys.executable, "-m", "lab", "exec", "outside", "--", *curl(*words)]
        done = subprocess.run(command, env=self._environment, cwd=PROJECT, capture_output=True, text=True)
        return Answer.of(done)


@pytest.fixture(scope="package")
def outside(meshes: Env) -> Outside:
    return Outside(meshes)


@pytest.fixture(scope="package")
def edition(meshes: Env, certificates: Pki) -> Iterator[str]:
    """A host outside, with a name in the public DNS."""
    command = [sys.executable, "-m", "lab", "exec", "outside", "--"]
    command += [sys.executable, str(Path(__file__).with_name("outside.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with _zone(meshes), subprocess.Popen(command, env=meshes, cwd=PROJECT, **pipes) as server:  # type: ignore[call-overload]
        pair = certificates.edition
        given = {"certificate": pair.certificate, "key": pair.key, "ca": certificates.ca.pair.certificate}
        print(
            json.dumps({name: text.decode() for name, text in given.items()}), file=server.stdin, flush=True
        )
        assert server.stdout.readline() == "ready\n"
        yield EDITION
        server.stdin.close()
        server.wait(10)


@contextmanager
def _zone(environment: Env) -> Iterator[None]:
    domain = EDITION.partition(".")[2]
    words = ("aws", "route53", "create-hosted-zone", "--name", domain, "--caller-reference", domain)
    zone = json.loads(run(environment, *words))["HostedZone"]["Id"]
    record = {"Name": EDITION, "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": ADDRESS}]}

    def change(action: str) -> None:
        batch = json.dumps({"Changes": [{"Action": action, "ResourceRecordSet": record}]})
        words = ("change-resource-record-sets", "--hosted-zone-id", zone, "--change-batch", batch)
        run(environment, "aws", "route53", *words)

    change("CREATE")
    yield
    change("DELETE")
    run(environment, "aws", "route53", "delete-hosted-zone", "--id", zone)


@pytest.fixture(scope="package")
def gke(meshes: Env, certificates: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """sleep, legacy (without a sidecar), httpbin v1 and v2, an ingress gateway and an egress gateway."""
    mesh = Mesh(meshes, "gke", tmp_path_factory.mktemp("gke"))
    ports = {"http2": (80, 8080), "https": (443, 8443)}
    balancer = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}  # keeps the client's address
    documents = [
        *_certificates(certificates), *_applications(("v1", "v2")), workloads.sleep("legacy", mesh=False),
        workloads.gateway("ingressgateway"), workloads.gateway("egressgateway"),
        workloads.service("istio-ingressgateway", {"istio": "conformance-ingressgateway"}, ports, **balancer),
        workloads.service("istio-egressgateway", {"istio": "conformance-egressgateway"}, ports),
    ]  # fmt: skip
    with _deployed(mesh, documents):
        yield mesh


@pytest.fixture(scope="package")
def eks(meshes: Env, certificates: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """sleep, httpbin, and an ingress gateway that reads the PROXY protocol.

    https://istio.io/latest/docs/ops/configuration/traffic-management/network-topologies/
    """
    mesh = Mesh(meshes, "eks", tmp_path_factory.mktemp("eks"))
    proxied: dict[str, Any] = {"gatewayTopology": {"proxyProtocol": {}}}
    documents = [
        *_certificates(certificates), *_applications(("v1",)), workloads.gateway("ingressgateway", proxied),
    ]  # fmt: skip
    with _deployed(mesh, documents):
        yield mesh


def _certificates(issued: Pki) -> list[str]:
    nginx = issued.ca.issue("nginx.example.com", pki.SERVER, names=("nginx.example.com",))
    return [
        workloads.tls_secret("client-certs", issued.client, issued.ca.pair),
        workloads.tls_secret("nginx-server-certs", nginx),
    ]


def _applications(versions: tuple[str, ...]) -> list[str]:
    tcp = {"tcp": (9000, 9000), "tcp-other": (9001, 9001)}
    return [
        workloads.sleep(), *map(workloads.httpbin, versions),
        workloads.service("httpbin", {"app": "httpbin"}, {"http": (8000, 8080)}),
        workloads.service("tcp-echo", {"app": "httpbin", "version": "v1"}, tcp),
        workloads.service("my-nginx", {"app": "httpbin", "version": "v1"}, {"https": (443, 8443)}),
    ]  # fmt: skip


@contextmanager
def _deployed(mesh: Mesh, documents: list[str]) -> Iterator[None]:
    namespace = workloads.namespace(mesh.revision)
    try:
        mesh.apply(namespace)
        mesh.apply("\n---\n".join(documents))
        mesh.rollout()
        eventually(lambda: mesh.curl("http://httpbin:8000/").status == 200)
        yield
    finally:
        mesh.delete(namespace)  # waits for the load balancer's end, too


@pytest.fixture(scope="package")
def ingress(gke: Mesh) -> str:
    """The public address of the ingress gateway in GKE."""
    status = ("get", "service", "istio-ingressgateway", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
    return str(eventually(lambda: gke.kubectl(*status)))
