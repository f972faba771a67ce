"""What exists after a run, with its configuration: in both clouds, both clusters and the run's folder.

Two of these are equal if nothing was added, lost or changed. What changes by itself is left out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from tests.conftest import run
from tests.faults.clouds import client, in_the_clouds

Env = dict[str, str]
Standing = dict[str, str]
# Kinds of objects that Kubernetes creates and replaces on its own.
_ITS_OWN = {"events", "endpoints", "endpointslices", "componentstatuses", "leases", "nodes", "pods"}
_ITS_OWN |= {"replicasets", "controllerrevisions", "certificatesigningrequests"}
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_KEPT = ("certs", "kubeconfig")  # of the run's folder; everything else there only documents the run
_OF_A_FUNCTION = (
    "Role",
    "Handler",
    "Runtime",
    "Timeout",
    "MemorySize",
    "Environment",
    "CodeSha256",
    "Layers",
)


def lasting(ids: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without network interfaces: a load balancer whose subnet is removed and added gets another one there.

    `standing` counts them instead.
    """
    return {(kind, name) for kind, name in ids if kind != "network_interfaces"}


def standing(environment: Env) -> Standing:
    """By kind and name, the configuration as JSON."""
    listed = ((f"{kind} {name}", None) for kind, name in lasting(in_the_clouds(environment)))
    with ThreadPoolExecutor() as both:
        clusters = chain(*both.map(lambda name: list(_in_cluster(environment, name)), ("eks", "gke")))
    found = chain(listed, _in_aws(environment), clusters, _files(environment))
    return {name: json.dumps(value, sort_keys=True, default=str) for name, value in found}


def differences(before: Standing, after: Standing) -> list[str]:
    """What was added, deleted, and changed."""
    return [
        f"{name}: {before.get(name, 'missing')} → {after.get(name, 'missing')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _in_cluster(environment: Env, context: str) -> Iterator[tuple[str, Any]]:
    kubectl = partial(run, environment, "kubectl", "--context", context)
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    wanted = ",".join(kind for kind in kinds if kind.partition(".")[0] not in _ITS_OWN)
    for item in json.loads(kubectl("get", wanted, "-A", "-o", "json"))["items"]:
        metadata, _ = item.pop("metadata"), item.pop("status", None)
        template = item.get("spec", {}).get("template", {}).get("metadata", {})
        annotations = {**template.pop("annotations", {}), _RESTARTED: ""}
        group, name = (
            item.pop("apiVersion").rpartition("/")[0],
            f"{metadata.get('namespace', '')}/{metadata['name']}",
        )
        yield f"{context} {item.pop('kind')} {group} {name}", (item, annotations, metadata.get("labels"))
    for pod in json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]:
        spec, metadata = pod["spec"], pod["metadata"]
        containers = [
            each["name"]
            for kind in ("initContainers", "containers", "ephemeralContainers")
            for each in spec.get(kind, ())
        ]
        owner = metadata.get("labels", {}).get("app", metadata["name"])
        leaving = ", which is being deleted" if "deletionTimestamp" in metadata else ""
        yield f"{context} pod of {metadata['namespace']}/{owner}{leaving}", containers


def _in_aws(environment: Env) -> Iterator[tuple[str, Any]]:
    yield from _balancers(client(environment, "elbv2"))
    ec2, functions, dns = (client(environment, name) for name in ("ec2", "lambda", "route53"))
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        rules = [group[kind] for kind in ("IpPermissions", "IpPermissionsEgress")]
        yield f"rules of {group['GroupId']}", rules
    for table in ec2.describe_route_tables()["RouteTables"]:
        yield f"routes of {table['RouteTableId']}", (table["Routes"], table["Associations"])
    for function in functions.list_functions()["Functions"]:
        name = function["FunctionName"]
        limit = functions.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
        yield f"function {name}", ({key: function.get(key) for key in _OF_A_FUNCTION}, limit)
    for zone in dns.list_hosted_zones()["HostedZones"]:
        yield (
            f"records of {zone['Id']}",
            dns.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"],
        )
    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    places = Counter(f"{each['Description']} in {each['SubnetId']}" for each in interfaces)
    yield from ((f"interfaces {place}", count) for place, count in places.items())
    for balancer in client(environment, "elb").describe_load_balancers()["LoadBalancerDescriptions"]:
        kept = ("ListenerDescriptions", "Subnets", "SecurityGroups", "Instances", "HealthCheck", "Policies")
        yield f"classic {balancer['LoadBalancerName']}", {key: balancer.get(key) for key in kept}


def _balancers(elb: Any) -> Iterator[tuple[str, Any]]:
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        arn = balancer["LoadBalancerArn"]
        zones = sorted(balancer["AvailabilityZones"], key=lambda zone: zone["SubnetId"])
        yield (
            f"balancer {arn}",
            [balancer["SecurityGroups"], balancer["State"], zones],
        )
        yield f"attributes of {arn}", elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            yield f"listener {listener['ListenerArn']}", listener
    for group in elb.describe_target_groups()["TargetGroups"]:
        arn = group["TargetGroupArn"]
        attributes = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        targets = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        yield f"target group {arn}", (group, attributes, targets)


def _files(environment: Env) -> Iterator[tuple[str, Any]]:
    build = Path(environment["KUBECONFIG"]).parent
    for path in sorted(chain.from_iterable([build / name, *(build / name).rglob("*")] for name in _KEPT)):
        if path.is_file():
            yield f"file {path.relative_to(build)}", hashlib.sha256(path.read_bytes()).hexdigest()
