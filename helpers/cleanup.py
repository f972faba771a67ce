"""Deletes all that the tutorial made, in both clouds, found by tag and name; as often as you like.

On the command line: `python -m helpers.cleanup --help`.
"""

import re
import sys
from typing import Annotated, Any

import typer

from helpers import aws, eks, function, gke, inventory, kube, load_balancer, runs, show
from helpers.aws import alb_log, route53
from helpers.base.errors import ApiError, TimedOutError, UnreachableError, for_people
from helpers.base.settings import current
from helpers.base.waiting import retry_while, wait_until
from helpers.clusters import kubeconfig
from helpers.gcp import cloud_nat
from helpers.inventory import Resource

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


def plan() -> list[Resource]:
    """What the clean-up would delete, in its order; deletes nothing.

    Services of type LoadBalancer come first, where their cluster answers.
    """
    services = [
        Resource(context, "Service", f"{namespace}/{name}")
        for context in _ready()
        for namespace, name in _services(context)
    ]
    return services + listing()


def everything() -> None:
    """Delete all of it, wait until it is gone and prove it; says so when there was nothing.

    Raises TimedOutError with a list of what would not go; run again, it goes on from there.
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
    if current().GOOGLE_CLOUD_PROJECT:
        _delete_cloud_nat()
    for context in (eks.CONTEXT, gke.CONTEXT):
        kubeconfig.remove(context)
    wait_until(
        "both clouds to list nothing",
        listing,
        lambda left: not left,
        timeout=_LIMIT,
        state=lambda left: ", ".join(f"{resource.kind} {resource.name}" for resource in left),
        hint="run the clean-up again: it goes on from here.",
    )
    print("Nothing is left in either cloud")


def _ready() -> list[str]:
    """Contexts of the clusters that can be asked, written into the kubeconfig."""
    ready = []
    if eks.status() == "ACTIVE":
        eks.connect()
        ready.append(eks.CONTEXT)
    if current().GOOGLE_CLOUD_PROJECT and gke.status() == "RUNNING":
        gke.connect()
        ready.append(gke.CONTEXT)
    return ready


def _services(context: str) -> list[tuple[str, str]]:
    """Namespaces and names of the Services for which the cluster made a load balancer."""
    try:
        found = kube.get(context, "services")
    except (ApiError, UnreachableError) as failed:
        # A cluster that does not answer any more must not keep all the rest alive.
        print(f"{context} does not answer, its load balancers are looked for in the cloud: {failed}")
        return []
    return [
        (each.metadata.namespace, each.metadata.name) for each in found if each.spec.type == "LoadBalancer"
    ]


def _delete_services() -> None:
    for context in _ready():
        for namespace, name in _services(context):
            try:
                kube.delete(context, namespace, f"service/{name}")
            except (ApiError, UnreachableError, TimedOutError) as failed:
                print(f"{context} keeps {namespace}/{name}, its load balancer is looked for: {failed}")


def _delete_cloud_nat() -> None:
    if others := gke.neighbours():
        print(f"Cloud NAT stays, {', '.join(others)} calls out by it")
        return
    cloud_nat.delete()


def _delete_front() -> None:
    """Record, zone, balancers, target group, the bucket with the balancer's log, certificate."""
    if zone_id := route53.find():
        for record in route53.records(zone_id):
            _delete_record(zone_id, record)
    for ours in inventory.zones():
        _empty(ours)
        _delete("route53", "delete_hosted_zone", Id=ours)
    for name in inventory.kubernetes_balancers():
        _delete("elb", "delete_load_balancer", LoadBalancerName=name)
    balancer, group = load_balancer.balancer(), load_balancer.target_group()
    if balancer:
        _delete("elbv2", "delete_load_balancer", LoadBalancerArn=balancer["LoadBalancerArn"])
    if group:
        _delete("elbv2", "delete_target_group", TargetGroupArn=group["TargetGroupArn"])
    if alb_log.exists():
        _delete_bucket(alb_log.bucket())
    for arn in inventory.certificates():
        _delete("acm", "delete_certificate", CertificateArn=arn)


def _delete_bucket(name: str) -> None:
    """With what is in it; the load balancer's last entries may come while this goes on."""

    def delete() -> bool:
        for each in aws.list_all("s3", "list_objects_v2", "Contents", Bucket=name):
            _undo("s3", "delete_object", Bucket=name, Key=each["Key"])
        return _undo("s3", "delete_bucket", Bucket=name)

    again = {"BucketNotEmpty", "OperationAborted"}
    busy = lambda error: isinstance(error, ApiError) and error.code in again  # noqa: E731
    if retry_while(f"delete-bucket {name}", delete, busy, timeout=_PATIENCE):
        aws.said(f"s3 rb --force s3://{name}")


