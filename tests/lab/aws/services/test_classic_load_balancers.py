"""Classic Load Balancers of Services: instances and their health, internal ones, rejected settings.

The cluster is a fake; its node is a web server on the node's address.
"""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, NamedTuple

import pytest
import tenacity
from botocore.exceptions import ClientError
from kubernetes import client as kubernetes

from lab import sockets
from lab.aws import delays
from lab.aws.services.classic.health import HealthCheck, Instance
from lab.aws.services.ec2.networks import Networks
from lab.errors import LabError
from lab.network import PUBLIC_DNS, Namespace
from tests.lab.aws.conftest import REGION, FakeCluster, Network, patiently
from tests.lab.aws.services.test_dns import ask, values
from tests.lab.cluster.conftest import serve_http

QUICK = {"Delay": 1, "MaxAttempts": 40}
UID = "b70cfa70-2cb4-517a-79e5-51df2f40a500"
NAME = "ab70cfa702cb4517a79e551df2f40a50"
PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
ANNOTATION = f"{PREFIX}internal"
NODE_PORT = 31443
NOT_PASSED = "Instance has not passed the configured HealthyThreshold number of health checks consecutively."
FAILED = "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."


class Machine(NamedTuple):
    address: str
    provider_id: str


class Page(BaseHTTPRequestHandler):
    """Returns 200 for everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: Any) -> None:
        pass


class Eks:
    """A cluster with one node, and the controller for its Services."""

    def __init__(self, aws: Any, client: Any, network: Network, cluster: FakeCluster) -> None:
        assert cluster.node
        self.elb, self.ec2, self.network = client("elb"), client("ec2"), network
        self.controller = cluster.load_balancers
        self.machine: Machine | None = Machine(cluster.node[1], cluster.provider_id)
        self.vpc = aws.context.peer(Networks, REGION).namespace(network.vpc_id)
        self.vpc.add_private(self.machine.address)
        self.outside = aws.context.internet.outside

    def ensure(self, annotations: dict[str, str] | None = None, **spec: Any) -> str:
        """What the controller does with the Service; returns the host name in its status."""
        [ingress] = self.controller.ensure(service(annotations, **spec), lambda: self.machine)
        return ingress["hostname"]

    def listen(self, port: int = NODE_PORT) -> "closing[HTTPServer]":
        """Serves the page on a port of the node for the duration of the block."""
        assert self.machine
        listener = sockets.listen((self.machine.address, port), self.vpc.namespace)
        return closing(Stopped(serve_http(Page, listener)))  # type: ignore[arg-type]

    def described(self) -> dict[str, Any]:
        [found] = self.elb.describe_load_balancers(LoadBalancerNames=[NAME])["LoadBalancerDescriptions"]
        return found

    def states(self) -> list[dict[str, str]]:
        return self.elb.describe_instance_health(LoadBalancerName=NAME)["InstanceStates"]

    def in_service(self) -> None:
        self.elb.get_waiter("any_instance_in_service").wait(LoadBalancerName=NAME, WaiterConfig=QUICK)

    def addresses(self, host_name: str) -> list[str]:
        """The addresses in the public DNS."""
        return [one.removeprefix("A ") for one in values(ask(self.outside, PUBLIC_DNS, host_name))]

    def get(self, address: str, namespace: Namespace | None = None) -> tuple[int, str]:
        """curl's exit code and the page."""
        url = f"http://{address}:443/"
        done = (namespace or self.outside).run("curl", "-s", "--max-time", "1", url, check=False)
        return done.returncode, done.stdout


class Stopped:
    """An HTTP server that `closing` stops completely."""

    def __init__(self, server: HTTPServer) -> None:
        self._server = server

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def service(annotations: dict[str, str] | None = None, **spec: Any) -> kubernetes.V1Service:
    ports = [kubernetes.V1ServicePort(name="https", port=443, node_port=NODE_PORT, protocol="TCP")]
    return kubernetes.V1Service(
        metadata=kubernetes.V1ObjectMeta(uid=UID, namespace="edge", name="gateway", annotations=annotations),
        spec=kubernetes.V1ServiceSpec(**{"type": "LoadBalancer", "ports": ports} | spec),
    )


@pytest.fixture(scope="module")
def tagged(client, network):
    """Two of the three subnets are tagged for internal load balancers, one for public ones."""
    roles = ["internal-elb", "internal-elb", "elb"]
    for subnet, role in zip(network.subnet_ids, roles, strict=True):
        tags = [{"Key": f"kubernetes.io/role/{role}", "Value": "1"}]
        client("ec2").create_tags(Resources=[subnet], Tags=tags)
    return network


