"""Services of type LoadBalancer, as seen from the other cloud and from a reader's laptop."""

import json
from typing import Any

import pytest

from lab.errors import LabError
from tests.lab.cluster.conftest import Kubectl, SmallLab, eventually


def service(
    name: str, *ports: int, app: str = "web", annotations: dict[str, str] | None = None, **spec: str
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {
            **spec,
            "type": "LoadBalancer",
            "selector": {"app": app},
            "ports": [{"name": f"p{port}", "port": port, "targetPort": 8080} for port in ports],
        },
    }


class Balancers:
    """One cluster's Services, and their load balancers."""

    def __init__(self, kubectl: Kubectl, lab: SmallLab) -> None:
        self.kubectl, self._lab = kubectl, lab
        self.vpc = lab.internet.vpcs[
            "vpc-" + {"eks-test": "aws", "gke-test": "gcp"}[kubectl.cluster.spec.name]
        ]

    def create(self, document: dict[str, Any]) -> str:
        """Returns the load balancer's public address."""
        self.kubectl.apply(document)
        name = document["metadata"]["name"]
        return self.address_of(eventually(lambda: self.ingress(name))[0])

    def ingress(self, name: str) -> list[dict[str, str]]:
        return json.loads(self.kubectl("get", "service", name, "-o", "json"))["status"]["loadBalancer"].get(
            "ingress", []
        )

    def address_of(self, ingress: dict[str, str]) -> str:
        """As resolved by DNS."""
        return ingress.get("ip") or self._lab.hosts[ingress["hostname"]][0]

    def get(self, address: str, port: int) -> str:
        """What a client outside of both clouds gets; "" for nothing."""
        url = f"http://{address}:{port}/"
        return self._lab.internet.outside.run("curl", "-s", "-m", "2", url, check=False).stdout.strip()

    def inside(self, address: str, port: int) -> str:
        """What a client in the VPC gets."""
        url = f"http://{address}:{port}/"
        return self.vpc.namespace.run("curl", "-s", "-m", "2", url, check=False).stdout.strip()

    def complaint(self, name: str) -> str:
        """The last event about the Service's load balancer; "" for none."""
        fields = f"reason=SyncLoadBalancerFailed,involvedObject.name={name}"
        events = json.loads(self.kubectl("get", "events", f"--field-selector={fields}", "-o", "json"))
        return "".join(event["message"] for event in events["items"][-1:])

    def taken(self) -> list[str]:
        """The public addresses on the VPC's own interface, except its NAT's."""
        shown = json.loads(self.vpc.namespace.run("ip", "-json", "addr", "show", "eth0").stdout)
        addresses = [entry["local"] for entry in shown[0]["addr_info"] if entry["family"] == "inet"]
        return [address for address in addresses if address != self.vpc.nat]


@pytest.fixture(params=["eks", "gke"])
def balancers(request: pytest.FixtureRequest, clusters: dict[str, Kubectl], small_lab: SmallLab):
    made = Balancers(clusters[request.param], small_lab)
    yield made
    made.kubectl("delete", "service", "--all")


def test_every_port_is_reachable_until_the_service_is_deleted(balancers: Balancers) -> None:
    address = balancers.create(service("web", 80, 8443))
    expected = f"web in {balancers.kubectl.cluster.spec.name.removesuffix('-test')}"
    eventually(lambda: balancers.get(address, 80) == expected)
    eventually(lambda: balancers.get(address, 8443) == expected)
    assert balancers.get(address, 81) == ""
    balancers.kubectl("delete", "service", "web", "--timeout=15s")  # waits for the finalizer
    assert balancers.taken() == []
    eventually(lambda: balancers.get(address, 80) == "")  # kube-proxy follows a moment later


def test_no_other_port_of_the_node_is_reachable(balancers: Balancers, small_lab: SmallLab) -> None:
    address = balancers.create(service("web", 80))
    node_port = balancers.kubectl("get", "service", "web", "-o", "jsonpath={.spec.ports[0].nodePort}")
    for port in ("6443", "10250", "2379", node_port):
        url = f"https://{address}:{port}/"
        answer = small_lab.internet.outside.run("curl", "-sk", "-m", "2", url, check=False)
        assert answer.returncode in (7, 28), f"{port}: {answer.stdout}"


def test_each_service_has_its_own_address(balancers: Balancers) -> None:
    addresses = {balancers.create(service("one", 80)), balancers.create(service("two", 80))}
    assert len(addresses) == 2
    assert sorted(balancers.taken()) == sorted(addresses)


def test_applying_twice_changes_nothing(balancers: Balancers) -> None:
    assert balancers.create(service("web", 80)) == balancers.create(service("web", 80, 81))
    [address] = balancers.taken()
    eventually(lambda: balancers.get(address, 81).startswith("web in"))
    balancers.kubectl.apply(service("web", 80))
    eventually(lambda: balancers.get(address, 81) == "")
    assert balancers.get(address, 80).startswith("web in")