def _empty(zone_id: str) -> None:
    """A zone with records of its own is not deleted; NS and SOA at its top go with it."""
    for record in aws.list_all(
        "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone_id
    ):
        if record["Type"] not in ("NS", "SOA"):
            _delete_record(zone_id, record)


def _delete_record(zone_id: str, record: dict[str, Any]) -> None:
    change = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
    if _undo("route53", "change_resource_record_sets", HostedZoneId=zone_id, ChangeBatch=change):
        aws.said(f"route53 change-resource-record-sets: {record['Name']} deleted")


def _delete_function() -> None:
    if function.exists():
        _delete("lambda", "delete_function", FunctionName=function.name())
    _delete("logs", "delete_log_group", logGroupName=function.log_group())


def _delete_eks() -> None:
    name = current().TUTORIAL_NAME
    wait_until("the node groups to go", inventory.node_groups, lambda left: not left, timeout=_LIMIT)
    # EKS refuses to delete what it is still making.
    wait_until(
        "the EKS cluster to be deletable",
        eks.status,
        lambda now: now not in ("CREATING", "UPDATING"),
        timeout=_LIMIT,
    )
    if eks.status() not in ("", "DELETING"):
        _delete("eks", "delete_cluster", name=name)
    wait_until("the EKS cluster to go", eks.status, lambda now: now == "", timeout=_LIMIT)
    # After the cluster, which would write into it again.
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
    for interface in inventory.free_interfaces(vpc_id):
        _delete("ec2", "delete_network_interface", NetworkInterfaceId=interface)
    for table_ in inventory.ec2("route table"):
        for association in table_["Associations"]:
            id_ = association["RouteTableAssociationId"]
            _undo("ec2", "disassociate_route_table", AssociationId=id_)
        _delete("ec2", "delete_route_table", RouteTableId=table_["RouteTableId"])
    for subnet in aws.list_all("ec2", "describe_subnets", "Subnets", Filters=mine):
        _delete("ec2", "delete_subnet", SubnetId=subnet["SubnetId"])
    for group in inventory.security_groups(vpc_id):
        _delete("ec2", "delete_security_group", GroupId=group)


def _delete_roles() -> None:
    for role in inventory.existing_roles():
        for policy in aws.list_all("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role):
            _undo("iam", "detach_role_policy", RoleName=role, PolicyArn=policy["PolicyArn"])
        _delete("iam", "delete_role", RoleName=role)


def _delete(service: str, operation: str, **parameters: Any) -> None:
    """Delete one thing, patiently while something still uses it; fine when it is gone already."""
    words = " ".join([operation.replace("_", "-"), *(str(value) for value in parameters.values())])
    done = retry_while(
        words,
        lambda: _undo(service, operation, **parameters),
        lambda error: isinstance(error, ApiError) and error.code in _BUSY,
        timeout=_PATIENCE,
    )
    if done:
        aws.said(f"{service} {words}")


def _undo(service: str, operation: str, **parameters: Any) -> bool:
    """Whether there was something to undo; none is fine: it may have been this very call that undid it."""
    try:
        aws.call(service, operation, **parameters)
    except ApiError as refused:
        if not re.search("NotFound|NoSuch|NotAttached", refused.code) and "not found" not in refused.answer:
            raise
        return False
    return True


@for_people
def main(
    dry_run: Annotated[bool, typer.Option(help="only list what would go, in its order")] = False,
    older_than: Annotated[
        str, typer.Option(help="instead of this run, every run whose youngest part is older, e.g. 24h or 7d")
    ] = "",
) -> None:
    """Delete what this run of the tutorial made in both clouds; exit code 1 if anything is left."""
    if not older_than:
        left = _clean(dry_run)
    else:
        left = []
        for run in runs.older_than(older_than):
            print(f"Run {run.name}, last made something {run.newest:%Y-%m-%d %H:%M} UTC")
            with runs.settings_of(run):
                left += _clean(dry_run)
    if left:
        sys.exit(f"Left: {', '.join(f'{resource.kind} {resource.name}' for resource in left)}")


def _clean(dry_run: bool) -> list[Resource]:
    """What is left afterwards; a dry run leaves everything, which is no failure."""
    if not dry_run:
        everything()
        return listing()
    for resource in plan():
        print(f"would delete: {resource.cloud}, {resource.kind} {resource.name}")
    return []


if __name__ == "__main__":
    typer.run(main)
