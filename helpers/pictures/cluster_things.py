"""What is in a cluster of the series; of Secrets and Istio's objects their names only are read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.base.contents import OBJECTS
from helpers.base.errors import ApiError, PrerequisiteError, TimedOutError, UnreachableError
from helpers.clusters import client
from helpers.pictures.things import THINGS, Part, Phase

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

_TIMEOUT = 5.0  # seconds: a picture does not wait for an API server
_NAMES_ONLY = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
_ISTIO = "/apis/networking.istio.io/v1"
_PATHS = {
    "Secret": ("/api/v1", "secrets"),
    "Gateway": (_ISTIO, "gateways"),
    "VirtualService": (_ISTIO, "virtualservices"),
    "ServiceEntry": (_ISTIO, "serviceentries"),
    "DestinationRule": (_ISTIO, "destinationrules"),
}
_STARTING = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Workload:
    """A Deployment with the pods and the Service whose names begin like its own."""

    deployment: Any
    pods: list[Any]
    service: Any | None


def parts(cluster: str) -> dict[str, Part]:
    """How all things in the cluster of that context are, and how many nodes under "nodes"."""
    try:
        return client.call(cluster, "Looking", lambda api: _parts(api, cluster), _TIMEOUT)
    except (ApiError, UnreachableError, TimedOutError, PrerequisiteError) as failed:
        return unknown(cluster, failed.answer.splitlines()[-1])


def unknown(cluster: str, why: str) -> dict[str, Part]:
    """Nothing can be said of what is in the cluster; `why` is under "nodes"."""
    inside = {key: Part("unknown") for key in THINGS if key.startswith(f"{cluster}/")}
    return {**inside, "nodes": Part("unknown", f"no answer from the API server: {why}")}


def _parts(api: "Client", cluster: str) -> dict[str, Part]:
    namespace = OBJECTS[cluster].namespace
    workloads = {
        "eks/istiod": ("istio-system", "istiod"),
        "eks/gateway": (namespace, "istio-ingressgateway"),
        "gke/istiod": ("istio-system", "istiod"),
        "gke/gateway": (namespace, "istio-egressgateway"),
        "gke/sleep": ("sleep", "sleep"),
    }
    found = {
        key: _part(_workload(api, *place)) for key, place in workloads.items() if key.startswith(cluster)
    }
    found["nodes"] = Part("ready", _nodes(len(_names(api, "/api/v1/nodes"))))
    for kind in dict(OBJECTS[cluster].names):
        group, plural = _PATHS[kind]
        there = _names(api, f"{group}/namespaces/{namespace}/{plural}")
        for wanted, name in OBJECTS[cluster].names:
            if wanted == kind and name in there:
                found[f"{cluster}/{kind}/{name}"] = Part("ready", "exists")
    return found


def _names(api: "Client", path: str) -> list[str]:
    from kubernetes.dynamic.exceptions import NotFoundError

    try:
        return [each.metadata.name for each in api.request("get", path, header_params={**_NAMES_ONLY}).items]
    except NotFoundError:  # istiod brings its kinds with it
        return []


def _nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number or 'no'} nodes"


def _workload(api: "Client", namespace: str, name: str) -> Workload | None:
    """The Deployment of that name, to which istiod's adds its revision."""

    def named(path: str) -> list[Any]:
        found = api.request("get", f"{path.format(namespace)}").items
        return [each for each in found if each.metadata.name.startswith(name)]

    deployments = named("/apis/apps/v1/namespaces/{}/deployments")
    if not deployments:
        return None
    services = named("/api/v1/namespaces/{}/services")
    return Workload(deployments[0], named("/api/v1/namespaces/{}/pods"), services[0] if services else None)


def _part(workload: Workload | None) -> Part:
    if workload is None:
        return Part()
    values = _values(workload)
    phase, state = _readiness(workload)
    return Part(
        "creating" if phase == "ready" and "no address yet" in values else phase, state, tuple(values)
    )


def _values(workload: Workload) -> list[str]:
    metadata, service = workload.deployment.metadata, workload.service
    revision = metadata.labels and metadata.labels["istio.io/rev"]
    values = [f"revision {revision}"] if revision and metadata.name.startswith("istiod") else []
    if "gateway" not in metadata.name and any(map(_has_sidecar, workload.pods)):
        values.append("with its sidecar")
    if service and service.spec.type == "LoadBalancer":
        [ingress, *_] = service.status.loadBalancer.ingress or [None]
        values.append((ingress.ip or ingress.hostname) if ingress else "no address yet")
    return values


def _has_sidecar(pod: Any) -> bool:
    # Kubernetes' own kind of sidecar is an init container: it starts first and stays.
    containers = [*pod.spec.containers, *(pod.spec.initContainers or ())]
    return any(container.name == "istio-proxy" for container in containers)


def _readiness(workload: Workload) -> tuple[Phase, str]:
    wanted, ready = workload.deployment.spec.replicas or 0, workload.deployment.status.readyReplicas or 0
    if ready >= wanted > 0:
        return "ready", "ready"
    if not wanted:
        return "failed", "scaled to 0 pods"
    if any(
        condition.type == "PodScheduled" and condition.reason == "Unschedulable"
        for pod in workload.pods
        for condition in pod.status.conditions or ()
    ):
        return "failed", "Unschedulable"
    reasons = {reason for pod in workload.pods for reason in _waiting(pod)}
    if bad := sorted(reasons.difference(_STARTING)):
        return "failed", f"{bad[0]}: the pod is not ready"
    return "creating", "starting" if reasons or not workload.pods else "not ready yet"


def _waiting(pod: Any) -> list[str]:
    """Why its containers wait, e.g. CrashLoopBackOff."""
    statuses = [*(pod.status.containerStatuses or ()), *(pod.status.initContainerStatuses or ())]
    waiting = [status.state.waiting for status in statuses if status.state and status.state.waiting]
    return [each.reason for each in waiting if each.reason]
