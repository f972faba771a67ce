"""Deletes all that the tutorial made, in both clouds, found by tag and name; as often as you like."""

import json
from typing import Any

from helpers import (
    aws,
    eks,
    function,
    gke,
    inventory,
    kube,
    kubeconfig,
    load_balancer,
    log_groups,
    show,
    zone,
)
from helpers.errors import CommandFailed, Refused
from helpers.inventory import Resource
from helpers.progress import patiently, until
from helpers.settings import current

_LIMIT = 1800  # seconds; EKS takes up to fifteen minutes to delete a cluster
_PATIENCE = 600  # seconds; what still holds on to a thing lets go within minutes
# Used by something that is on its way out: try again.
_BUSY = {
    "AuthFailure",  # EC2's answer for an address whose NAT gateway is not gone yet
    "ConflictException",
    "DeleteConflict",
    "DependencyViolation",
    "InvalidIPAddress.InUse",
    "OperationNotPermitted",
    "ResourceInUse",
    "ResourceInUseException",
}


def listing() -> list[Resource]:
    """What is left in both clouds; [] when all is gone."""
    return inventory.listing()


def table() -> show.Table:
    """What is left, as a table."""
    rows = [(resource.cloud, resource.kind, resource.name) for resource in listing()]
    return show.table(rows, ("cloud", "what", "name"))


def everything() -> None:
    """Delete all of it, wait until it is gone and prove it; says so when there was nothing.

    Raises TimedOut with a list of what would not go; run again, it goes on from there.
    """
    if not listing():
        print("Nothing exists: nothing to delete")
        return
    # First what Kubernetes asked the clouds for: without its cluster nobody would take it back.
    _delete_services()
    if current().GOOGLE_CLOUD_PROJECT:
        gke.delete()
    for name in inventory.node_groups():
        _delete("eks", "delete_nodegroup", clusterName=current().TUTORIAL_NAME, nodegroupName=name)
    _delete_front()
    _delete_function()
    _delete_eks()
    _delete_network()
    _delete_roles()
    for context in (eks.CONTEXT, gke.CONTEXT):
        kubeconfig.remove(context)
    until(
        "both clouds to list nothing",
        listing,
        lambda left: not left,
        limit=_LIMIT,
        state=lambda left: ", ".join(f"{resource.kind} {resource.name}" for resource in left),
        try_="run the clean-up again: it goes on from here.",
    )
    print("Nothing is left in either cloud")


def _delete_services() -> None:
    ready = []
    if eks.status() == "ACTIVE":
        eks.connect()
        ready.append(eks.CONTEXT)
    if current().GOOGLE_CLOUD_PROJECT and gke.status() == "RUNNING":
        gke.connect()
        ready.append(gke.CONTEXT)
    for context in ready:
        try:
            got = kube.kubectl(context, "get", "services", "-A", "-o", "json", show=False, limit=60)
            for service in json.loads(got.text)["items"]:
                if service["spec"]["type"] == "LoadBalancer":
                    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
                    words = ("-n", namespace, "delete", "service", name, "--timeout=300s")
                    kube.kubectl(context, *words, "--ignore-not-found")
        except CommandFailed as failed:
            # A cluster that does not answer any more must not keep all the rest alive.
            print(f"{context} does not answer, its load balancers are looked for in the cloud: {failed}")


def _delete_front() -> None:
    """Record, zone, balancers, target group, certificate."""
    zone_id = zone.find()
    for record in zone.records(zone_id) if zone_id else []:
        change = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
        aws.call("route53", "change_resource_record_sets", HostedZoneId=zone_id, ChangeBatch=change)
        aws.said(f"route53 change-resource-record-sets: {record['Name']} deleted")
    if zone_id and inventory.zone_is_ours(zone_id):
        _delete("route53", "delete_hosted_zone", Id=zone_id)
    for name in inventory.kubernetes_balancers():
        _delete("elb", "delete_load_balancer", LoadBalancerName=name)
    balancer, group = load_balancer.balancer(), load_balancer.target_group()
    if balancer:
        _delete("elbv2", "delete_load_balancer", LoadBalancerArn=balancer["LoadBalancerArn"])
    if group:
        _delete("elbv2", "delete_target_group", TargetGroupArn=group["TargetGroupArn"])
    for arn in inventory.certificates():
        _delete("acm", "delete_certificate", CertificateArn=arn)


