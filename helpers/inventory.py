"""What exists of the tutorial in both clouds, by the clouds' own listings, in the order in which it goes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from helpers import aws, eks, function, gke, load_balancer
from helpers.aws import alb_log, cloudwatch_logs, iam, route53
from helpers.base.errors import ApiError
from helpers.base.settings import current
from helpers.gcp import cloud_nat

ROLES = ("function", "eks-cluster", "eks-nodes")
# Those EC2 things that the tutorial tags: the call that lists them, its key, the id's key.
EC2 = {
    "NAT gateway": ("describe_nat_gateways", "NatGateways", "NatGatewayId"),
    "elastic IP": ("describe_addresses", "Addresses", "AllocationId"),
    "route table": ("describe_route_tables", "RouteTables", "RouteTableId"),
    "subnet": ("describe_subnets", "Subnets", "SubnetId"),
    "security group": ("describe_security_groups", "SecurityGroups", "GroupId"),
    "internet gateway": ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "VPC": ("describe_vpcs", "Vpcs", "VpcId"),
}
_NETWORK = (*list(EC2)[:2], "network interface", *list(EC2)[2:])  # as _delete_network in cleanup has it
# The tagging API goes on listing these for up to an hour after they are gone; EC2 itself knows better.
_TAGS_LINGER = (":natgateway/", ":instance/", ":network-interface/", ":volume/")


@dataclass(frozen=True)
class Resource:
    """Something that exists, and costs or is in the way."""

    cloud: str
    kind: str
    name: str


def listing() -> list[Resource]:
    """Everything of this tutorial in both clouds; empty after a clean-up.

    The tagging API does not know roles, and nothing of what Kubernetes made, so each service is
    asked too.
    """
    resources = []
    if current().GOOGLE_CLOUD_PROJECT and gke.status():
        resources.append(Resource("Google Cloud", "GKE cluster", current().TUTORIAL_NAME))
    resources += [Resource("AWS", kind, name) for kind, name in _in_aws()]
    known = [resource.name for resource in resources]
    for arn in tagged_arns():
        if not any(part in arn for part in _TAGS_LINGER) and not any(name in arn for name in known):
            resources.append(Resource("AWS", "tagged", arn))
    if current().GOOGLE_CLOUD_PROJECT and _has_cloud_nat():
        resources.append(Resource("Google Cloud", "Cloud Router", current().TUTORIAL_NAME))
    return resources


def tagged_arns() -> list[str]:
    """ARNs of all that carries the project's tag, by the Resource Groups Tagging API."""
    filters = [{"Key": "Project", "Values": [current().TUTORIAL_NAME]}]
    found = aws.list_all(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters
    )
    return [mapping["ResourceARN"] for mapping in found]


def ec2(kind: str) -> list[dict[str, Any]]:
    """The tutorial's things of that kind, as EC2 describes them."""
    operation, key, _ = EC2[kind]
    filters = [{"Name": "tag:Project", "Values": [current().TUTORIAL_NAME]}]
    found = aws.list_all("ec2", operation, key, Filters=filters)
    return [thing for thing in found if thing.get("State") not in ("deleted", "deleting")]


def certificates() -> list[str]:
    """ARNs of the tutorial's certificates in ACM, of whatever domain."""
    kinds = {"keyTypes": ["EC_prime256v1", "RSA_2048"]}
    arns = []
    for summary in aws.list_all("acm", "list_certificates", "CertificateSummaryList", Includes=kinds):
        arn = summary["CertificateArn"]
        tags = aws.call("acm", "list_tags_for_certificate", CertificateArn=arn)["Tags"]
        if {"Key": "Project", "Value": current().TUTORIAL_NAME} in tags:
            arns.append(arn)
    return arns


def zones() -> list[str]:
    """Ids of the hosted zones that the tutorial made, of whatever domain; a reader's own zone stays."""
    found = aws.list_all("route53", "list_hosted_zones", "HostedZones")
    return [
        each["Id"].rpartition("/")[2] for each in found if each["Config"].get("Comment") == route53.comment()
    ]


