"""What the lab's clusters reject or correct: their proxies are stock Envoys, their images this machine's."""

import json
from typing import Any

import pytest
import yaml

from tests.lab.cluster.conftest import Kubectl

MESH = (
    "accessLogFile: /dev/stdout\ndefaultProviders:\n  metrics:\n  - prometheus\nrootNamespace: istio-system\n"
)


def thing(
    kind: str, version: str = "v1", *, labels: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    metadata = {"name": "tried", "namespace": "default", "labels": labels or {}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def workload(kind: str, image: str, *, container: str = "main", **labels: str) -> dict[str, Any]:
    pod = {"containers": [{"name": container, "image": image}]}
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod},
    }
    return thing(kind, "apps/v1", labels=labels, spec=spec)


def tried(kubectl: Kubectl, wanted: dict[str, Any]) -> Any:
    """What the API server would store."""
    words = ("apply", "--server-side", "--dry-run=server", "-o", "json", "-f", "-")
    return json.loads(kubectl(*words, stdin=json.dumps(wanted)))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (thing("Secret", labels={"istio/multiCluster": "true"}), "at 127.0.0.1 of your machine"),
        (workload("DaemonSet", "lab.local/istio/ztunnel:1"), "neither ambient mode nor istio-cni"),
        (workload("Deployment", "lab.local/istio/pilot:1-distroless"), "profile with sidecars"),
    ],
    ids=["multicluster", "ambient", "distroless"],
)
def test_unsupported_objects_are_rejected_with_the_reason(
    clusters: dict[str, Kubectl], wanted: Any, reason: str
) -> None:
    words = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    refused = clusters["gke"].run(*words, stdin=json.dumps(wanted))
    assert refused.returncode and reason in refused.stderr


@pytest.mark.parametrize(
    "wanted",
    [
        thing("Secret", labels={"istio/multiCluster": "false"}),
        workload("DaemonSet", "lab.local/curl:1"),
        workload("Deployment", "lab.local/istio/pilot:1"),
    ],
    ids=lambda wanted: wanted["kind"],
)
def test_similar_objects_are_admitted(clusters: dict[str, Kubectl], wanted: Any) -> None:
    assert tried(clusters["gke"], wanted)["metadata"]["name"] == "tried"


def service(*ports: dict[str, Any], **metadata: str) -> dict[str, Any]:
    wanted = thing("Service", spec={"ports": [{"port": 80 + i, **each} for i, each in enumerate(ports)]})
    wanted["metadata"] |= metadata
    return wanted


def warnings(kubectl: Kubectl, wanted: dict[str, Any]) -> str:
    done = kubectl.run("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=json.dumps(wanted))
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        (service({}), "port 80."),
        (service({"name": "web"}, {"name": "http"}, {"name": "web-http"}), "port 80, 82."),
        (service({"name": "http", "appProtocol": "example.com/mine"}), "port 80."),
    ],
    ids=["no name", "another word", "appProtocol is stronger"],
)
def test_ports_without_a_protocol_are_named_in_a_warning(
    clusters: dict[str, Kubectl], wanted: Any, named: str
) -> None:
    said = warnings(clusters["gke"], wanted)
    assert f"Neither the name nor appProtocol says the protocol of {named} The lab's Envoy" in said


@pytest.mark.parametrize(
    "wanted",
    [
        service({"name": "http"}, {"name": "grpc-web-x"}, {"name": "tcp-db"}, {"name": "tls"}),
        service({"appProtocol": "HTTP"}),
        service({"name": "web", "appProtocol": "kubernetes.io/h2c"}),
        service({"name": "dns", "port": 53}, {"name": "mine", "port": 5000, "protocol": "UDP"}),
        service({"name": "status-port", "port": 15021}),
        service({"name": "metrics"}, namespace="kube-system"),
    ],
    ids=["names", "appProtocol", "of Kubernetes", "TCP or UDP in any case", "gateway", "system"],
)
def test_other_ports_cause_no_warning(clusters: dict[str, Kubectl], wanted: Any) -> None:
    assert warnings(clusters["gke"], wanted) == ""


@pytest.mark.parametrize("revision", ["default", "1-30"])
def test_istiod_sends_only_what_stock_envoy_supports(clusters: dict[str, Kubectl], revision: str) -> None:
    labels = {"app": "istiod", "istio.io/rev": revision}
    made = tried(
        clusters["eks"], workload("Deployment", "lab.local/istio/pilot:1", container="discovery", **labels)
    )
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        "PILOT_ENABLE_ALPN_FILTER": "false",
    }


def test_other_deployments_are_unchanged(clusters: dict[str, Kubectl]) -> None:
    made = tried(
        clusters["eks"], workload("Deployment", "lab.local/curl:1", container="discovery", app="mine")
    )
    assert "env" not in made["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(("name", "kept"), [("istiod", False), ("mine", True)])
def test_metrics_are_removed_from_the_mesh_configuration(
    clusters: dict[str, Kubectl], name: str, kept: bool
) -> None:
    labels = {"app.kubernetes.io/name": name}
    mesh = tried(clusters["eks"], thing("ConfigMap", labels=labels, data={"mesh": MESH}))["data"]["mesh"]
    assert ("prometheus" in mesh, "rootNamespace: istio-system\n" in mesh) == (kept, True)


def test_other_default_providers_are_kept(clusters: dict[str, Kubectl]) -> None:
    data = {"mesh": MESH.replace("  metrics:", "  accessLogging:\n  - envoy\n  metrics:")}
    made = tried(clusters["eks"], thing("ConfigMap", labels={"app.kubernetes.io/name": "istiod"}, data=data))
    providers = yaml.safe_load(made["data"]["mesh"])["defaultProviders"]
    assert providers == {"accessLogging": ["envoy"], "metrics": []}


@pytest.mark.parametrize("image", ["example.com/web", "example.com/web:latest", "example.com/web:1"])
def test_no_image_is_always_pulled(clusters: dict[str, Kubectl], image: str) -> None:
    spec = {"containers": [{"name": "one", "image": "example.com/other:1"}, {"name": "two", "image": image}]}
    made = tried(clusters["gke"], thing("Pod", spec=spec))
    assert [each["imagePullPolicy"] for each in made["spec"]["containers"]] == ["IfNotPresent"] * 2


def test_pull_policy_never_is_kept(clusters: dict[str, Kubectl]) -> None:
    spec = {"containers": [{"name": "one", "image": "example.com/web:1", "imagePullPolicy": "Never"}]}
    made = tried(clusters["gke"], thing("Pod", spec=spec))
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Never"