def _delete_function() -> None:
    if function.exists():
        _delete("lambda", "delete_function", FunctionName=function.name())
    if function.has_log_group():
        _delete("logs", "delete_log_group", logGroupName=function.log_group())


def _delete_eks() -> None:
    name = current().TUTORIAL_NAME
    until("the node groups to go", inventory.node_groups, lambda left: not left, limit=_LIMIT)
    # EKS refuses to delete what it is still making.
    until(
        "the EKS cluster to be deletable",
        eks.status,
        lambda now: now not in ("CREATING", "UPDATING"),
        limit=_LIMIT,
    )
    if eks.status() not in ("", "DELETING"):
        _delete("eks", "delete_cluster", name=name)
    until("the EKS cluster to go", eks.status, lambda now: now == "", limit=_LIMIT)
    if log_groups.exists(eks.log_group_name()):  # after the cluster, which would write into it again
        _delete("logs", "delete_log_group", logGroupName=eks.log_group_name())
    for volume in inventory.kubernetes_volumes():
        _delete("ec2", "delete_volume", VolumeId=volume)


def _delete_network() -> None:
    for gateway in inventory.ec2("NAT gateway"):
        _delete("ec2", "delete_nat_gateway", NatGatewayId=gateway["NatGatewayId"])
    for address in inventory.ec2("elastic IP"):
        _delete("ec2", "release_address", AllocationId=address["AllocationId"])
    for vpc in inventory.ec2("VPC"):
        _delete_inside(vpc["VpcId"])
    for gateway in inventory.ec2("internet gateway"):
        id_ = gateway["InternetGatewayId"]
        for attachment in gateway.get("Attachments", []):
            vpc_id = attachment["VpcId"]
            _delete("ec2", "detach_internet_gateway", InternetGatewayId=id_, VpcId=vpc_id)
        _delete("ec2", "delete_internet_gateway", InternetGatewayId=id_)
    for vpc in inventory.ec2("VPC"):
        _delete("ec2", "delete_vpc", VpcId=vpc["VpcId"])


def _delete_inside(vpc_id: str) -> None:
    """What keeps a VPC alive, also where a controller of Kubernetes made it without our tag."""
    mine = [{"Name": "vpc-id", "Values": [vpc_id]}]
    free = [*mine, {"Name": "status", "Values": ["available"]}]
    for interface in aws.items("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=free):
        _delete("ec2", "delete_network_interface", NetworkInterfaceId=interface["NetworkInterfaceId"])
    for table_ in inventory.ec2("route table"):
        for association in table_["Associations"]:
            id_ = association["RouteTableAssociationId"]
            aws.call("ec2", "disassociate_route_table", AssociationId=id_)
        _delete("ec2", "delete_route_table", RouteTableId=table_["RouteTableId"])
    for subnet in aws.items("ec2", "describe_subnets", "Subnets", Filters=mine):
        _delete("ec2", "delete_subnet", SubnetId=subnet["SubnetId"])
    for group in aws.items("ec2", "describe_security_groups", "SecurityGroups", Filters=mine):
        if group["GroupName"] != "default":
            _delete("ec2", "delete_security_group", GroupId=group["GroupId"])


def _delete_roles() -> None:
    for role in inventory.existing_roles():
        for policy in aws.items("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role):
            aws.call("iam", "detach_role_policy", RoleName=role, PolicyArn=policy["PolicyArn"])
        _delete("iam", "delete_role", RoleName=role)


def _delete(service: str, operation: str, **parameters: Any) -> None:
    """Delete one thing, patiently while something still uses it; fine when it is gone already."""
    words = " ".join([operation.replace("_", "-"), *(str(value) for value in parameters.values())])
    try:
        patiently(
            words,
            lambda: aws.call(service, operation, **parameters),
            lambda error: isinstance(error, Refused) and error.code in _BUSY,
            limit=_PATIENCE,
        )
    except Refused as refused:
        if not any(word in refused.code for word in ("NotFound", "NoSuch")):
            raise
        return
    aws.said(f"{service} {words}")
