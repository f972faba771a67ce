"""Elastic Load Balancing's API with load balancers that really listen, and ACM's certificates on them."""

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tenacity
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from dnslib import RCODE
from moto.elbv2.exceptions import ELBClientError

from lab.aws import delays
from lab.aws.services.ec2.networks import Networks
from lab.pki import SERVER, CertificateAuthority
from lab.settings import ACM_ROOT
from tests.lab.aws import front
from tests.lab.aws.conftest import cli_environment, patiently

QUICK = {"Delay": 1, "MaxAttempts": 40}
HOST = "app.example.com"


@pytest.fixture(scope="module")
def elb(client):
    return client("elbv2")


@pytest.fixture(scope="module")
def balancer(elb, network):
    internal = elb.create_load_balancer(Name="app", Subnets=network.subnet_ids, Scheme="internal")
    created = internal["LoadBalancers"][0]
    assert created["State"]["Code"] == "provisioning"
    elb.get_waiter("load_balancer_available").wait(Names=["app"], WaiterConfig=QUICK)
    yield created
    elb.delete_load_balancer(LoadBalancerArn=created["LoadBalancerArn"])


@pytest.fixture
def target_group(elb, client, function):
    """A lambda target group that can invoke the function and has it registered."""
    group = elb.create_target_group(
        Name="app", TargetType="lambda", HealthCheckEnabled=True, HealthCheckIntervalSeconds=35
    )["TargetGroups"][0]["TargetGroupArn"]
    client("lambda").add_permission(
        FunctionName="hello",
        StatementId="alb",
        Action="lambda:InvokeFunction",
        Principal="elasticloadbalancing.amazonaws.com",
        SourceArn=group,
    )
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": function}])
    yield group
    elb.delete_target_group(TargetGroupArn=group)


@pytest.fixture
def empty_group(elb):
    """A target group without a target."""
    group = elb.create_target_group(Name="empty", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    yield group
    elb.delete_target_group(TargetGroupArn=group)


@pytest.fixture
def listen(elb, balancer):
    """Creates listeners, and deletes them afterwards."""
    made = []

    def make(target_group: str, port: int = 80, protocol: str = "HTTP", **more) -> str:
        actions = [{"Type": "forward", "TargetGroupArn": target_group}]
        arn = balancer["LoadBalancerArn"]
        answer = elb.create_listener(
            LoadBalancerArn=arn, Port=port, Protocol=protocol, DefaultActions=actions, **more
        )
        made.append(answer["Listeners"][0]["ListenerArn"])
        return made[-1]

    yield make
    for arn in made:
        elb.delete_listener(ListenerArn=arn)


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority("the tests' own CA")


@pytest.fixture
def certificate(client, authority):
    pair, acm = authority.issue(HOST, SERVER, names=(HOST,)), client("acm")
    arn = acm.import_certificate(
        Certificate=pair.certificate, PrivateKey=pair.key, CertificateChain=authority.pair.certificate
    )["CertificateArn"]
    yield arn
    acm.delete_certificate(CertificateArn=arn)


@pytest.fixture
def inside(aws, network):
    """curl in the VPC: its output and its exit code."""

    def curl(*arguments: str) -> tuple[str, int]:
        namespace = aws.vpcs[network.vpc_id].namespace
        done = namespace.run("curl", "-s", "--max-time", "10", *arguments, check=False)
        return done.stdout, done.returncode

    return curl


def interfaces(client, balancer) -> list[dict]:
    description = f"ELB {balancer['LoadBalancerArn'].partition(':loadbalancer/')[2]}"
    filters = [{"Name": "description", "Values": [description]}]
    return client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]


