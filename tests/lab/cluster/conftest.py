"""Two real clusters, which need root and the built programs."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Network
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lab import images
from lab.aws.services.classic.relays import HostnameLoadBalancer
from lab.cluster.cluster import Cluster, ClusterSpec
from lab.cluster.token_review import TokenWebhook, UnauthenticatedError, User
from lab.gcp.container.load_balancer import AddressLoadBalancer
from lab.leftovers import clean_up
from lab.network import Internet, Vpc
from lab.processes import Processes
from lab.settings import Lab

TOKEN = "a-token-that-the-webhook-accepts"
PODS = IPv4Network("10.0.1.64/26")  # in EKS: a part of the node's subnet
LABELS = {"topology.kubernetes.io/zone": "us-east-1a", "eks.amazonaws.com/nodegroup": "nodes"}


class SmallLab:
    """A lab's network and programs, without the clouds' APIs."""

    def __init__(self, name: str, programs: Path) -> None:
        self.settings = Lab(name=name)
        clean_up(self.settings)
        self.programs = programs
        self.images = images.build(programs, self.settings.cache)
        self.processes = Processes(self.settings)
        self.internet = Internet(self.settings.run)
        self.internet.up()
        self.hosts: dict[str, list[str]] = {}  # what the AWS load balancers publish in DNS

    def eks(self, **more: Any) -> Cluster:
        vpc = self.internet.attach("vpc-aws", "10.0.0.0/16")
        spec = ClusterSpec("eks-test", "10.0.1.10", "172.20.0.0/16", "172.20.0.10", vpc.resolver, **more)
        return self._cluster(
            spec, vpc, HostnameLoadBalancer(vpc, "us-east-1", self.hosts.__setitem__, self.hosts.pop)
        )

    def gke(self) -> Cluster:
        vpc = self.internet.attach("vpc-gcp", "10.128.0.0/20")
        spec = ClusterSpec(
            "gke-test", "10.128.0.3", "34.118.224.0/20", "34.118.224.10", vpc.resolver, "10.8.0.0/14"
        )
        return self._cluster(spec, vpc, AddressLoadBalancer(vpc))

    def _cluster(self, spec: ClusterSpec, vpc: Vpc, balancers: Any) -> Cluster:
        return Cluster(spec, vpc, self.processes, self.settings, self.programs, self.images, balancers)

    def close(self) -> None:
        self.processes.stop_all(timeout=1)
        self.internet.down()
        clean_up(self.settings)


class Kubectl:
    """kubectl as the administrator of one cluster."""

    def __init__(self, program: Path, cluster: Cluster) -> None:
        self._program, self.cluster = program, cluster

    def run(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [str(self._program), f"--kubeconfig={self.cluster.admin_kubeconfig}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Its output; the test fails if the command does."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.returncode == 0, f"kubectl {' '.join(arguments)}: {answer.stderr}"
        return answer.stdout

    def apply(self, *documents: dict[str, Any]) -> None:
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))

    def exec(self, *command: str) -> str:
        return self("exec", "web", "--", *command)


def eventually(check: Callable[[], Any], seconds: float = 15) -> Any:
    """The result of `check`, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {check}"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="session")
def small_lab(programs: Path) -> Iterator[SmallLab]:
    lab = SmallLab(f"k{os.getpid() % 10000}", programs)
    with closing(lab):
        yield lab


@pytest.fixture(scope="session")
def clusters(small_lab: SmallLab) -> Iterator[dict[str, Kubectl]]:
    """`eks` and `gke`, each with a node and a pod `web`, which returns "web in eks" over HTTP on 8080."""
    webhook = _token_webhook(small_lab)
    made = {"eks": small_lab.eks(token_webhook=webhook), "gke": small_lab.gke()}
    nodes = {
        "eks": ("ip-10-0-1-55.ec2.internal", "10.0.1.55", LABELS, PODS),
        "gke": ("gke-test-default-pool-1", "10.128.0.10", {}),
    }
    _vpc_resolver(small_lab)

    def start(name: str) -> Kubectl:
        made[name].start_control_plane()
        made[name].start_node(*nodes[name])
        kubectl = Kubectl(small_lab.programs / "kubectl", made[name])
        kubectl.apply(_web_pod(name))
        kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
        lookup = ("exec", "web", "--", "nslookup", "kubernetes.default.svc.cluster.local")
        eventually(lambda: kubectl.run(*lookup).returncode == 0, seconds=60)
        return kubectl

    try:
        with ThreadPoolExecutor() as executor:
            yield dict(zip(made, executor.map(start, made), strict=True))
    finally:
        for cluster in made.values():
            cluster.stop()


def _web_pod(cluster: str) -> dict[str, Any]:
    serve = f"echo web in {cluster} >/tmp/index.html && exec httpd -f -p 8080 -h /tmp"
    container = {
        "name": "web",
        "image": images.CURL,
        "command": ["/bin/sh", "-c", serve],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def _vpc_resolver(lab: SmallLab) -> None:
    vpc = lab.internet.attach("vpc-aws", "10.0.0.0/16")
    corefile = lab.settings.data / "Corefile"
    corefile.parent.mkdir(parents=True, exist_ok=True)
    corefile.write_text(".:53 {\n hosts {\n 10.0.1.186 alb.example.com\n }\n}\n")
    lab.processes.start("resolver", [lab.programs / "coredns", "-conf", corefile], vpc.namespace.path)


def _user(token: str) -> User:
    if token != TOKEN:
        raise UnauthenticatedError("unknown token")
    return {"username": "reader", "groups": ["system:masters"]}


def _token_webhook(lab: SmallLab) -> dict[str, Any]:
    """The kubeconfig of a webhook on the loopback interface of the VPC."""
    vpc = lab.internet.attach("vpc-aws", "10.0.0.0/16")
    return TokenWebhook(vpc.namespace, _user).kubeconfig


def serve_http(handler: type[BaseHTTPRequestHandler], listener: Any) -> HTTPServer:
    """An HTTP server, in a thread, on a listening socket that can be in another namespace."""
    server = HTTPServer(listener.getsockname(), handler, bind_and_activate=False)
    server.socket.close()
    listener.setblocking(True)
    server.socket = listener
    server.server_address = listener.getsockname()
    server.server_port = listener.getsockname()[1]
    Thread(target=server.serve_forever, daemon=True).start()
    return server
