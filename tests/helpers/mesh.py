"""The pods on the request's path, on the API server of the fixture `server`, for both contexts.

Kubernetes' own controllers make them; what a node and Envoys do is the tests' own: `Node` and `istioctl`.
"""

import base64
import functools
import json
import shlex
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tenacity import Retrying, stop_after_delay, wait_fixed

from helpers import kube
from helpers.proxies import PATH
from tests.helpers import api_server

NODE = "the-node"
STAND_IN = Path(__file__).with_name("istioctl_stand_in.py")
_LABELS = {"sleep": {"app": "sleep"}, "istio-ingressgateway": {"istio": "eastwestgateway"}}
_KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: it, cluster: {server: "%s", certificate-authority-data: %s}}]
users: [{name: me, user: {token: %s}}]
contexts: [{name: me, context: {cluster: it, user: me}}]
current-context: me
"""


class Node(threading.Thread):
    """Starts the containers of every pod, ephemeral ones included, and ends pods that are being deleted."""

    def __init__(self, url: str, ca: str) -> None:
        super().__init__(daemon=True)
        self._url, self._end = url, threading.Event()
        self._tls = ssl.create_default_context(cadata=base64.b64decode(ca).decode())

    def run(self) -> None:
        while not self._end.wait(0.05):
            for pod in self._ask("GET", "/api/v1/pods")["items"]:
                meta = pod["metadata"]
                path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
                if "deletionTimestamp" in meta:
                    self._ask("DELETE", path, {"gracePeriodSeconds": 0})
                elif (status := _running(pod)) != pod["status"]:
                    self._ask("PATCH", f"{path}/status", {"status": status})

    def end(self) -> None:
        self._end.set()
        self.join()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {api_server.TOKEN}", "Content-Type": kind}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self._tls) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):  # gone or changed meanwhile
                raise


def _running(pod: dict[str, Any]) -> dict[str, Any]:
    since = pod["metadata"]["creationTimestamp"]
    started = [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"running": {"startedAt": since}},
        }
        for each in pod["spec"].get("ephemeralContainers", [])
    ]
    ready = {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": since}
    status = pod["status"] | {"phase": "Running", "conditions": [ready]}
    return status | ({"ephemeralContainerStatuses": started} if started else {})


@contextmanager
def controllers(programs: Path, server: tuple[str, str], folder: Path) -> Iterator[None]:
    """Kubernetes' controllers for Deployments, and a node."""
    config = folder / "controllers.kubeconfig"
    config.write_text(_KUBECONFIG % (*server, api_server.TOKEN))
    words = ["--controllers=deployment-controller,replicaset-controller", "--leader-elect=false"]
    argv = [programs / "kube-controller-manager", f"--kubeconfig={config}", "--secure-port=0", *words]
    node = Node(*server)
    with api_server.process(argv, folder / "controllers.log"):
        node.start()
        yield
        node.end()  # before the API server


def deploy() -> None:
    """The proxies' namespaces and Deployments, ready."""
    for pod in PATH.values():
        kube.namespace(pod.context, pod.namespace)
        kube.apply_text(pod.context, _deployment(pod.namespace, pod.target.partition("/")[2]))
    for pod in PATH.values():
        kube.rollout(*pod, timeout=60)


def delete() -> None:
    """Delete all Deployments and pods, since nothing collects what a Deployment leaves."""
    words = ("deployments,replicasets,pods", "--all-namespaces", "--all", "--force", "--grace-period=0")
    assert api_server.kubectl("delete", *words).returncode == 0


def _deployment(namespace: str, name: str) -> str:
    labels = _LABELS.get(name, {"app": name})
    containers = [{"name": each, "image": "none"} for each in ("istio-proxy", "sleep")]
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"nodeName": NODE, "terminationGracePeriodSeconds": 1, "containers": containers},
        },
    }
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


def kinds(programs: Path, *names: str) -> None:
    """Istio's own definitions of these kinds, served."""
    found = {
        name: text
        for name, text in _definitions(programs).items()
        if json.loads(text)["spec"]["names"]["kind"] in names
    }
    for name, text in found.items():
        if not kube.find("eks", "", f"customresourcedefinition/{name}"):
            kube.apply_text("eks", text)
    for name in found:
        for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.1), reraise=True):
            with attempt:
                assert api_server.kubectl("get", name).returncode == 0


@functools.cache
def _definitions(programs: Path) -> dict[str, str]:
    argv, environment = [programs / "istioctl", "manifest", "generate"], {"HOME": "/nonexistent"}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment)
    found = yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    crds = [each for each in found if each and each["kind"] == "CustomResourceDefinition"]
    return {each["metadata"]["name"]: json.dumps(each) for each in crds}


class Envoys:
    """`late`: so many of the next answers of `istioctl` show what they had before."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.late = 0

    @property
    def late(self) -> int:
        return int(self._file.read_text())

    @late.setter
    def late(self, answers: int) -> None:
        self._file.write_text(str(answers))


def tools(programs: Path, folder: Path) -> Envoys:
    """A folder of programs in which `istioctl` is the tests' own; the settings have to name it."""
    folder.mkdir()
    for program in programs.iterdir():
        if program.name != "istioctl":
            (folder / program.name).symlink_to(program)
    argv: Sequence[object] = [sys.executable, STAND_IN, folder / "late"]
    (folder / "istioctl").write_text(f'#!/bin/sh\nexec {shlex.join(map(str, argv))} "$@"\n')
    (folder / "istioctl").chmod(0o755)
    return Envoys(folder / "late")
