"""A function behind a load balancer, created by boto3, called by curl in its VPC: limits, updates, TLS."""

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.aws.server import Aws
from tests.lab.aws import front

NAME, HOST = "behind", "behind.example.com"
SOURCE = """
import os
count = 0
def handler(event, context):
    global count
    count += 1
    headers = {{"x-code": "{code}", "x-environment": str(os.getpid()), "x-count": str(count)}}
    return {{"statusCode": 200, "headers": headers}}
"""
SEEN = "%{http_version} %{http_code} %header{x-code} %header{x-environment} %header{x-count}\n"
versions = pytest.mark.parametrize("version", ["1.1", "2"])


@dataclass
class Site:
    """curl's access to the load balancer, over HTTP/1.1 in the clear or HTTP/2 with TLS."""

    aws: Aws
    vpc_id: str
    address: str
    ca: Path
    https_listener: str

    def ask(self, version: str, *arguments: str, path: str = "/") -> list[list[str]]:
        """SEEN of each response, in words."""
        done = self.run(version, *arguments, path=path)
        answers = [line.split() for line in done.stdout.splitlines()]
        assert {answer[0] for answer in answers} == {version}, done
        return answers

    def run(self, version: str, *arguments: str, path: str = "/") -> Any:
        tls = ["--http2", "--cacert", str(self.ca), "--resolve", f"{HOST}:443:{self.address}"]
        way = [f"http://{self.address}{path}"] if version == "1.1" else [*tls, f"https://{HOST}{path}"]
        quiet = ["-s", "--max-time", "20", "-o", "/dev/null", "-w", SEEN]
        namespace = self.aws.vpcs[self.vpc_id].namespace
        return namespace.run("curl", *quiet, *arguments, *way, check=False)


@pytest.fixture(scope="module")
def functions(client) -> Any:
    return client("lambda")


@pytest.fixture(scope="module")
def deploy(functions, role, zip_of) -> Iterator[Callable[[int], None]]:
    """Creates or updates the function; its responses name the code."""

    def update(code: int) -> None:
        functions.update_function_code(FunctionName=NAME, ZipFile=zip_of(SOURCE.format(code=code)))
        functions.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})

    functions.create_function(
        FunctionName=NAME,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role("lambda.amazonaws.com"),
        Code={"ZipFile": zip_of(SOURCE.format(code=0))},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    yield update
    functions.delete_function(FunctionName=NAME)


@pytest.fixture(scope="module")
def certificate(client, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    with front.certificate(client, HOST, tmp_path_factory.mktemp("ca")) as made:
        yield made


@pytest.fixture(scope="module")
def target_group(client, functions, deploy) -> Iterator[str]:
    function = functions.get_function(FunctionName=NAME)["Configuration"]["FunctionArn"]
    with front.target_group(client, NAME, function) as arn:
        yield arn


@pytest.fixture(scope="module")
def site(aws, client, network, target_group, certificate) -> Iterator[Site]:
    elb, (certificate_arn, ca) = client("elbv2"), certificate
    with front.balancer(client, NAME, network.subnet_ids) as (arn, address):
        actions = [{"Type": "forward", "TargetGroupArn": target_group}]
        forward = {"LoadBalancerArn": arn, "DefaultActions": actions}
        shown = [{"CertificateArn": certificate_arn}]
        elb.create_listener(**forward, Port=80, Protocol="HTTP")
        https = elb.create_listener(**forward, Port=443, Protocol="HTTPS", Certificates=shown)
        yield Site(aws, network.vpc_id, address, ca, https["Listeners"][0]["ListenerArn"])


@versions
def test_an_environment_is_reused_until_the_code_changes(site, deploy, version):
    deploy(0)
    first, second = site.ask(version, path="/?[1-2]")
    assert (first[1], first[4], second[3:]) == ("200", "1", [first[3], "2"])
    deploy(0)
    assert site.ask(version)[0][4] == "1"


def test_a_cold_start_is_reported(functions, deploy):
    def report() -> str:
        answer = functions.invoke(FunctionName=NAME, LogType="Tail")
        return base64.b64decode(answer["LogResult"]).decode().partition("REPORT ")[2]

    def colds() -> list[bool]:
        return ["Init Duration: " in report() for _ in range(2)]

    deploy(0)
    assert colds() == [True, False]
    functions.update_function_configuration(FunctionName=NAME, MemorySize=256)
    functions.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    assert colds() == [True, False]


@versions
def test_zero_reserved_concurrency(site, functions, version):
    """Lambda returns 429, for which the load balancer returns 502."""
    functions.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException) as refused:
        functions.invoke(FunctionName=NAME)
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert answer["Error"]["Message"] == "Rate Exceeded."
    assert site.ask(version)[0][1] == "502"
    functions.delete_function_concurrency(FunctionName=NAME)
    assert site.ask(version)[0][1] == "200"


def test_code_updates_lose_no_request_in_flight(site, deploy):
    """Two curls, over HTTP/1.1 and HTTP/2, with four concurrent requests each, while the code changes."""
    deploy(0)
    begun, updated = threading.Barrier(3, timeout=60), threading.Event()

    def load(version: str) -> list[list[str]]:
        def batch() -> list[list[str]]:
            return site.ask(version, "--parallel", "--parallel-max", "4", path="/?[1-40]")

        answers = batch()
        begun.wait()
        while not updated.is_set():
            answers += batch()
        return answers + batch()

    with ThreadPoolExecutor(2) as pool:
        clients = [pool.submit(load, version) for version in ("1.1", "2")]
        begun.wait()
        for code in range(1, 6):
            deploy(code)
        updated.set()
        for client in clients:
            answers = client.result()
            assert len(answers) % 40 == 0
            assert {status for _, status, *_ in answers} == {"200"}
            codes = [code for _, _, code, *_ in answers]
            assert (codes[0], codes[-1]) == ("0", "5")


@pytest.mark.parametrize(
    ("policy", "offered"),
    [
        ("ELBSecurityPolicy-2016-08", ["1.0", "1.1", "1.2"]),  # the API's default
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", ["1.2", "1.3"]),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", ["1.2", "1.3"]),  # the console's default
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", ["1.3"]),
    ],
)
def test_a_security_policy_determines_the_tls_versions(site, client, policy, offered):
    elb = client("elbv2")
    if policy != "ELBSecurityPolicy-2016-08":
        elb.modify_listener(ListenerArn=site.https_listener, SslPolicy=policy)
    described = elb.describe_listeners(ListenerArns=[site.https_listener])["Listeners"][0]
    assert described["SslPolicy"] == policy
    old = ["--ciphers", "DEFAULT:@SECLEVEL=0"]  # otherwise curl itself would not offer old versions
    for version in ("1.0", "1.1", "1.2", "1.3"):
        done = site.run("2", f"--tlsv{version}", "--tls-max", version, *old)
        assert done.returncode == (0 if version in offered else 35), (version, done)


def test_an_unknown_security_policy_is_rejected(site, client):
    elb = client("elbv2")
    (https,) = elb.describe_listeners(ListenerArns=[site.https_listener])["Listeners"]
    same = {key: https[key] for key in ("LoadBalancerArn", "Protocol", "Certificates")}
    same["DefaultActions"] = [
        {"Type": "forward", "TargetGroupArn": https["DefaultActions"][0]["TargetGroupArn"]}
    ]
    with pytest.raises(elb.exceptions.SSLPolicyNotFoundException, match="not found"):
        elb.create_listener(**same, Port=8443, SslPolicy="ELBSecurityPolicy-2001-01")