def test_an_internal_load_balancer_has_an_address_in_each_subnet_and_a_name(aws, client, balancer, network):
    found = interfaces(client, balancer)
    assert sorted(eni["SubnetId"] for eni in found) == sorted(network.subnet_ids)
    assert all(eni["RequesterManaged"] and eni["PrivateIpAddress"].startswith("10.0.") for eni in found)
    host = balancer["DNSName"]
    assert host.startswith("internal-app-") and host.endswith(".eu-central-1.elb.amazonaws.com")
    answer = aws.context.internet.outside.run(sys.executable, "-c", RESOLVE, host)
    assert sorted(answer.stdout.split()) == sorted(eni["PrivateIpAddress"] for eni in found)


RESOLVE = """
import socket, sys, dnslib
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.settimeout(5); udp.connect(("198.51.100.1", 53))
udp.send(dnslib.DNSRecord.question(sys.argv[1]).pack())
answer = dnslib.DNSRecord.parse(udp.recv(4096))
print(*[record.rdata for record in answer.rr] or [answer.header.rcode])
"""


def test_requests_reach_the_function_on_every_address(client, balancer, target_group, listen, inside):
    listen(target_group)
    for interface in interfaces(client, balancer):
        assert inside(f"http://{interface['PrivateIpAddress']}/") == ("hello", 0)


def test_https_presents_the_certificate_from_acm(
    client, balancer, target_group, certificate, listen, inside, authority, tmp_path
):
    listen(target_group, 443, "HTTPS", Certificates=[{"CertificateArn": certificate}])
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.pair.certificate)
    address = interfaces(client, balancer)[0]["PrivateIpAddress"]
    request = ["--cacert", str(ca), "-w", " %{http_version}", "--resolve", f"{HOST}:443:{address}"]
    assert inside(*request, f"https://{HOST}/") == ("hello 2", 0)
    assert inside("--resolve", f"{HOST}:443:{address}", f"https://{HOST}/")[1] == 60  # its CA is not trusted
    acm = client("acm")
    assert acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"] == [
        balancer["LoadBalancerArn"]
    ]
    with pytest.raises(acm.exceptions.ResourceInUseException, match="is in use"):
        acm.delete_certificate(CertificateArn=certificate)


def test_target_health_shows_the_results_of_checks(elb, target_group, listen, client):
    def health() -> dict:
        answer = elb.describe_target_health(TargetGroupArn=target_group)
        return answer["TargetHealthDescriptions"][0]["TargetHealth"]

    assert (health()["State"], health()["Reason"]) == ("unused", "Target.NotInUse")
    listen(target_group)
    elb.get_waiter("target_in_service").wait(TargetGroupArn=target_group, WaiterConfig=QUICK)
    elb.modify_target_group(TargetGroupArn=target_group, HealthCheckEnabled=False)
    assert health()["Reason"] == "Target.HealthCheckDisabled"
    elb.modify_target_group(TargetGroupArn=target_group, HealthCheckEnabled=True)
    for tried in tenacity.Retrying(wait=tenacity.wait_fixed(0.1), stop=tenacity.stop_after_delay(10)):
        with tried:
            assert health()["State"] == "healthy"


def test_without_invoke_permission_the_response_is_502(elb, client, balancer, target_group, listen, inside):
    listen(target_group)
    address = interfaces(client, balancer)[0]["PrivateIpAddress"]
    client("lambda").remove_permission(FunctionName="hello", StatementId="alb")
    assert inside("-o", "/dev/null", "-w", "%{http_code}", f"http://{address}/") == ("502", 0)


def test_creating_again_succeeds_only_with_the_same_settings(elb, balancer, network, target_group):
    same = {"Name": "app", "Subnets": network.subnet_ids, "Scheme": "internal"}
    again = elb.create_load_balancer(**same)["LoadBalancers"][0]
    assert again["LoadBalancerArn"] == balancer["LoadBalancerArn"]
    with pytest.raises(ClientError, match="exists, but with different settings"):
        elb.create_load_balancer(**same | {"Subnets": network.subnet_ids[:2]})
    group = elb.create_target_group(Name="app", TargetType="lambda")["TargetGroups"][0]
    assert group["TargetGroupArn"] == target_group
    with pytest.raises(ClientError, match="exists, but with different settings"):
        elb.create_target_group(Name="app", TargetType="lambda", HealthCheckPath="/other")