@pytest.fixture(scope="module")
def cluster(aws, client, tagged, role, fake_clusters) -> Iterator[Eks]:
    eks, group = client("eks"), {"clusterName": "classic", "nodegroupName": "nodes"}
    config = {"subnetIds": tagged.subnet_ids}
    eks.create_cluster(name="classic", roleArn=role("eks.amazonaws.com"), resourcesVpcConfig=config)
    eks.get_waiter("cluster_active").wait(name="classic", WaiterConfig=QUICK)
    eks.create_nodegroup(**group, subnets=tagged.subnet_ids[:1], nodeRole=role("ec2.amazonaws.com"))
    eks.get_waiter("nodegroup_active").wait(**group, WaiterConfig=QUICK)
    yield Eks(aws, client, tagged, fake_clusters[-1])
    eks.delete_nodegroup(**group)
    eks.get_waiter("nodegroup_deleted").wait(**group, WaiterConfig=QUICK)
    eks.delete_cluster(name="classic")
    eks.get_waiter("cluster_deleted").wait(name="classic", WaiterConfig=QUICK)


@pytest.fixture
def eks(cluster: Eks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Eks]:
    monkeypatch.setattr(delays, "INSTANCE_CHECK", 0.1)
    before = cluster.machine
    yield cluster
    cluster.machine = before
    cluster.controller.release(UID)


@tenacity.retry(wait=tenacity.wait_fixed(0.2), stop=tenacity.stop_after_delay(15), reraise=True)
def eventually(check: Any) -> None:
    assert check()


def test_connections_are_reset_until_the_node_listens(eks):
    [public] = eks.addresses(eks.ensure())
    eventually(
        lambda: [(one["State"], one["Description"]) for one in eks.states()] == [("OutOfService", FAILED)]
    )
    assert [one["ReasonCode"] for one in eks.states()] == ["Instance"]
    code, page = eks.get(public)
    assert code not in (0, 28)
    assert page == ""
    with eks.listen():
        eks.in_service()
        assert eks.get(public) == (0, "hello")
        [state] = eks.states()
        assert (state["State"], state["ReasonCode"], state["Description"]) == ("InService", "N/A", "N/A")
    eventually(lambda: eks.states()[0]["State"] == "OutOfService")


def test_one_check_is_not_enough(eks):
    instance, check = Instance(eks.machine), HealthCheck("TCP:30443")
    words = [instance.reason(check)]
    for passed in (True, True, *[False] * check.unhealthy_threshold):
        instance.add(passed, check)
        words.append(instance.reason(check))
    registering, failed = words[0], words[-1]
    assert registering == ("ELB", "Instance registration is still in progress.")
    assert words == [
        registering,
        ("Instance", NOT_PASSED),
        *[("N/A", "N/A")] * check.unhealthy_threshold,
        failed,
    ]
    assert failed == ("Instance", FAILED)


def test_it_is_described_with_the_node_and_the_health_check(eks):
    eks.ensure({f"{PREFIX}cross-zone-load-balancing-enabled": "true"})
    found = eks.described()
    instance = eks.machine.provider_id.rpartition("/")[2]
    assert found["Instances"] == [{"InstanceId": instance}]
    assert [one["InstanceId"] for one in eks.states()] == [instance]
    assert found["Scheme"] == "internet-facing"
    assert found["HealthCheck"] == {
        "Target": f"TCP:{NODE_PORT}", "Interval": 10, "Timeout": 5,
        "UnhealthyThreshold": 6, "HealthyThreshold": 2,
    }  # fmt: skip
    [listener] = [one["Listener"] for one in found["ListenerDescriptions"]]
    assert (listener["LoadBalancerPort"], listener["InstancePort"], listener["Protocol"]) == (
        443,
        NODE_PORT,
        "TCP",
    )
    assert cross_zone(eks) is True
    eks.ensure()
    assert cross_zone(eks) is False


def cross_zone(eks: Eks) -> bool:
    answer = eks.elb.describe_load_balancer_attributes(LoadBalancerName=NAME)
    return answer["LoadBalancerAttributes"]["CrossZoneLoadBalancing"]["Enabled"]


def test_with_a_local_policy_kube_proxys_health_port_is_checked(eks):
    eks.ensure(external_traffic_policy="Local", health_check_node_port=32000)
    assert eks.described()["HealthCheck"]["Target"] == "HTTP:32000/healthz"
    with eks.listen(32000):
        eks.in_service()


