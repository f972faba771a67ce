"""Istio as its own pages install it, without a value of ours: `demo` works, what cannot work is refused."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import images
from tests.lab.cluster.conftest import Kubectl, SmallLab, eventually

NAMESPACE = "injected"
Done = "subprocess.CompletedProcess[str]"
pytestmark = pytest.mark.slow


class Istioctl:
    """istioctl as the administrator of one cluster, with a home directory of its own."""

    def __init__(self, program: Path, kubectl: Kubectl, home: Path) -> None:
        self._program, self._kubeconfig = program, kubectl.cluster.admin_kubeconfig
        self._environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}

    def run(self, *words: str) -> Done:
        command = [str(self._program), "--kubeconfig", str(self._kubeconfig), *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=240)

    def __call__(self, *words: str) -> str:
        """Its output; the test fails if the command does."""
        done = self.run(*words)
        assert done.returncode == 0, f"istioctl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def gke(clusters: dict[str, Kubectl]) -> Kubectl:
    return clusters["gke"]


@pytest.fixture(scope="module")
def istioctl(small_lab: SmallLab, gke: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Istioctl:
    return Istioctl(small_lab.programs / "istioctl", gke, tmp_path_factory.mktemp("home"))


@pytest.fixture
def uninstalled(istioctl: Istioctl, gke: Kubectl) -> Iterator[None]:
    """At the end, Istio is uninstalled, and leaves nothing that runs or is called."""
    yield
    istioctl("uninstall", "--purge", "-y")
    webhooks = "mutatingwebhookconfigurations,validatingwebhookconfigurations"
    eventually(
        lambda: (
            not gke("get", f"deployments,daemonsets,services,{webhooks}", "-n", "istio-system", "-o", "name")
        )
    )
    gke("delete", "namespace", "istio-system", NAMESPACE, "--ignore-not-found")


def pod(name: str, **container: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": name, **container}], "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(name: str) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def test_demo(istioctl: Istioctl, gke: Kubectl, uninstalled: None) -> None:
    """https://istio.io/latest/docs/setup/getting-started/"""
    istioctl("install", "--set", "profile=demo", "-y", "--readiness-timeout", "3m")
    gke("create", "namespace", NAMESPACE)
    gke("label", "namespace", NAMESPACE, "istio-injection=enabled")
    client = pod("client", image=images.CURL, command=["sleep", "infinity"])
    gke.apply(client, pod("server", image=images.SERVER), service("server"))
    gke("wait", "pod", "--all", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s")
    words = ("curl", "-s", "--fail", "http://server/")
    inside = ("exec", "-n", NAMESPACE, "client", "-c", "client", "--")
    answered = eventually(lambda: gke.run(*inside, *words).stdout, 30)
    assert "X-Forwarded-Client-Cert" in json.loads(answered)["headers"]  # both pods have a sidecar


def test_remote_secret(istioctl: Istioctl, gke: Kubectl, uninstalled: None) -> None:
    """https://istio.io/latest/docs/setup/install/multicluster/multi-primary/"""
    gke("create", "namespace", "istio-system")
    secret = istioctl("create-remote-secret", "--name", "other")
    refused = gke.run("apply", "-f", "-", stdin=secret)
    assert refused.returncode and "The lab offers no multicluster mesh" in refused.stderr


def test_ambient(istioctl: Istioctl, uninstalled: None) -> None:
    """https://istio.io/latest/docs/ambient/install/istioctl/"""
    refused = istioctl.run("install", "--set", "profile=ambient", "-y", "--readiness-timeout", "20s")
    assert refused.returncode and "it offers neither ambient mode nor istio-cni" in refused.stderr