def test_deletion_removes_addresses_and_host_name(aws, elb, client, network, monkeypatch):
    monkeypatch.setattr(delays, "INTERFACES", 5)
    internal = elb.create_load_balancer(Name="brief", Subnets=network.subnet_ids, Scheme="internal")
    created = internal["LoadBalancers"][0]
    elb.get_waiter("load_balancer_available").wait(Names=["brief"], WaiterConfig=QUICK)
    elb.delete_load_balancer(LoadBalancerArn=created["LoadBalancerArn"])
    assert interfaces(client, created) != []  # they remain for a moment
    for tried in tenacity.Retrying(wait=tenacity.wait_fixed(0.2), stop=tenacity.stop_after_delay(15)):
        with tried:
            assert interfaces(client, created) == []
    answer = aws.context.internet.outside.run(sys.executable, "-c", RESOLVE, created["DNSName"])
    assert int(answer.stdout) == RCODE.NXDOMAIN
    with pytest.raises(ClientError, match="LoadBalancerNotFound"):
        elb.describe_load_balancers(Names=["brief"])


def test_an_internet_facing_load_balancer_needs_a_gateway_and_has_public_addresses(
    aws, elb, client, network, target_group
):
    facing = {"Name": "facing", "Subnets": network.subnet_ids, "Scheme": "internet-facing"}
    with pytest.raises(ClientError, match="has no internet gateway"):
        elb.create_load_balancer(**facing)
    ec2 = client("ec2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc_id)
    created = elb.create_load_balancer(**facing)["LoadBalancers"][0]
    elb.get_waiter("load_balancer_available").wait(Names=["facing"], WaiterConfig=QUICK)
    forward = {"Type": "forward", "TargetGroupArn": target_group}
    arn = created["LoadBalancerArn"]
    elb.create_listener(LoadBalancerArn=arn, Port=80, Protocol="HTTP", DefaultActions=[forward])
    address = interfaces(client, created)[0]["Association"]["PublicIp"]
    assert (
        aws.context.internet.outside.run("curl", "-s", "--max-time", "5", f"http://{address}/").stdout
        == "hello"
    )
    with pytest.raises(ClientError, match=r"DependencyViolation.*mapped public address"):
        ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc_id)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    patiently(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=network.vpc_id)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


def no_interface(*_: Any, **__: Any) -> None:
    raise ELBClientError("OperationNotPermitted", "no interface")


