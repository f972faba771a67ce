"""What exists now, queried from plain moto and from a real API server without nodes."""

import json

import pytest

from helpers import acm, aws, dns, eks, function, kube, load_balancer, network, state
from helpers.base.settings import current
from helpers.clusters import kubeconfig
from helpers.pictures import cluster_things
from helpers.pictures.things import Parts
from tests.helpers.api_server import kubectl

GATEWAY = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-ingress}
spec:
  selector: {matchLabels: {app: door}}
  template:
    metadata: {labels: {app: door}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-ingress}
spec: {type: LoadBalancer, ports: [{port: 443}], selector: {app: door}}
---
apiVersion: v1
kind: Pod
metadata: {name: istio-ingressgateway-1, namespace: istio-ingress}
spec: {containers: [{name: istio-proxy, image: auto}]}
"""


def test_in_an_empty_account_nothing_exists(moto):
    assert state.gather() == Parts()


def test_aws_resources_exist_until_they_are_deleted(moto):
    place = network.ensure()
    found = state.gather()
    assert found["vpc"].values == (place.vpc_id, network.CIDR)
    assert found["subnets"].values == ("3 private", "3 public")
    assert found["nat"].phase == "ready"
    assert {"alb", "listeners", "target", "function", "eks", "gke"} & set(found) == set()
    function.ensure()
    acm.ensure()
    load_balancer.ensure()
    dns.ensure()
    found = state.gather()
    assert found["alb"].state == "active"
    assert found["listeners"].values == ("HTTP 80", "HTTPS 443")
    assert (found["target"].state, found["function"].state) == ("healthy", "Active")
    assert found.paths()["internal ALB → Lambda function"]
    aws.call("lambda", "delete_function", FunctionName=function.name())
    assert "function" not in state.gather()
    assert not state.gather().paths()["internal ALB → Lambda function"]


@pytest.mark.parametrize(
    ("status", "issues", "phase", "said"),
    [
        ("CREATING", [], "creating", "CREATING"),
        ("DELETING", [], "creating", "DELETING"),
        ("ACTIVE", [], "ready", "ACTIVE"),
        ("FAILED", [{"code": "AccessDenied", "message": "no role"}], "failed", "FAILED: no role"),
    ],
)
def test_a_cluster_has_the_state_that_eks_reports(moto, monkeypatch, status, issues, phase, said):
    network.ensure()
    eks.create()
    described = {**(eks.describe() or {}), "status": status, "health": {"issues": issues}}
    monkeypatch.setattr(eks, "describe", lambda: described)
    found = state.gather()
    assert (found["eks"].phase, found["eks"].state) == (phase, said)
    assert found["eks"].values[-1] == "not connected yet"
    assert found["eks/istiod"].phase == "missing"


def test_a_context_of_another_cluster_is_not_queried(moto, cluster):
    network.ensure()
    eks.create()
    assert kubeconfig.server("eks") not in ("", (eks.describe() or {}).get("endpoint"))
    assert state.gather()["eks"].values[-1] == "not connected yet"


def test_a_cluster_without_istio_is_empty_without_an_error(cluster):
    found = cluster_things.parts("eks")
    assert {key: part.phase for key, part in found.items() if key != "nodes"} == {
        "eks/istiod": "missing",
        "eks/gateway": "missing",
    }
    assert found["nodes"].state == "no nodes"


def test_an_unresponsive_api_server_makes_everything_unknown(cluster):
    path = current().KUBECONFIG
    path.write_text(path.read_text().replace(kubeconfig.server("eks"), "https://127.0.0.1:1"))
    found = cluster_things.parts("eks")
    assert {part.phase for part in found.values()} == {"unknown"}
    assert found["nodes"].state.startswith("no answer from the API server: ")
    assert "127.0.0.1:1" in found["nodes"].state


def status(what: str, **values: object) -> None:
    patch = json.dumps({"status": values})
    words = ("-n", "istio-ingress", "patch", what, "--subresource=status", "--type=merge", "-p", patch)
    assert kubectl(*words).returncode == 0


def test_a_gateway_starts_breaks_and_is_ready(cluster, tmp_path):
    (tmp_path / "gateway.yaml").write_text(GATEWAY)
    kube.namespace("eks", "istio-ingress")
    kube.apply("eks", str(tmp_path / "gateway.yaml"))

    def gateway() -> tuple[str, str, tuple[str, ...]]:
        part = cluster_things.parts("eks")["eks/gateway"]
        return part.phase, part.state, part.values

    pod = "pod/istio-ingressgateway-1"
    for reason, seen in (
        ("ContainerCreating", ("creating", "starting")),
        ("CrashLoopBackOff", ("failed", "CrashLoopBackOff: the pod is not ready")),
    ):
        waiting = {"name": "istio-proxy", "ready": False, "restartCount": 0, "image": "auto", "imageID": ""}
        status(pod, containerStatuses=[{**waiting, "state": {"waiting": {"reason": reason}}}])
        assert gateway() == (*seen, ("no address yet",))
    status("deployment/istio-ingressgateway", replicas=1, readyReplicas=1)
    assert gateway() == ("creating", "ready", ("no address yet",))
    status("service/istio-ingressgateway", loadBalancer={"ingress": [{"hostname": "door.example.com"}]})
    assert gateway() == ("ready", "ready", ("door.example.com",))


def test_secrets_are_listed_by_name_and_their_contents_are_not_read(cluster, tmp_path):
    kube.namespace("eks", "istio-ingress")
    (tmp_path / "key").write_text("a-secret")
    assert "eks/Secret/alb-ca" not in cluster_things.parts("eks")
    kube.secret("eks", "istio-ingress", "alb-ca", {"ca.crt": tmp_path / "key"})
    found = cluster_things.parts("eks")
    assert found["eks/Secret/alb-ca"].phase == "ready"
    assert "eks/Secret/mtls-credential" not in found
