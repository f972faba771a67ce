"""A load balancer's attributes, set by boto3, and what a function and a client in the VPC notice of them."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.server import Aws
from lab.sockets import in_namespace
from tests.lab.aws import front

NAME, HOST = "attributes", "attributes.example.com"
DROP = "routing.http.drop_invalid_header_fields.enabled"
HTTP2 = "routing.http2.enabled"
IDLE = "idle_timeout.timeout_seconds"
PORT = "routing.http.xff_client_port.enabled"
PROTECTION = "deletion_protection.enabled"
TLS = "routing.http.x_amzn_tls_version_and_cipher_suite.enabled"
XFF = "routing.http.xff_header_processing.mode"
SOURCE = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["headers"])}
"""


WRITTEN = "\n%{http_version}\n%{local_ip}\n%{local_port}"


@dataclass
class Asked:
    """The headers that the function got, the version of HTTP, and curl's address and port."""

    headers: dict[str, str]
    version: str
    client: str
    port: str


@dataclass
class Site:
    """A load balancer in front of a function that answers with the headers it got."""

    aws: Aws
    elb: Any
    vpc_id: str
    arn: str
    address: str
    ca: Path

    @property
    def namespace(self) -> Any:
        return self.aws.vpcs[self.vpc_id].namespace

    def set(self, **values: str) -> list[dict]:
        attributes = [{"Key": key, "Value": value} for key, value in values.items()]
        answer = self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.arn, Attributes=attributes)
        return answer["Attributes"]

    def shown(self) -> dict[str, str]:
        answer = self.elb.describe_load_balancer_attributes(LoadBalancerArn=self.arn)
        return {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}

    def ask(self, *arguments: str, https: bool = False) -> Asked:
        tls = ["--cacert", str(self.ca), "--resolve", f"{HOST}:443:{self.address}", f"https://{HOST}/"]
        way = tls if https else [f"http://{self.address}/"]
        done = self.namespace.run("curl", "-sS", "-m", "10", "-w", WRITTEN, *arguments, *way)
        body, version, client, port = done.stdout.split("\n")
        return Asked(json.loads(body), version, client, port)

    def connect(self) -> socket.socket:
        connection = in_namespace(self.namespace.path, socket.socket)
        connection.settimeout(10)
        connection.connect((self.address, 80))
        return connection