def test_addresses_follow_the_subnets(aws, client, elb, network, target_group, monkeypatch):
    """Checked with a connection per request, as from a client that resolves the name each time."""
    kept, other = network.subnet_ids[:2], network.subnet_ids[2]

    def answer(address: str) -> str:
        vpc = aws.vpcs[network.vpc_id].namespace
        return vpc.run("curl", "-s", "-m", "2", f"http://{address}/", check=False).stdout

    def resolved(name: str) -> set[str]:
        return set(aws.context.internet.outside.run(sys.executable, "-c", RESOLVE, name).stdout.split())

    with front.balancer(client, "moving", network.subnet_ids) as (arn, _):
        forward = [{"Type": "forward", "TargetGroupArn": target_group}]
        elb.create_listener(LoadBalancerArn=arn, Port=80, Protocol="HTTP", DefaultActions=forward)
        (balancer,) = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
        addresses = {eni["SubnetId"]: eni["PrivateIpAddress"] for eni in interfaces(client, balancer)}
        assert [answer(address) for address in addresses.values()] == ["hello"] * 3
        zones = elb.set_subnets(LoadBalancerArn=arn, Subnets=kept)["AvailabilityZones"]
        assert [zone["SubnetId"] for zone in zones] == kept
        assert answer(addresses[other]) == ""
        assert [answer(addresses[subnet]) for subnet in kept] == ["hello"] * 2
        assert resolved(balancer["DNSName"]) == {addresses[subnet] for subnet in kept}
        with monkeypatch.context() as broken:
            broken.setattr(Networks, "create_managed_interface", no_interface)
            with pytest.raises(ClientError, match="no interface"):
                elb.set_subnets(LoadBalancerArn=arn, Subnets=network.subnet_ids)
        (unchanged,) = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
        assert [zone["SubnetId"] for zone in unchanged["AvailabilityZones"]] == kept
        assert resolved(balancer["DNSName"]) == {addresses[subnet] for subnet in kept}
        elb.set_subnets(LoadBalancerArn=arn, Subnets=network.subnet_ids)
        again = resolved(balancer["DNSName"])
        assert len(again) == 3 and again > {addresses[subnet] for subnet in kept}
        assert [answer(address) for address in again] == ["hello"] * 3
        with pytest.raises(ClientError, match="At least two subnets in two different Availability Zones"):
            elb.set_subnets(LoadBalancerArn=arn, Subnets=kept[:1])
        with pytest.raises(ClientError, match="SubnetNotFound"):
            elb.set_subnets(LoadBalancerArn=arn, Subnets=[kept[0], "subnet-00000000"])
        assert resolved(balancer["DNSName"]) == again


def test_a_load_balancer_that_cannot_be_created_keeps_no_address(aws, elb, client, network, monkeypatch):
    taken = aws.vpcs[network.vpc_id].namespace.run("ip", "-brief", "address").stdout
    make = Networks.create_managed_interface

    def fail_at_the_second(networks: Networks, subnet_id: str, *arguments: Any, **more: Any) -> Any:
        if subnet_id == network.subnet_ids[1]:
            raise RuntimeError("no interface")
        return make(networks, subnet_id, *arguments, **more)

    monkeypatch.setattr(Networks, "create_managed_interface", fail_at_the_second)
    made = elb.create_load_balancer(Name="failing", Subnets=network.subnet_ids, Scheme="internal")
    (created,) = made["LoadBalancers"]
    for tried in tenacity.Retrying(wait=tenacity.wait_fixed(0.2), stop=tenacity.stop_after_delay(15)):
        with tried:
            (seen,) = elb.describe_load_balancers(Names=["failing"])["LoadBalancers"]
            assert seen["State"]["Code"] == "failed"
            assert interfaces(client, created) == []
    assert aws.vpcs[network.vpc_id].namespace.run("ip", "-brief", "address").stdout == taken
    elb.delete_load_balancer(LoadBalancerArn=created["LoadBalancerArn"])