def test_with_the_proxy_protocol_the_node_gets_the_clients_address(eks):
    """As AWS shows it: https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/enable-proxy-protocol.html"""
    proxied = {f"{PREFIX}proxy-protocol": "*"}
    with first_lines(eks) as said:
        [public] = eks.addresses(eks.ensure(proxied))
        eks.in_service()
        eks.get(public)
        word, family, source, address, port, to = said[-1].split()
        assert (word, family, source, address, to) == ("PROXY", "TCP4", "198.51.100.2", public, "443")
        assert int(port) > 1023
        assert policies(eks) == [(NODE_PORT, ["k8s-proxyprotocol-enabled"])]
        eks.ensure()
        eks.get(public)
        assert said[-1] == "GET / HTTP/1.1"
        assert policies(eks) == []


def policies(eks: Eks) -> list[tuple[int, list[str]]]:
    described = eks.described()["BackendServerDescriptions"]
    return [(one["InstancePort"], one["PolicyNames"]) for one in described]


@contextmanager
def first_lines(eks: Eks) -> Iterator[list[str]]:
    """The first bytes on each connection to the node's port, if any; it sends no response."""
    said: list[str] = []
    listener = sockets.listen((eks.machine.address, NODE_PORT), eks.vpc.namespace)
    listener.setblocking(True)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the listener's end
            while True:
                with listener.accept()[0] as connection, connection.makefile() as lines:
                    if line := lines.readline():
                        said.append(line.strip())

    Thread(target=serve, daemon=True).start()
    try:
        yield said
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_changed_port_is_checked_and_shown(eks):
    eks.ensure()
    ports = [kubernetes.V1ServicePort(port=8443, node_port=31999, protocol="TCP")]
    eks.ensure(ports=ports)
    found = eks.described()
    assert found["HealthCheck"]["Target"] == "TCP:31999"
    assert [one["Listener"]["LoadBalancerPort"] for one in found["ListenerDescriptions"]] == [8443]


def test_without_a_node_there_is_no_instance(eks):
    [public] = eks.addresses(eks.ensure())
    eks.machine = None
    assert eks.states() == []
    assert eks.described()["Instances"] == []
    assert eks.get(public)[0] not in (0, 28)


def test_an_unknown_load_balancer_has_no_health(eks):
    with pytest.raises(ClientError, match=r"LoadBalancerNotFound.*no ACTIVE Load Balancer named 'nobody'"):
        eks.elb.describe_instance_health(LoadBalancerName="nobody")


def test_a_load_balancer_created_in_the_api_has_no_instances(eks):
    listener = {"Protocol": "TCP", "LoadBalancerPort": 443, "InstancePort": NODE_PORT}
    eks.elb.create_load_balancer(
        LoadBalancerName="by-hand", Listeners=[listener], Subnets=eks.network.subnet_ids[:1]
    )
    try:
        assert eks.elb.describe_instance_health(LoadBalancerName="by-hand")["InstanceStates"] == []
    finally:
        [found] = eks.elb.describe_load_balancers(LoadBalancerNames=["by-hand"])["LoadBalancerDescriptions"]
        eks.elb.delete_load_balancer(LoadBalancerName="by-hand")
        for group in found["SecurityGroups"]:
            patiently(eks.ec2.delete_security_group, GroupId=group)


def test_an_internal_load_balancer_is_reachable_only_in_the_vpc(eks):
    host = eks.ensure({ANNOTATION: "true"})
    assert host.startswith(f"internal-{NAME}-")
    assert host.endswith(f".{REGION}.elb.amazonaws.com")
    found = eks.described()
    assert (found["Scheme"], found["DNSName"]) == ("internal", host)
    assert sorted(found["Subnets"]) == sorted(eks.network.subnet_ids[:2])
    private = eks.addresses(host)  # in the public DNS, as on AWS
    assert [one.rpartition(".")[0] for one in private] == ["10.0.1", "10.0.2"]
    with eks.listen():
        eks.in_service()
        assert [eks.get(one, eks.vpc.namespace) for one in private] == [(0, "hello")] * 2
        assert eks.get(private[1]) == (28, "")
    eks.controller.release(UID)
    assert eks.get(private[0], eks.vpc.namespace)[0] != 0


def test_any_value_but_false_means_internal(eks):
    assert eks.ensure({ANNOTATION: "0.0.0.0/0"}).startswith("internal-")


@pytest.mark.parametrize("value", ["false", ""])
def test_an_empty_value_means_public(eks, value):
    host = eks.ensure({ANNOTATION: value})
    assert host.startswith(f"{NAME}-")
    assert eks.described()["Scheme"] == "internet-facing"
    assert eks.described()["Subnets"] == eks.network.subnet_ids[2:]
    [public] = eks.addresses(host)
    assert public.startswith("198.51.100.")