def kubernetes_balancers() -> list[str]:
    """Classic load balancers that the EKS cluster made for its Services."""
    names = [
        balancer["LoadBalancerName"]
        for balancer in aws.list_all("elb", "describe_load_balancers", "LoadBalancerDescriptions")
    ]
    ours = []
    for start in range(0, len(names), 20):  # the call takes 20 names
        answer = aws.call("elb", "describe_tags", LoadBalancerNames=names[start : start + 20])
        ours += [
            found["LoadBalancerName"]
            for found in answer["TagDescriptions"]
            if any(tag["Key"] == cluster_tag() for tag in found["Tags"])
        ]
    return ours


def kubernetes_volumes() -> list[str]:
    """Disks that the EKS cluster made."""
    filters = [{"Name": "tag-key", "Values": [cluster_tag()]}]
    return [
        volume["VolumeId"] for volume in aws.list_all("ec2", "describe_volumes", "Volumes", Filters=filters)
    ]


def free_interfaces(vpc_id: str) -> list[str]:
    """Network interfaces that nothing uses any more, such as those that pods had."""
    free = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "status", "Values": ["available"]}]
    found = aws.list_all("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=free)
    return [interface["NetworkInterfaceId"] for interface in found]


def security_groups(vpc_id: str) -> list[str]:
    """A VPC's security groups, those of Kubernetes and EKS too, without the one that goes with the VPC."""
    mine = [{"Name": "vpc-id", "Values": [vpc_id]}]
    found = aws.list_all("ec2", "describe_security_groups", "SecurityGroups", Filters=mine)
    return [group["GroupId"] for group in found if group["GroupName"] != "default"]


def cluster_tag() -> str:
    """The tag that Kubernetes' AWS controllers put on what they make."""
    return f"kubernetes.io/cluster/{current().TUTORIAL_NAME}"


def node_groups() -> list[str]:
    """Node groups of the EKS cluster, if there is one."""
    if not eks.status():
        return []
    try:
        return aws.list_all("eks", "list_nodegroups", "nodegroups", clusterName=current().TUTORIAL_NAME)
    except ApiError as refused:
        if refused.code == "ResourceNotFoundException":  # it went between the two calls
            return []
        raise


def _has_cloud_nat() -> bool:
    """Whether there is a Cloud Router of ours that no cluster of another run needs."""
    router = cloud_nat.find()
    return router is not None and cloud_nat.is_ours(router) and not gke.neighbours()


def _in_aws() -> Iterable[tuple[str, str]]:
    yield from (("EKS node group", name) for name in node_groups())
    yield from _front()
    if function.exists():
        yield "function", function.name()
    if eks.status():
        yield "EKS cluster", current().TUTORIAL_NAME
    for group in (function.log_group(), eks.log_group_name()):
        if cloudwatch_logs.exists(group):
            yield "log group", group
    yield from (("disk", name) for name in kubernetes_volumes())
    vpcs = [vpc["VpcId"] for vpc in ec2("VPC")]
    found = [(kind, thing[id_]) for kind, (_, _, id_) in EC2.items() for thing in ec2(kind)]
    found += [("network interface", name) for vpc in vpcs for name in free_interfaces(vpc)]
    found += [("security group", name) for vpc in vpcs for name in security_groups(vpc)]
    yield from sorted(dict.fromkeys(found), key=lambda one: _NETWORK.index(one[0]))
    yield from (("role", name) for name in existing_roles())


def _front() -> Iterable[tuple[str, str]]:
    zone_id = route53.find()
    yield from (("record", record["Name"]) for record in (route53.records(zone_id) if zone_id else []))
    yield from (("hosted zone", name) for name in zones())
    yield from (("classic load balancer", name) for name in kubernetes_balancers())
    if load_balancer.balancer():
        yield "load balancer", load_balancer.name()
    if load_balancer.target_group():
        yield "target group", function.name()
    if alb_log.exists():
        yield "bucket", alb_log.bucket()
    yield from (("certificate", arn) for arn in certificates())


def existing_roles() -> list[str]:
    """Names of the tutorial's roles that exist."""
    names = [iam.name(purpose) for purpose in ROLES]
    return [name for name in names if iam.find(name)]