@pytest.fixture(scope="module")
def target_group(client, role, zip_of) -> Iterator[str]:
    functions = client("lambda")
    function = functions.create_function(
        FunctionName=NAME,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role("lambda.amazonaws.com"),
        Code={"ZipFile": zip_of(SOURCE)},
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    with front.target_group(client, NAME, function) as arn:
        yield arn
    functions.delete_function(FunctionName=NAME)


@pytest.fixture(scope="module")
def certificate(client, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    with front.certificate(client, HOST, tmp_path_factory.mktemp("ca")) as made:
        yield made


@pytest.fixture(scope="module")
def running(aws, client, network, target_group, certificate) -> Iterator[Site]:
    elb, (certificate_arn, ca) = client("elbv2"), certificate
    with front.balancer(client, NAME, network.subnet_ids) as (arn, address):
        actions = [{"Type": "forward", "TargetGroupArn": target_group}]
        forward = {"LoadBalancerArn": arn, "DefaultActions": actions}
        elb.create_listener(**forward, Port=80, Protocol="HTTP")
        policy = {"SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}
        shown = [{"CertificateArn": certificate_arn}]
        elb.create_listener(**forward, Port=443, Protocol="HTTPS", Certificates=shown, **policy)
        yield Site(aws, elb, network.vpc_id, arn, address, ca)


@pytest.fixture
def site(running) -> Iterator[Site]:
    """With AWS's defaults, which each test leaves behind, too."""
    former = running.shown()
    yield running
    changed = {key: value for key, value in running.shown().items() if value != former[key]}
    running.set(**{key: former[key] for key in changed})


def header(*lines: str) -> list[str]:
    return [argument for line in lines for argument in ("-H", line)]


def test_attributes_have_their_defaults_and_what_was_set(site):
    assert site.shown().items() >= {
        (DROP, "false"), (HTTP2, "true"), (IDLE, "60"), (PORT, "false"), (PROTECTION, "false"),
        (TLS, "false"), (XFF, "append"), ("access_logs.s3.enabled", "false"), ("access_logs.s3.bucket", ""),
        ("client_keep_alive.seconds", "3600"), ("ipv6.deny_all_igw_traffic", "true"),
        ("load_balancing.cross_zone.enabled", "true"), ("routing.http.desync_mitigation_mode", "defensive"),
    }  # fmt: skip
    former = site.shown()
    assert {"Key": IDLE, "Value": "4000"} in site.set(**{IDLE: "4000", XFF: "append"})
    assert site.shown() == former | {IDLE: "4000"}


@pytest.mark.parametrize(
    ("key", "value", "code", "said"),
    [
        ("routing.http3.enabled", "true", "ValidationError",
         "Load balancer attribute key 'routing.http3.enabled' is not recognized"),
        ("dns_record.client_routing_policy", "any_availability_zone", "InvalidConfigurationRequest",
         "Load balancer attribute key 'dns_record.client_routing_policy' is not supported on load balancers "
         "with type 'application'"),
        (DROP, "yes", "ValidationError", DROP),
        (DROP, "True", "ValidationError", DROP),
        (XFF, "replace", "ValidationError", XFF),
        (IDLE, "0", "ValidationError", IDLE),
        (IDLE, "4001", "ValidationError", IDLE),
        (IDLE, "1.5", "ValidationError", IDLE),
        (IDLE, "", "ValidationError", IDLE),
        ("load_balancing.cross_zone.enabled", "false", "ValidationError", "cross_zone"),
    ],
)  # fmt: skip
def test_an_attribute_that_is_refused_changes_nothing(site, key, value, code, said):
    former = site.shown()
    with pytest.raises(ClientError) as refused:
        site.set(**{PROTECTION: "true", key: value})
    error = refused.value.response["Error"]
    assert error["Code"] == code and said in error["Message"]
    assert site.shown() == former


def test_a_protected_load_balancer_is_not_deleted(client, network):
    elb = client("elbv2")
    made = elb.create_load_balancer(Name="protected", Subnets=network.subnet_ids, Scheme="internal")
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    # Nobody has to wait until it is provisioned.
    set_to = lambda value: elb.modify_load_balancer_attributes(  # noqa: E731
        LoadBalancerArn=arn, Attributes=[{"Key": PROTECTION, "Value": value}]
    )
    set_to("true")
    with pytest.raises(elb.exceptions.OperationNotPermittedException) as refused:
        elb.delete_load_balancer(LoadBalancerArn=arn)
    said = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
    assert refused.value.response["Error"]["Message"] == said
    set_to("false")
    elb.delete_load_balancer(LoadBalancerArn=arn)


@pytest.mark.parametrize("https", [False, True])
def test_header_names_that_are_not_valid_are_dropped_if_wanted(site, https):
    sent = header("x_under_score: 1", "x.dot: 1", "x~: 1", "X-Valid-2: 1", "2: 1")
    valid = {"x-valid-2", "2", "host", "user-agent", "x-forwarded-for", "x-amzn-trace-id"}
    everything = site.ask(*sent, https=https).headers
    assert everything.keys() >= {"x_under_score", "x.dot", "x~", *valid}
    site.set(**{DROP: "true"})
    seen = site.ask(*sent, https=https).headers
    assert everything.keys() - seen.keys() == {"x_under_score", "x.dot", "x~"}
    assert seen.keys() >= valid


@pytest.mark.parametrize(
    ("mode", "port", "sent", "seen"),
    [
        ("append", "false", [], "ADDRESS"),
        ("append", "false", ["192.0.2.1", "192.0.2.2"], "192.0.2.1, 192.0.2.2, ADDRESS"),
        ("append", "true", [], "ADDRESS:PORT"),
        ("append", "true", ["192.0.2.1"], "192.0.2.1, ADDRESS:PORT"),
        ("preserve", "false", ["192.0.2.1"], "192.0.2.1"),
        ("preserve", "true", ["192.0.2.1"], "192.0.2.1"),
        ("preserve", "false", [], None),
        ("remove", "false", ["192.0.2.1"], None),
        ("remove", "true", [], None),
    ],
)
def test_x_forwarded_for(site, mode, port, sent, seen):
    site.set(**{XFF: mode, PORT: port})
    asked = site.ask(*header(*(f"X-Forwarded-For: {address}" for address in sent)))
    expected = seen and seen.replace("ADDRESS", asked.client).replace("PORT", asked.port)
    assert asked.headers.get("x-forwarded-for") == expected
    assert asked.headers["x-forwarded-port"] == "80"


def test_tls_version_and_cipher_suite(site):
    spoofed = header("X-Amzn-Tls-Version: SSLv3")
    assert site.ask(*spoofed, https=True).headers["x-amzn-tls-version"] == "SSLv3"  # a header like any other
    assert "x-amzn-tls-cipher-suite" not in site.ask(https=True).headers
    site.set(**{TLS: "true"})
    seen = site.ask(*spoofed, https=True).headers
    assert seen["x-amzn-tls-version"] == "TLSv1.3"
    assert re.fullmatch(r"TLS_AES_\d+_GCM_SHA\d+", seen["x-amzn-tls-cipher-suite"])
    seen = site.ask("--tls-max", "1.2", https=True).headers
    assert seen["x-amzn-tls-version"] == "TLSv1.2"
    assert re.fullmatch(r"ECDHE-ECDSA-[A-Z0-9-]+", seen["x-amzn-tls-cipher-suite"])
    assert not any(name.startswith("x-amzn-tls") for name in site.ask().headers)


def test_http2_is_offered_unless_it_is_disabled(site):
    assert site.ask(https=True).version == "2"
    site.set(**{HTTP2: "false"})
    assert site.ask(https=True).version == "1.1"
    site.set(**{HTTP2: "true"})
    assert site.ask(https=True).version == "2"


def test_the_idle_timeout_is_that_of_the_moment_when_a_client_connects(site):
    with site.connect() as former:
        former.sendall(request := b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert former.recv(65536).startswith(b"HTTP/1.1 200 ")
        site.set(**{IDLE: "1"})
        with site.connect() as idle:
            assert idle.recv(1) == b""
        former.sendall(request)
        assert former.recv(65536).startswith(b"HTTP/1.1 200 ")