def test_a_listener_shows_its_action_in_both_forms(elb, empty_group, listen):
    listener = listen(empty_group)
    both = {
        "Type": "forward",
        "TargetGroupArn": empty_group,
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": empty_group, "Weight": 1}],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
    assert elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"] == [both]


REDIRECT = {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}
GROUP = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0123456789abcdef"
WEIGHTS = {"TargetGroups": [{"TargetGroupArn": GROUP, "Weight": 1}]}


@pytest.mark.parametrize(
    ("actions", "code", "said"),
    [
        ([{"Type": "redirect", "RedirectConfig": REDIRECT}], "UnsupportedOperation",
         "The lab does not offer the parameter DefaultActions.RedirectConfig"),
        ([{"Type": "redirect"}], "UnsupportedOperation", "listeners with an action of type 'redirect'"),
        ([{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}], "UnsupportedOperation",
         "the parameter DefaultActions.FixedResponseConfig"),
        ([{"Type": "forward", "ForwardConfig": WEIGHTS}], "UnsupportedOperation",
         "the parameter DefaultActions.ForwardConfig"),
        ([{"Type": "forward", "TargetGroupArn": GROUP}], "TargetGroupNotFound", "not found"),
        ([{"Type": "forward", "TargetGroupArn": GROUP}] * 2, "InvalidLoadBalancerAction", "exactly one"),
        ([{"Type": "forward"}], "TargetGroupNotFound", "not found"),
    ],
)  # fmt: skip
def test_a_listener_forwards_to_one_target_group(elb, balancer, empty_group, listen, actions, code, said):
    arn, listener = balancer["LoadBalancerArn"], listen(empty_group)
    change = {"LoadBalancerArn": arn, "Port": 81, "Protocol": "HTTP", "DefaultActions": actions}
    for call, parameters in (
        (elb.create_listener, change),
        (elb.modify_listener, {"ListenerArn": listener, "DefaultActions": actions}),
    ):
        with pytest.raises(ClientError) as refused:
            call(**parameters)
        error = refused.value.response["Error"]
        assert error["Code"] == code and said in error["Message"]
    (kept,) = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert kept["DefaultActions"][0]["TargetGroupArn"] == empty_group


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HealthCheckProtocol": "HTTP"}, "Health check protocol cannot be specified for target groups"),
        ({"HealthCheckPort": "80"}, "Health check port cannot be specified for target groups"),
        ({"Matcher": {"HttpCode": "500"}}, "must be within '200-499' inclusive"),
        ({"Matcher": {"HttpCode": "200,x"}}, "must be within '200-499' inclusive"),
        (
            {"HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 11},
            "must be smaller than or equal",
        ),
    ],
)
def test_invalid_health_checks_of_a_function_are_rejected(elb, empty_group, settings, said):
    (former,) = elb.describe_target_groups(TargetGroupArns=[empty_group])["TargetGroups"]
    for refused in (
        lambda: elb.create_target_group(Name="refused", TargetType="lambda", **settings),
        lambda: elb.modify_target_group(TargetGroupArn=empty_group, **settings),
    ):
        with pytest.raises(ClientError, match=f"ValidationError.*{said}"):
            refused()
    assert elb.describe_target_groups()["TargetGroups"] == [former]


def test_only_functions_can_be_targets(elb):
    with pytest.raises(ClientError, match="The lab does not offer target groups of target type 'instance'"):
        elb.create_target_group(Name="hosts")
    with pytest.raises(ClientError, match="The lab does not offer target groups of target type 'ip'"):
        elb.create_target_group(Name="hosts", TargetType="ip")