def test_without_endpoints_nothing_is_reachable(balancers: Balancers) -> None:
    address = balancers.create(service("empty", 80, app="nobody"))
    assert balancers.get(address, 80) == ""


def test_without_a_free_address_it_stays_pending_with_a_reason(balancers: Balancers) -> None:
    taken = []
    with pytest.raises(LabError):
        while True:
            taken.append(balancers.vpc.allocate_public())
    balancers.kubectl.apply(service("web", 80))
    assert "addresses" in eventually(lambda: balancers.complaint("web"))
    assert balancers.ingress("web") == []
    for address in taken:
        balancers.vpc.release_public(address)


def test_changing_the_type_releases_the_address(balancers: Balancers) -> None:
    balancers.create(service("web", 80))
    balancers.kubectl("patch", "service", "web", "-p", '{"spec": {"type": "ClusterIP"}}')
    eventually(lambda: balancers.ingress("web") == [] and balancers.taken() == [])


def test_an_unknown_class_stays_pending_with_a_reason(balancers: Balancers) -> None:
    balancers.kubectl.apply(service("classy", 80, loadBalancerClass="service.k8s.aws/nlb"))
    assert "loadBalancerClass service.k8s.aws/nlb: nothing in this cluster serves it" in eventually(
        lambda: balancers.complaint("classy")
    )
    assert balancers.ingress("classy") == []
    balancers.kubectl("delete", "service", "classy", "--timeout=15s")


def test_an_unsupported_annotation_is_rejected_by_name(balancers: Balancers) -> None:
    of_cloud = {
        "eks-test": (
            "service.beta.kubernetes.io/aws-load-balancer-type",
            "the lab has Classic Load Balancers only",
        ),
        "gke-test": ("networking.gke.io/load-balancer-ip", "the lab does not offer it"),
    }
    name, refusal = of_cloud[balancers.kubectl.cluster.spec.name]
    balancers.kubectl.apply(service("odd", 80, annotations={name: "nlb"}))
    assert f"the annotation {name}: nlb: {refusal}" in eventually(lambda: balancers.complaint("odd"))
    assert balancers.ingress("odd") == []
    balancers.create(service("odd", 80))  # without it, the Service is accepted


def test_gke_replaces_a_load_balancer_whose_type_changes(
    clusters: dict[str, Kubectl], small_lab: SmallLab
) -> None:
    balancers = Balancers(clusters["gke"], small_lab)
    internal = {"networking.gke.io/load-balancer-type": "Internal"}
    try:
        private = balancers.create(service("web", 80, annotations=internal))
        assert private.startswith("10.128.0.")
        assert balancers.taken() == []
        eventually(lambda: balancers.inside(private, 80) == "web in gke")
        assert balancers.get(private, 80) == ""
        balancers.kubectl.apply(service("web", 80))
        public = eventually(lambda: [one["ip"] for one in balancers.ingress("web") if one["ip"] != private])[
            0
        ]
        eventually(lambda: balancers.get(public, 80) == "web in gke")
        assert balancers.inside(private, 80) == ""
        older = {"cloud.google.com/load-balancer-type": "internal"}
        balancers.kubectl.apply(service("web", 80, annotations=older))
        eventually(lambda: balancers.ingress("web") == [{"ip": private, "ipMode": "VIP"}])
        eventually(lambda: balancers.get(public, 80) == "")
        assert balancers.taken() == []
    finally:
        balancers.kubectl("delete", "service", "--all")


def test_aws_forwards_nothing_before_health_checks_pass(
    clusters: dict[str, Kubectl], small_lab: SmallLab
) -> None:
    balancers = Balancers(clusters["eks"], small_lab)
    serve = {"targetPort": 8081}  # nothing listens there yet
    late = service("late", 80)
    late["spec"]["ports"][0] |= serve
    try:
        address = balancers.create(late)
        url = f"http://{address}/"
        answer = small_lab.internet.outside.run("curl", "-s", "-m", "5", url, check=False)
        assert answer.returncode not in (0, 28), "a connection is closed at once"
        balancers.kubectl("exec", "web", "--", "httpd", "-p", "8081", "-h", "/tmp")
        eventually(lambda: balancers.get(address, 80) == "web in eks")
    finally:
        balancers.kubectl("delete", "service", "--all")


def test_aws_publishes_a_host_name(clusters: dict[str, Kubectl], small_lab: SmallLab) -> None:
    balancers = Balancers(clusters["eks"], small_lab)
    balancers.create(service("web", 80))
    [ingress] = balancers.ingress("web")
    assert ingress["hostname"].endswith(".us-east-1.elb.amazonaws.com")
    assert "ip" not in ingress
    balancers.kubectl("delete", "service", "web", "--timeout=15s")
    assert ingress["hostname"] not in small_lab.hosts
