"""AWS with real networks and programs, in this process."""

import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import boto3
import pytest
import tenacity

from lab import cgroups
from lab.aws import delays
from lab.aws.api.principals import OWN
from lab.aws.server import Aws
from lab.dns.zones import Dns
from lab.network import Internet
from lab.processes import Processes
from lab.settings import Lab

REGION = "eu-central-1"  # not the lab's default: any region works
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly")
Client = Callable[[str], Any]


class FakeCluster:
    """Stands in for the real cluster, which the test of the whole series starts: only its states matter here.

    A cluster named `broken` does not start.
    """

    endpoint = "127.0.0.1:6443"
    ca_certificate = b"-----BEGIN CERTIFICATE-----\n"

    def __init__(self, spec, vpc, load_balancers) -> None:
        self.spec, self.node, self.load_balancers, self.provider_id = spec, None, load_balancers, ""
        self.dead: list[str] = []

    def ended(self) -> list[str]:
        return self.dead

    def start_control_plane(self) -> None:
        if self.spec.name.endswith("-broken"):
            raise RuntimeError("etcd did not start")

    def start_node(
        self, name: str, address: str, labels: dict[str, str], pods: IPv4Network, provider_id: str
    ) -> None:
        self.node, self.provider_id = (name, address, labels, pods), provider_id

    def stop_node(self) -> None:
        self.node = None

    def stop(self) -> None:
        self.node = None


@pytest.fixture(scope="session")
def fake_clusters() -> list[FakeCluster]:
    """All clusters that were created, in order."""
    return []


@pytest.fixture(scope="session")
def aws(programs: Path, fake_clusters: list[FakeCluster]) -> Iterator[Aws]:
    if os.geteuid():
        pytest.skip("network namespaces need root")
    lab = Lab(name=f"aws-{os.getpid()}")
    lab.run.mkdir(parents=True)

    def make_cluster(spec, vpc, load_balancers):
        fake_clusters.append(FakeCluster(spec, vpc, load_balancers))
        return fake_clusters[-1]

    internet, processes = Internet(lab.run), Processes(lab)
    dns = Dns(internet, processes, programs, lab.data / "dns")
    aws = Aws(lab, internet, dns, make_cluster)
    internet.up()
    try:
        dns.start()
        aws.start()
        yield aws
    finally:
        aws.stop()
        processes.stop_all()
        internet.down()
        cgroups.remove(lab.cgroup)
        shutil.rmtree(lab.run)
        shutil.rmtree(lab.data)


@pytest.fixture(scope="session")
def client(aws: Aws) -> Client:
    """A boto3 client for any service, as the lab's own user."""
    session = boto3.Session(OWN.access_key_id, OWN.secret, region_name=REGION)
    return lambda service: session.client(service, endpoint_url=aws.endpoint_url)


@pytest.fixture(scope="module")
def s3(client: Client) -> Any:
    return client("s3")


def cli_environment(endpoint_url: str, region: str = REGION) -> dict[str, str]:
    """For the AWS CLI, as the lab's own user: only PATH is inherited from whoever runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": OWN.access_key_id,
        "AWS_SECRET_ACCESS_KEY": OWN.secret,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_PAGER": "",
    }


class Network:
    """A VPC with three subnets in three zones; its default security group allows all inbound traffic."""

    def __init__(self, client: Client, cidr: str = "10.0.0.0/16") -> None:
        self.ec2 = client("ec2")
        self.vpc_id = self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        prefix = cidr.rsplit(".", 2)[0]
        self.subnet_ids = [
            self.ec2.create_subnet(
                VpcId=self.vpc_id, CidrBlock=f"{prefix}.{i}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for i, zone in enumerate("abc", start=1)
        ]
        here = [{"Name": "vpc-id", "Values": [self.vpc_id]}]
        (default,) = self.ec2.describe_security_groups(Filters=here)["SecurityGroups"]
        anybody = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self.ec2.authorize_security_group_ingress(GroupId=default["GroupId"], IpPermissions=[anybody])

    def delete(self) -> None:
        for subnet_id in self.subnet_ids:  # interfaces of load balancers remain for a moment
            patiently(self.ec2.delete_subnet, SubnetId=subnet_id)
        self.ec2.delete_vpc(VpcId=self.vpc_id)


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=".*DependencyViolation|.*AuthFailure"),
    wait=tenacity.wait_fixed(0.2),
    stop=tenacity.stop_after_delay(15),
    reraise=True,
)
def patiently(call: Callable[..., Any], **parameters: Any) -> Any:
    """Repeat an AWS call until it no longer fails because of dependencies."""
    return call(**parameters)


@pytest.fixture(scope="module")
def network(client: Client) -> Iterator[Network]:
    network = Network(client)
    yield network
    network.delete()


@pytest.fixture(scope="session")
def role(client: Client) -> Callable[[str], str]:
    """The ARN of a role that this service can assume, with AWS's managed policies, old enough for that."""

    def make(service: str) -> str:
        iam, name = client("iam"), f"for-{service.split('.')[0]}"
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        try:
            made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
            for managed in NODE_POLICIES if service == "ec2.amazonaws.com" else ():
                iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{managed}")
            time.sleep(delays.ROLE)
            return made
        except iam.exceptions.EntityAlreadyExistsException:
            return iam.get_role(RoleName=name)["Role"]["Arn"]

    return make


@pytest.fixture(scope="session")
def zip_of() -> Callable[[str], bytes]:
    return zip_source


def zip_source(source: str) -> bytes:
    """A function's deployment package."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", source)
    return buffer.getvalue()


HELLO = """
def handler(event, context):
    print("got", event.get("path"))
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "hello"}
"""


@pytest.fixture
def function(client: Client, role: Callable[[str], str]) -> Iterator[str]:
    """The ARN of a function that returns `hello`."""
    functions = client("lambda")
    created = functions.create_function(
        FunctionName="hello",
        Runtime="python3.13",
        Handler="app.handler",
        Role=role("lambda.amazonaws.com"),
        Code={"ZipFile": zip_source(HELLO)},
    )
    assert created["State"] == "Pending"
    functions.get_waiter("function_active_v2").wait(FunctionName="hello", WaiterConfig={"Delay": 1})
    yield created["FunctionArn"]
    functions.delete_function(FunctionName="hello")
