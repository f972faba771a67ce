"""The manifests with example values, as kubectl and istioctl read them."""

import json
import os
import re
import subprocess
from pathlib import Path
from string import Template

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
MANIFESTS = sorted((PROJECT / "manifests").glob("*/*.yaml"))
VALUES = {
    "ALB_HOST": "alb.example.com",
    "TUTORIAL_CURL_IMAGE": "curlimages/curl:8.17.0",
    "TUTORIAL_TOOLS_IMAGE": "nicolaka/netshoot:v0.13",
    "NODE": "ip-10-0-1-55.ec2.internal",
    "NAME": "by-header",
    "RULE": 'from: [{source: {principals: ["*"]}}]',
    "GATEWAY_ADDRESS": "a0123456789abcdef0123456789abcde.us-east-1.elb.amazonaws.com",
    "TRUST_DOMAIN": "eks.example",
    "TUTORIAL_ISTIO_HUB": "docker.io/istio",
    "TUTORIAL_ISTIO_REVISION": "1-30",
    "TUTORIAL_ISTIO_TAG": "1.30.5",
}
# cluster/file: kind, namespace; the file is named after the object
ARTICLE = {
    "eks/se-alb-ext": ("ServiceEntry", "istio-ingress"),
    "eks/dr-alb-ext": ("DestinationRule", "istio-ingress"),
    "eks/eastwestgateway": ("Gateway", "istio-ingress"),
    "eks/vs-lambda": ("VirtualService", "istio-ingress"),
    "gke/se-lambda-ext": ("ServiceEntry", "istio-egress"),
    "gke/dr-lambda-ext": ("DestinationRule", "istio-egress"),
    "gke/istio-egressgateway": ("Gateway", "istio-egress"),
    "gke/egressgateway-for-lambda": ("DestinationRule", "istio-egress"),
    "gke/direct-lambda-through-egress-gateway": ("VirtualService", "istio-egress"),
}


def rendered(path: Path) -> str:
    return Template(path.read_text()).substitute(VALUES)


def document(name: str) -> dict:
    return yaml.safe_load(rendered(PROJECT / "manifests" / f"{name}.yaml"))


def istioctl(programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Without a kubeconfig it cannot query a cluster, especially not the reader's.
    return subprocess.run(
        [str(programs / "istioctl"), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All manifests with their values, in a folder for each cluster."""
    for path in MANIFESTS:
        target = tmp_path / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_text(rendered(path))
    return tmp_path


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_manifest_is_valid_yaml_and_states_its_purpose(path):
    assert path.read_text().startswith("# ")
    for each in yaml.safe_load_all(rendered(path)):
        assert each["apiVersion"] and each["kind"] and each["metadata"]["name"]


def test_every_value_is_used():
    used = set().union(*(re.findall(r"\$\{(\w+)\}", path.read_text()) for path in MANIFESTS))
    assert used == set(VALUES)


@pytest.mark.parametrize("name", ARTICLE)
def test_the_articles_objects_keep_their_names(name):
    found = document(name)
    assert found["apiVersion"] == "networking.istio.io/v1"
    assert (found["kind"], found["metadata"]["namespace"]) == ARTICLE[name]
    assert found["metadata"]["name"] == name.partition("/")[2]


@pytest.mark.parametrize("cluster", ["eks", "gke", "mesh"])
def test_istioctl_validates_the_manifests(programs, folder, cluster):
    answer = istioctl(programs, "validate", "-f", str(folder / cluster))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_istioctl_detects_a_mistake(programs, folder):
    broken = folder / "eks/vs-lambda.yaml"
    broken.write_text(broken.read_text().replace("number: 443", "number: 443000"))
    answer = istioctl(programs, "validate", "-f", str(broken))
    assert answer.returncode != 0
    assert "443000" in answer.stdout + answer.stderr


def analysis(programs: Path, folder: Path, cluster: str, gateway: str) -> subprocess.CompletedProcess[str]:
    """istioctl analyze of the article's objects with the Service that the gateway's chart creates."""
    generated = istioctl(programs, "manifest", "generate", "-f", str(folder / cluster / f"{gateway}.yaml"))
    chart = folder / "chart.yaml"
    chart.write_text(generated.stdout)
    files = [str(folder / f"{name}.yaml") for name in ARTICLE if name.startswith(cluster)]
    return istioctl(programs, "analyze", "--use-kube=false", "-A", str(chart), *files)


@pytest.mark.parametrize(("cluster", "gateway"), [("eks", "ingress-gateway"), ("gke", "egress-gateway")])
def test_istioctl_finds_no_error_between_the_objects(programs, folder, cluster, gateway):
    answer = analysis(programs, folder, cluster, gateway)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Error [" not in answer.stdout


def test_istioctl_finds_a_missing_subset(programs, folder):
    broken = folder / "gke/direct-lambda-through-egress-gateway.yaml"
    broken.write_text(broken.read_text().replace("subset: lambda", "subset: lamda"))
    answer = analysis(programs, folder, "gke", "egress-gateway")
    assert answer.returncode != 0
    assert "Referenced host+subset in destinationrule not found" in answer.stdout


def test_the_access_log_is_json_with_both_peers():
    mesh = document("mesh/control-plane")["spec"]["meshConfig"]
    assert mesh["accessLogEncoding"] == "JSON"
    fields = json.loads(mesh["accessLogFormat"])
    assert fields["traceparent"] == "%REQ(TRACEPARENT)%"
    assert {"status", "flags", "upstream", "downstream_subject", "upstream_subject"} <= set(fields)


@pytest.mark.parametrize(
    ("name", "kind"), [("eks/ingress-gateway", "ingressGateways"), ("gke/egress-gateway", "egressGateways")]
)
def test_a_gateway_is_injected_by_the_revision(programs, folder, name, kind):
    answer = istioctl(programs, "manifest", "generate", "-f", str(folder / f"{name}.yaml"))
    assert answer.returncode == 0, answer.stderr
    (deployment,) = [d for d in yaml.safe_load_all(answer.stdout) if d and d["kind"] == "Deployment"]
    (gateway,) = document(name)["spec"]["components"][kind]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["istio.io/rev"] == VALUES["TUTORIAL_ISTIO_REVISION"]
    assert labels["istio"] == gateway["label"]["istio"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "auto"


def test_the_ingress_gateways_load_balancer_is_cross_zone(programs, folder):
    answer = istioctl(programs, "manifest", "generate", "-f", str(folder / "eks/ingress-gateway.yaml"))
    (service,) = [d for d in yaml.safe_load_all(answer.stdout) if d and d["kind"] == "Service"]
    name = "service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled"
    assert service["metadata"]["annotations"] == {name: "true"}
    assert [port["port"] for port in service["spec"]["ports"]] == [443]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_the_labs_specifics_are_only_in_the_settings(path):
    """Hub and tag are settings, and the lab's clusters correct what stock Envoy lacks."""
    assert not re.search(
        r"lab\.local|\b(hub|tag): (?!\$)|198\.51\.100|METADATA_EXCHANGE|ALPN_FILTER", path.read_text()
    )