def test_a_changed_matcher_takes_effect(elb, target_group, listen):
    listen(target_group)
    elb.get_waiter("target_in_service").wait(TargetGroupArn=target_group, WaiterConfig=QUICK)
    (changed,) = elb.modify_target_group(TargetGroupArn=target_group, Matcher={"HttpCode": "404"})[
        "TargetGroups"
    ]
    assert changed["Matcher"] == {"HttpCode": "404"}
    elb.modify_target_group(TargetGroupArn=target_group, UnhealthyThresholdCount=2, HealthCheckEnabled=False)
    elb.modify_target_group(TargetGroupArn=target_group, HealthCheckEnabled=True)
    for tried in tenacity.Retrying(wait=tenacity.wait_fixed(0.1), stop=tenacity.stop_after_delay(10)):
        with tried:
            answer = elb.describe_target_health(TargetGroupArn=target_group)
            assert (
                answer["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Elb.InitialHealthChecking"
            )


def test_invalid_calls_are_rejected(elb, client, balancer, network, function, target_group, listen):
    ec2 = client("ec2")

    def refused(code: str, said: str, call, **arguments) -> None:
        with pytest.raises(ClientError) as refusal:
            call(**arguments)
        assert refusal.value.response["Error"]["Code"] == code
        assert said in refusal.value.response["Error"]["Message"]

    create = elb.create_load_balancer
    two_zones = "At least two subnets in two different Availability Zones must be specified"
    refused("ValidationError", two_zones, create, Name="x", Subnets=network.subnet_ids[:1])
    refused("SubnetNotFound", "does not exist", create, Name="x", Subnets=["subnet-1", "subnet-2"])
    twin = ec2.create_subnet(VpcId=network.vpc_id, CidrBlock="10.0.9.0/24", AvailabilityZone="eu-central-1a")[
        "Subnet"
    ]["SubnetId"]
    pair = [network.subnet_ids[0], twin]
    refused("InvalidConfigurationRequest", "same Availability Zone", create, Name="x", Subnets=pair)
    ec2.delete_subnet(SubnetId=twin)
    listen(target_group)
    arn = balancer["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": target_group}]
    plain = {"LoadBalancerArn": arn, "DefaultActions": forward, "Protocol": "HTTP", "Port": 80}
    refused("DuplicateListener", "already exists on this port", elb.create_listener, **plain)
    secure = plain | {"Port": 443, "Protocol": "HTTPS"}
    refused("ValidationError", "A certificate must be specified", elb.create_listener, **secure)
    policy = {"SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}
    elsewhere = plain | {"Port": 81}
    refused("ValidationError", "An SSL policy cannot be", elb.create_listener, **elsewhere, **policy)
    asked = client("acm").request_certificate(DomainName="y.example.com", ValidationMethod="DNS")
    pending = [{"CertificateArn": asked["CertificateArn"]}]
    said = "must have a fully-qualified domain name, a supported signature, and a supported key size."
    refused("UnsupportedCertificate", said, elb.create_listener, **secure, Certificates=pending)
    client("acm").delete_certificate(CertificateArn=asked["CertificateArn"])
    missing = [{"CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/missing"}]
    refused("CertificateNotFound", "not found", elb.create_listener, **secure, Certificates=missing)
    said = "A certificate cannot be specified for HTTP listeners"
    refused("ValidationError", said, elb.create_listener, **elsewhere, Certificates=missing)
    second = elb.create_listener(**elsewhere)["Listeners"][0]["ListenerArn"]
    refused("DuplicateListener", "already exists", elb.modify_listener, ListenerArn=second, Port=80)
    refused(
        "ValidationError", "A certificate must be", elb.modify_listener, ListenerArn=second, Protocol="HTTPS"
    )
    elb.delete_listener(ListenerArn=second)
    used = "currently in use by a listener"
    refused("ResourceInUse", used, elb.delete_target_group, TargetGroupArn=target_group)
    another = [{"Id": function.replace("hello", "other")}]
    refused("TooManyTargets", "limit", elb.register_targets, TargetGroupArn=target_group, Targets=another)
    group = elb.create_target_group(Name="stranger", TargetType="lambda")["TargetGroups"][0]
    stranger = group["TargetGroupArn"]
    said = f"elasticloadbalancing principal does not have permission to invoke {function} from target group"
    refused("AccessDenied", said, elb.register_targets, TargetGroupArn=stranger, Targets=[{"Id": function}])
    elb.delete_target_group(TargetGroupArn=stranger)


def test_a_private_key_must_match_its_certificate(client, authority):
    pair, other = (authority.issue(HOST, SERVER, names=(HOST,)) for _ in range(2))
    with pytest.raises(ClientError, match="The private key does not match the certificate"):
        client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=other.key)


@pytest.mark.parametrize(("first_day", "last_day"), [(-2, -1), (1, 2)])
def test_an_expired_or_future_certificate_is_rejected(client, authority, first_day, last_day):
    pair, now = authority.issue(HOST, SERVER, names=(HOST,)), datetime.datetime.now(datetime.UTC)
    key = serialization.load_pem_private_key(pair.key, None)
    dated = (
        x509.CertificateBuilder(*_names(pair.certificate))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=first_day))
        .not_valid_after(now + datetime.timedelta(days=last_day))
        .sign(key, hashes.SHA256())
    )
    acm, held = client("acm"), client("acm").list_certificates()["CertificateSummaryList"]
    with pytest.raises(ClientError, match=r"not valid|not in effect"):
        acm.import_certificate(
            Certificate=dated.public_bytes(serialization.Encoding.PEM), PrivateKey=pair.key
        )
    assert acm.list_certificates()["CertificateSummaryList"] == held


