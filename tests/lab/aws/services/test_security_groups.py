"""Security groups of load balancers: which clients get a response, and which time out."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab import sockets
from lab.aws.server import Aws
from lab.aws.services.ec2.networks import Networks
from lab.network import Namespace
from tests.lab.aws import front
from tests.lab.aws.conftest import REGION, Network, patiently

CIDR = "10.0.0.0/16"
SILENT = "28"  # curl's exit code for a timeout
ANSWERED = "503"  # by the load balancer itself: there is no target


def rule(port: int, **source: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}


def from_cidr(port: int, cidr: str) -> dict[str, Any]:
    return rule(port, IpRanges=[{"CidrIp": cidr}])


def from_group(port: int, group: str) -> dict[str, Any]:
    return rule(port, UserIdGroupPairs=[{"GroupId": group}])


class Site:
    """A load balancer that listens on ports 80 and 8080, in a security group without rules."""

    def __init__(self, aws: Aws, client: Any, network: Network, arn: str, address: str) -> None:
        self.ec2, self.elb = client("ec2"), client("elbv2")
        self.arn, self.address, self.network = arn, address, network
        self.vpc = aws.vpcs[network.vpc_id]
        self.groups: list[str] = []
        self.group = self.new_group()

    def new_group(self) -> str:
        made = self.ec2.create_security_group(
            GroupName=f"g{len(self.groups)}", Description="d", VpcId=self.network.vpc_id
        )
        self.groups.append(made["GroupId"])
        return self.groups[-1]

    def admit(self, *rules: dict[str, Any], group: str = "") -> list[str]:
        """Returns the ids of the rules."""
        answer = self.ec2.authorize_security_group_ingress(GroupId=group or self.group, IpPermissions=rules)
        return [one["SecurityGroupRuleId"] for one in answer["SecurityGroupRules"]]

    def revoke(self, *rules: dict[str, Any], group: str = "") -> None:
        self.ec2.revoke_security_group_ingress(GroupId=group or self.group, IpPermissions=rules)

    def use(self, *groups: str) -> None:
        self.elb.set_security_groups(LoadBalancerArn=self.arn, SecurityGroups=groups)

    def ask(self, port: int = 80, source: str = "", where: Namespace | None = None) -> str:
        """The status of the response, or curl's exit code."""
        come_from = ["--interface", source] if source else []
        command = ["curl", "-s", "--connect-timeout", "0.5", "-o", "/dev/null", "-w", "%{http_code}"]
        url = f"http://{self.address}:{port}/"
        done = (where or self.vpc.namespace).run(*command, *come_from, url, check=False)
        return str(done.returncode) if done.returncode else done.stdout

    def filter_rules(self) -> list[str]:
        saved = self.vpc.namespace.run("iptables-save", "-t", "mangle").stdout.splitlines()
        return [line for line in saved if line.startswith("-A INPUT")]


@contextmanager
def listening(client: Any, arn: str, name: str) -> Iterator[None]:
    """A load balancer on ports 80 and 8080, with an empty target group."""
    elb = client("elbv2")
    group = elb.create_target_group(Name=name, TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    actions = [{"Type": "forward", "TargetGroupArn": group}]
    for port in (80, 8080):
        elb.create_listener(LoadBalancerArn=arn, Port=port, Protocol="HTTP", DefaultActions=actions)
    yield
    for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
        elb.delete_listener(ListenerArn=listener["ListenerArn"])
    elb.delete_target_group(TargetGroupArn=group)


@pytest.fixture(scope="module")
def balancer(aws: Aws, client: Any, network: Network) -> Iterator[Site]:
    with front.balancer(client, "guarded", network.subnet_ids) as (arn, address):
        made = Site(aws, client, network, arn, address)
        with listening(client, arn, "guarded"):
            yield made
    for group in made.groups:
        patiently(made.ec2.delete_security_group, GroupId=group)
    assert made.filter_rules() == []


@pytest.fixture
def site(balancer: Site) -> Iterator[Site]:
    """Each test starts without rules."""
    balancer.use(balancer.group)
    yield balancer
    for group in balancer.groups:
        (found,) = balancer.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        if found["IpPermissions"]:
            balancer.revoke(*found["IpPermissions"], group=group)


@pytest.fixture
def host(site: Site) -> Iterator[Callable[..., str]]:
    """Creates hosts of the VPC, by a network interface in these groups; returns their addresses."""
    made = []

    def make(*groups: str) -> str:
        place = {"SubnetId": site.network.subnet_ids[1], "Groups": groups}
        made.append(site.ec2.create_network_interface(**place)["NetworkInterface"])
        site.vpc.add_private(made[-1]["PrivateIpAddress"])
        return made[-1]["PrivateIpAddress"]

    yield make
    for interface in made:
        site.vpc.remove_private(interface["PrivateIpAddress"])
        site.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])


def test_without_a_rule_a_client_times_out_and_with_one_it_connects(site):
    assert site.ask() == SILENT
    site.admit(from_cidr(80, CIDR))
    assert (site.ask(), site.ask(8080)) == (ANSWERED, SILENT)
    site.revoke(from_cidr(80, CIDR))
    assert site.ask() == SILENT
    by_id = site.admit({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 9000, "IpRanges": [{"CidrIp": CIDR}]})
    assert (site.ask(), site.ask(8080)) == (ANSWERED, ANSWERED)
    site.ec2.revoke_security_group_ingress(GroupId=site.group, SecurityGroupRuleIds=by_id)
    assert site.ask() == SILENT


def test_a_rule_is_limited_to_its_range_and_protocol(site, host):
    inside = host()  # in the second subnet
    site.admit(from_cidr(80, "10.0.2.0/24"), {**from_cidr(8080, CIDR), "IpProtocol": "udp"})
    assert (site.ask(source=inside), site.ask()) == (ANSWERED, SILENT)
    assert site.ask(8080, source=inside) == SILENT


