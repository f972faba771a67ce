"""What is in a cluster of the series, by one call of kubectl that reads no Secret's contents."""

from collections.abc import Iterable
from typing import NamedTuple

from helpers import kube
from helpers.base.contents import OBJECTS
from helpers.base.errors import CommandError, PrerequisiteError, TimedOutError
from helpers.pictures.things import THINGS, Part, Phase

_CORE = ("nodes", "deployments.apps", "pods", "services", "secrets")
_ISTIO = tuple(
    f"{kind}.networking.istio.io"
    for kind in ("gateways", "virtualservices", "serviceentries", "destinationrules")
)
_COLUMNS = {
    "kind": ".kind",
    "namespace": ".metadata.namespace",
    "name": ".metadata.name",
    "ready": ".status.readyReplicas",
    "wanted": ".spec.replicas",
    "revision": r".metadata.labels.istio\.io/rev",
    "type": ".spec.type",
    "address": ".status.loadBalancer.ingress[0].ip",
    "host": ".status.loadBalancer.ingress[0].hostname",
    "containers": ".spec.containers[*].name",
    "sidecars": ".spec.initContainers[*].name",  # Kubernetes' own kind of sidecar: it starts first and stays
    "waiting": ".status.containerStatuses[*].state.waiting.reason",
    "waiting_first": ".status.initContainerStatuses[*].state.waiting.reason",
    "unscheduled": '.status.conditions[?(@.type=="PodScheduled")].reason',
}
_LIMIT = 10  # seconds for one answer of the API server; twice that for all of them
_STARTING = ("ContainerCreating", "PodInitializing", "")


class Row(NamedTuple):
    """One object; what it does not have is empty."""

    kind: str
    namespace: str
    name: str
    ready: str = ""
    wanted: str = ""
    revision: str = ""
    type: str = ""
    address: str = ""
    host: str = ""
    containers: str = ""
    sidecars: str = ""
    waiting: str = ""
    waiting_first: str = ""
    unscheduled: str = ""


def parts(cluster: str) -> dict[str, Part]:
    """How all things in the cluster of that context are, and how many nodes under "nodes"."""
    try:
        rows = _rows(cluster)
    except (CommandError, TimedOutError, PrerequisiteError) as failed:
        return unknown(cluster, failed.answer.splitlines()[-1])
    gateway = "istio-ingressgateway" if cluster == "eks" else "istio-egressgateway"
    namespace = OBJECTS[cluster].namespace
    found = {
        f"{cluster}/istiod": _workload(rows, "istio-system", "istiod"),
        f"{cluster}/gateway": _workload(rows, namespace, gateway),
        "gke/sleep": _workload(rows, "sleep", "sleep"),
        "nodes": Part("ready", _nodes(sum(row.kind == "Node" for row in rows))),
    }
    there = {(row.kind, row.name) for row in rows if row.namespace == namespace}
    for kind, name in OBJECTS[cluster].names:
        if (kind, name) in there:
            found[f"{cluster}/{kind}/{name}"] = Part("ready", "there")
    return {key: part for key, part in found.items() if key == "nodes" or key.startswith(cluster)}


def _nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number or 'no'} nodes"


def unknown(cluster: str, why: str) -> dict[str, Part]:
    """Nothing can be said of what is in the cluster; `why` is under "nodes"."""
    inside = {key: Part("unknown") for key in THINGS if key.startswith(f"{cluster}/")}
    return {**inside, "nodes": Part("unknown", f"no answer from the API server: {why}")}


def _rows(cluster: str) -> list[Row]:
    try:
        return _get(cluster, _CORE + _ISTIO)
    except CommandError as failed:
        if "doesn't have a resource type" not in failed.output:
            raise
        return _get(cluster, _CORE)  # istiod brings its kinds with it


def _get(cluster: str, kinds: Iterable[str]) -> list[Row]:
    columns = ",".join(f"{name.upper()}:{path}" for name, path in _COLUMNS.items())
    words = ("get", ",".join(kinds), "-A", "--no-headers", f"--request-timeout={_LIMIT}s", "-o")
    got = kube.kubectl(cluster, *words, f"custom-columns={columns}", show=False, timeout=2 * _LIMIT)
    cells = [line.split() for line in got.text.splitlines() if line.strip()]
    return [Row(*("" if cell == "<none>" else cell for cell in line)) for line in cells]


def _workload(rows: list[Row], namespace: str, name: str) -> Part:
    """A Deployment (istiod's name ends with its revision), with its Service's address where it has one."""
    here = [row for row in rows if row.namespace == namespace and row.name.startswith(name)]
    deployment = next((row for row in here if row.kind == "Deployment"), None)
    if deployment is None:
        return Part()
    pods = [row for row in here if row.kind == "Pod"]
    values = [f"revision {deployment.revision}"] if name == "istiod" and deployment.revision else []
    if (
        any("istio-proxy" in f"{pod.containers},{pod.sidecars}".split(",") for pod in pods)
        and "gateway" not in name
    ):
        values.append("with its sidecar")
    service = next((row for row in here if row.kind == "Service"), None)
    if service and (service.address or service.host):
        values.append(service.address or service.host)
    elif service and service.type == "LoadBalancer":
        values.append("no address yet")
    phase, state = _readiness(deployment, pods)
    return Part(
        "creating" if phase == "ready" and "no address yet" in values else phase, state, tuple(values)
    )


def _readiness(deployment: Row, pods: list[Row]) -> tuple[Phase, str]:
    if int(deployment.ready or 0) >= int(deployment.wanted or 0) > 0:
        return "ready", "ready"
    if deployment.wanted == "0":
        return "failed", "scaled to 0 pods"
    if any(pod.unscheduled == "Unschedulable" for pod in pods):
        return "failed", "Unschedulable"
    reasons = {reason for pod in pods for reason in f"{pod.waiting},{pod.waiting_first}".split(",")}
    bad = sorted(reasons - set(_STARTING))
    if bad:
        return "failed", f"{bad[0]}: the pod is not ready"
    if not pods or reasons - {""}:
        return "creating", "starting"
    return "creating", "not ready yet"