def _names(certificate: bytes) -> tuple[x509.Name, x509.Name]:
    read = x509.load_pem_x509_certificate(certificate)
    return read.issuer, read.subject


def test_an_imported_certificate_is_returned_unchanged(client, certificate, authority):
    answer = client("acm").get_certificate(CertificateArn=certificate)
    assert answer["CertificateChain"].encode() == authority.pair.certificate


def eventually(acm, arn: str, wanted: Callable[[dict], Any]) -> Any:
    for tried in tenacity.Retrying(wait=tenacity.wait_fixed(0.3), stop=tenacity.stop_after_delay(15)):
        with tried:
            found = wanted(acm.describe_certificate(CertificateArn=arn)["Certificate"])
            assert found
    return found


def test_a_requested_certificate_waits_for_its_dns_record(client, monkeypatch):
    monkeypatch.setattr(delays, "CERTIFICATE", 3)
    acm, route53 = client("acm"), client("route53")
    arn = acm.request_certificate(DomainName="shop.example.org", ValidationMethod="DNS")["CertificateArn"]
    described = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert described["Status"] == "PENDING_VALIDATION"
    assert "ResourceRecord" not in described["DomainValidationOptions"][0]
    record = eventually(acm, arn, lambda now: now["DomainValidationOptions"][0].get("ResourceRecord"))
    zone = route53.create_hosted_zone(Name="example.org", CallerReference="acm")["HostedZone"]["Id"]
    record_set = {
        "Name": record["Name"], "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": record["Value"]}]
    }  # fmt: skip
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "PENDING_VALIDATION"
    for action in ("CREATE", "DELETE"):  # an issued certificate stays issued
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record_set}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
        assert eventually(acm, arn, lambda now: now["Status"] == "ISSUED")
    route53.delete_hosted_zone(Id=zone)
    acm.delete_certificate(CertificateArn=arn)


def test_an_issued_certificate_is_verified_with_the_labs_root(
    aws, client, balancer, target_group, listen, inside
):
    acm, route53, host = client("acm"), client("route53"), "issued.example.org"
    arn = acm.request_certificate(DomainName=host, ValidationMethod="DNS")["CertificateArn"]
    record = eventually(acm, arn, lambda now: now["DomainValidationOptions"][0].get("ResourceRecord"))
    zone = route53.create_hosted_zone(Name="example.org", CallerReference="issued")["HostedZone"]["Id"]
    record_set = {
        "Name": record["Name"], "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": record["Value"]}]
    }  # fmt: skip
    change = {"Action": "CREATE", "ResourceRecordSet": record_set}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
    issuer = eventually(acm, arn, lambda now: now["Status"] == "ISSUED" and now["Issuer"])
    assert issuer == aws.context.certificate_authority.name
    listen(target_group, 443, "HTTPS", Certificates=[{"CertificateArn": arn}])
    there = ["--resolve", f"{host}:443:{interfaces(client, balancer)[0]['PrivateIpAddress']}"]
    assert inside("--cacert", str(aws.context.lab.data / ACM_ROOT), *there, f"https://{host}/") == (
        "hello",
        0,
    )
    assert inside(*there, f"https://{host}/")[1] == 60


def test_the_aws_cli_lists_the_load_balancer(aws, balancer):
    command = [sys.executable, Path(sys.executable).with_name("aws"), "elbv2", "describe-load-balancers"]
    environment = cli_environment(aws.endpoint_url)
    answer = subprocess.run([*command, "--names", "app"], env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["LoadBalancers"][0]["State"]["Code"] == "active"