def test_the_scheme_cannot_be_changed(eks):
    host = eks.ensure()
    with pytest.raises(LabError, match="never changes the scheme of a load balancer"):
        eks.ensure({ANNOTATION: "true"})
    assert eks.described()["DNSName"] == host


@pytest.mark.parametrize(
    ("annotations", "spec", "words"),
    [
        (
            {f"{PREFIX}type": "nlb"},
            {},
            r"(?s)aws-load-balancer-type: nlb: the lab has Classic .* only.*-proxy-protocol: \"\*\"",
        ),
        ({f"{PREFIX}proxy-protocol": "443"}, {}, r"-proxy-protocol\"=\"443\" detected, but the only value"),
        ({f"{PREFIX}ssl-cert": "arn:aws:acm:…"}, {}, "aws-load-balancer-ssl-cert"),
        (
            {f"{PREFIX}cross-zone-load-balancing-enabled": "yes"},
            {},
            "error parsing service annotation: .*-enabled=yes",
        ),
        ({}, {"session_affinity": "ClientIP"}, "unsupported load balancer affinity: ClientIP"),
        ({}, {"load_balancer_ip": "192.0.2.1"}, "LoadBalancerIP cannot be specified for AWS ELB"),
        (
            {},
            {"ports": [kubernetes.V1ServicePort(port=53, node_port=31053, protocol="UDP")]},
            "Protocol UDP not supported by LoadBalancer",
        ),
    ],
)
def test_rejected_services(eks, annotations, spec, words):
    with pytest.raises(LabError, match=words):
        eks.ensure(annotations, **spec)
    assert eks.elb.describe_load_balancers()["LoadBalancerDescriptions"] == []


def rules(eks: Eks, group: str) -> set[tuple[Any, ...]]:
    """Protocol, ports, and source or source group of the inbound rules."""
    [found] = eks.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return {
        (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"), source)
        for rule in found["IpPermissions"]
        for source in [
            *(one["CidrIp"] for one in rule["IpRanges"]),
            *(one["GroupId"] for one in rule["UserIdGroupPairs"]),
        ]
    }


def test_its_group_allows_the_services_ports_and_sources_and_nodes_admit_it(eks, client):
    eks.ensure()
    [group] = eks.described()["SecurityGroups"]
    assert rules(eks, group) == {("tcp", 443, 443, "0.0.0.0/0"), ("icmp", 3, 4, "0.0.0.0/0")}
    eks.ensure(load_balancer_source_ranges=["198.51.100.0/28", "192.0.2.0/24"])
    sources = ("198.51.100.0/28", "192.0.2.0/24")
    assert rules(eks, group) == {
        (*one, source) for one in (("tcp", 443, 443), ("icmp", 3, 4)) for source in sources
    }
    config = client("eks").describe_cluster(name="classic")["cluster"]["resourcesVpcConfig"]
    nodes = config["clusterSecurityGroupId"]
    assert ("-1", None, None, group) in rules(eks, nodes)
    eks.controller.release(UID)
    assert ("-1", None, None, group) not in rules(eks, nodes)


def test_only_the_services_sources_are_admitted(eks, aws):
    def exit_codes(address: str) -> list[int]:
        return [eks.get(address, one)[0] for one in (eks.outside, aws.context.internet.functions)]

    with eks.listen():
        [address] = eks.addresses(eks.ensure(load_balancer_source_ranges=["198.51.100.2/32"]))
        eks.in_service()
        assert exit_codes(address) == [0, 28]
        eks.ensure()
        assert exit_codes(address) == [0, 0]
        eks.ensure(load_balancer_source_ranges=["192.0.2.0/24"])
        assert exit_codes(address) == [28, 28]


def test_a_deleted_service_leaves_nothing(eks):
    def there() -> int:
        vpc = [{"Name": "vpc-id", "Values": [eks.network.vpc_id]}]
        groups = eks.ec2.describe_security_groups(Filters=vpc)["SecurityGroups"]
        return len(groups) + len(eks.ec2.describe_network_interfaces(Filters=vpc)["NetworkInterfaces"])

    before = there()
    host = eks.ensure()
    assert there() > before
    eks.elb.delete_load_balancer(LoadBalancerName=NAME)  # manually: its controller creates it again
    assert eks.addresses(host) == []
    assert eks.addresses(eks.ensure()) != []
    eks.controller.release(UID)
    assert eks.addresses(host) == []
    assert there() == before