def test_a_source_group_means_its_members(site, host):
    members = site.new_group()
    site.admit(from_group(80, members))
    member, other = host(members), host(site.group)
    assert (site.ask(source=member), site.ask(source=other), site.ask()) == (ANSWERED, SILENT, SILENT)
    site.revoke(from_group(80, members))
    assert site.ask(source=member) == SILENT


def test_pods_are_members_of_their_nodes_groups(aws, site):
    nodes, networks = site.new_group(), aws.context.peer(Networks, REGION)
    node = networks.create_managed_interface(site.network.subnet_ids[2], "Node of a/b", [nodes], "node")
    pod = str(networks.add_pod_addresses(node)[2])
    site.vpc.add_private(pod)
    site.admit(from_group(80, nodes))
    assert site.ask(source=pod) == ANSWERED
    networks.delete_managed_interface(node)
    assert site.ask(source=pod) == SILENT
    site.vpc.remove_private(pod)


def test_the_default_group_admits_its_members(site):
    here = {"vpc-id": site.network.vpc_id, "group-name": "default"}
    filters = [{"Name": name, "Values": [value]} for name, value in here.items()]
    (default,) = site.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    sources = [pair["GroupId"] for one in default["IpPermissions"] for pair in one["UserIdGroupPairs"]]
    assert sources == [default["GroupId"]]


def test_groups_can_be_replaced_and_all_of_them_apply(site):
    first, second = site.new_group(), site.new_group()
    site.admit(from_cidr(80, CIDR), group=first)
    site.admit(from_cidr(8080, CIDR), group=second)
    assert (site.ask(), site.ask(8080)) == (SILENT, SILENT)
    site.use(first)
    assert (site.ask(), site.ask(8080)) == (ANSWERED, SILENT)
    site.use(first, second)
    assert (site.ask(), site.ask(8080)) == (ANSWERED, ANSWERED)
    described = site.elb.describe_load_balancers(LoadBalancerArns=[site.arn])["LoadBalancers"][0]
    assert described["SecurityGroups"] == [first, second]
    with pytest.raises(ClientError, match="DependencyViolation"):
        site.ec2.delete_security_group(GroupId=first)


def test_open_connections_survive_changes(site):
    def answer(connection: socket.socket) -> bytes:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        return connection.recv(4096)

    site.admit(from_cidr(80, CIDR))
    with sockets.connect((site.address, 80), site.vpc.namespace) as connection:
        connection.settimeout(5)
        assert answer(connection).startswith(b"HTTP/1.1 503")
        site.revoke(from_cidr(80, CIDR))
        assert answer(connection).startswith(b"HTTP/1.1 503")
        assert site.ask() == SILENT


def test_a_public_load_balancer_checks_the_clients_public_address(aws, client):
    network = Network(client, "10.42.0.0/16")
    ec2, elb = network.ec2, client("elbv2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc_id)
    group = ec2.create_security_group(GroupName="public", Description="d", VpcId=network.vpc_id)["GroupId"]
    made = elb.create_load_balancer(
        Name="public", Subnets=network.subnet_ids, Scheme="internet-facing", SecurityGroups=[group]
    )
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig={"Delay": 1})
    here = [{"Name": "group-id", "Values": [group]}]
    interface = ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"][0]
    site = Site(aws, client, network, arn, interface["Association"]["PublicIp"])
    internet = aws.context.internet
    with listening(client, arn, "public"):
        site.admit(from_cidr(80, "198.51.100.2/32"), group=group)
        assert site.ask(where=internet.outside) == ANSWERED
        assert site.ask(where=internet.functions) == SILENT
    elb.delete_load_balancer(LoadBalancerArn=arn)
    assert site.filter_rules() == []
    for each in (group, site.group):
        patiently(ec2.delete_security_group, GroupId=each)
    patiently(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=network.vpc_id)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    network.delete()


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        (rule(80, Ipv6Ranges=[{"CidrIpv6": "::/0"}]), "UnsupportedOperation", "IpPermissions.Ipv6Ranges"),
        (rule(80, PrefixListIds=[{"PrefixListId": "pl-1"}]), "UnsupportedOperation", "PrefixListIds"),
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": CIDR}]}, "InvalidParameterValue", "both from and to"),
        ({**from_cidr(80, CIDR), "ToPort": 70000}, "InvalidParameterValue", "80 to 70000"),
        ({**from_cidr(80, CIDR), "ToPort": 79}, "InvalidParameterValue", "80 to 79"),
        (from_cidr(80, "10.0.0.0/33"), "InvalidParameterValue", "10.0.0.0/33"),
        (from_group(80, "sg-0123456789abcdef0"), "InvalidGroup.NotFound", "sg-0123456789abcdef0"),
        ({"FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": CIDR}]}, "MissingParameter", "ipProtocol"),
    ],
)
def test_rejected_rules_change_nothing(site, wrong, code, said):
    with pytest.raises(ClientError) as error:
        site.admit(wrong)
    answer = error.value.response["Error"]
    assert answer["Code"] == code and said in answer["Message"], answer
    site.admit(from_cidr(80, CIDR))
    assert site.ask() == ANSWERED


@pytest.mark.parametrize(
    ("groups", "code"),
    [(["sg-0123456789abcdef0"], "InvalidSecurityGroup"), ([], "InvalidConfigurationRequest")],
)
def test_a_load_balancer_rejects_invalid_groups(site, groups, code):
    with pytest.raises(ClientError) as error:
        site.use(*groups)
    assert error.value.response["Error"]["Code"] == code
