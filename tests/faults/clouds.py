"""The lab's clouds behind proxies, and independent listings of what exists in them."""

import functools
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account

from tests.faults.proxy import Judge, Proxy

PROJECT = Path(__file__).parent.parent.parent
_EC2 = {
    "vpcs": ("Vpcs", "VpcId"), "subnets": ("Subnets", "SubnetId"),
    "security_groups": ("SecurityGroups", "GroupId"), "route_tables": ("RouteTables", "RouteTableId"),
    "network_interfaces": ("NetworkInterfaces", "NetworkInterfaceId"),
    "internet_gateways": ("InternetGateways", "InternetGatewayId"),
    "addresses": ("Addresses", "AllocationId"), "volumes": ("Volumes", "VolumeId"),
}  # fmt: skip
_OTHERS = [
    ("elb", "describe_load_balancers", "LoadBalancerDescriptions", "LoadBalancerName"),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    ("lambda", "list_functions", "Functions", "FunctionArn"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("route53", "list_hosted_zones", "HostedZones", "Id"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
]


def client(environment: dict[str, str], service: str) -> Any:
    """boto3's client of that lab."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL")
    return _client(service, *(environment[name] for name in names))


@functools.cache
def _client(service: str, key_id: str, secret: str, region: str, endpoint: str) -> Any:
    """Creating one takes longer than most calls."""
    return _session(key_id, secret, region).client(service, endpoint_url=endpoint)


@functools.cache
def _session(key_id: str, secret: str, region: str) -> boto3.Session:
    return boto3.Session(key_id, secret, region_name=region)


def in_the_clouds(environment: dict[str, str]) -> set[tuple[str, str]]:
    """Everything that both clouds list, whoever created it: its kind and its id."""
    ec2 = client(environment, "ec2")
    found = {
        (kind, thing[id_])
        for kind, (key, id_) in _EC2.items()
        for thing in getattr(ec2, f"describe_{kind}")()[key]
    }
    gateways = ec2.describe_nat_gateways()["NatGateways"]  # AWS, too, lists deleted gateways for a while
    found |= {("nat", g["NatGatewayId"]) for g in gateways if g["State"] != "deleted"}
    for service, operation, key, id_ in _OTHERS:
        listed = getattr(client(environment, service), operation)()[key]
        found |= {(f"{service} {key}", thing[id_]) for thing in listed}
    found |= {("eks", name) for name in client(environment, "eks").list_clusters()["clusters"]}
    kinds = {"keyTypes": ["EC_prime256v1", "RSA_2048"]}
    certificates = client(environment, "acm").list_certificates(Includes=kinds)["CertificateSummaryList"]
    found |= {("acm", certificate["CertificateArn"]) for certificate in certificates}
    tagged = client(environment, "resourcegroupstaggingapi").get_resources()["ResourceTagMappingList"]
    arns = {mapping["ResourceARN"] for mapping in tagged if ":natgateway/" not in mapping["ResourceARN"]}
    return found | {("tagged", arn) for arn in arns} | _in_google(environment)


def _in_google(environment: dict[str, str]) -> set[tuple[str, str]]:
    credentials = service_account.Credentials.from_service_account_file(
        environment["GOOGLE_APPLICATION_CREDENTIALS"],
        scopes=["https://www.googleapis.com/auth/cloud-platform"],
    )
    project = environment["GOOGLE_CLOUD_PROJECT"]
    with AuthorizedSession(credentials) as session:
        container = environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"]
        gke = session.get(f"{container}v1/projects/{project}/locations/-/clusters").json()
        compute = environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"]
        scopes = session.get(f"{compute}projects/{project}/aggregated/routers").json()["items"].values()
    in_regions = [router for scoped in scopes for router in scoped.get("routers", [])]
    return {("gke", cluster["name"]) for cluster in gke.get("clusters", [])} | {
        ("router", router["name"]) for router in in_regions
    }


@contextmanager
def behind(environment: dict[str, str], judge: Judge, folder: Path) -> Iterator[dict[str, str]]:
    """An environment in which every call to either cloud goes through `judge`; `folder` is for its files."""
    aws = Proxy(environment["AWS_ENDPOINT_URL"], judge)
    gke = Proxy(environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"], judge)
    folder.mkdir(parents=True, exist_ok=True)
    key = json.loads(Path(environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    credentials = folder / "google.json"
    credentials.write_text(json.dumps({**key, "token_uri": f"{gke.url}/token"}))
    try:
        yield own(
            environment,
            folder,
            AWS_ENDPOINT_URL=aws.url,
            CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=f"{gke.url}/compute/v1/",
            CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER=f"{gke.url}/",
            GOOGLE_APPLICATION_CREDENTIALS=str(credentials),
            TUTORIAL_TOOLS=str(_tools(environment, folder)),
        )
    finally:
        aws.close()
        gke.close()


def python(environment: dict[str, str], *module: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's modules in that environment, whatever its exit status."""
    argv = [sys.executable, "-m", *module]
    return subprocess.run(argv, env=environment, cwd=PROJECT, capture_output=True, text=True)


def own(environment: dict[str, str], folder: Path, **changed: str) -> dict[str, str]:
    """A settings file, a kubeconfig, and a folder for this run only.

    For the clouds' own variables, the settings file takes precedence over the environment.
    """
    changed |= {"TUTORIAL_BUILD_DIR": str(folder / "state"), "KUBECONFIG": str(folder / "kubeconfig")}
    settings = tomllib.loads(Path(environment["TUTORIAL_SETTINGS"]).read_text()) | changed
    file = folder / "settings.toml"
    # For these values, TOML's strings and lists are the same as JSON's.
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    return environment | {"TUTORIAL_SETTINGS": str(file)}


def _tools(environment: dict[str, str], folder: Path) -> Path:
    """The lab's programs, and an `aws` that signs EKS tokens for the endpoint that the cluster expects."""
    tools = folder / "bin"
    if not tools.exists():
        tools.mkdir()
        programs = Path(environment["PATH"].split(os.pathsep)[0])
        for program in programs.iterdir():
            (tools / program.name).symlink_to(program)
        real = Path(sys.executable).parent / "aws"
        shim = tools / "aws"
        shim.write_text(f'#!/bin/sh\nAWS_ENDPOINT_URL={environment["AWS_ENDPOINT_URL"]} exec {real} "$@"\n')
        shim.chmod(0o755)
    return tools
