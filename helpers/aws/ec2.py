"""The tutorial's EC2 resources: tagged on creation, found by that tag or by their VPC."""

from typing import Any, NamedTuple

from helpers import aws
from helpers.aws import command_line, deletion
from helpers.base import command
from helpers.base.settings import current
from helpers.base.waiting import wait_until


class _Kind(NamedTuple):
    """The calls that list and delete them, the list's key, and the parameter that names one."""

    describe: str
    key: str
    id: str
    delete: str


_KINDS = {
    "NAT gateway": _Kind("describe_nat_gateways", "NatGateways", "NatGatewayId", "delete_nat_gateway"),
    "elastic IP": _Kind("describe_addresses", "Addresses", "AllocationId", "release_address"),
    "network interface": _Kind(
        "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", "delete_network_interface"
    ),
    "route table": _Kind("describe_route_tables", "RouteTables", "RouteTableId", "delete_route_table"),
    "subnet": _Kind("describe_subnets", "Subnets", "SubnetId", "delete_subnet"),
    "security group": _Kind("describe_security_groups", "SecurityGroups", "GroupId", "delete_security_group"),
    "internet gateway": _Kind(
        "describe_internet_gateways", "InternetGateways", "InternetGatewayId", "delete_internet_gateway"
    ),
    "VPC": _Kind("describe_vpcs", "Vpcs", "VpcId", "delete_vpc"),
    "disk": _Kind("describe_volumes", "Volumes", "VolumeId", "delete_volume"),
}
_INTERFACES_LIMIT = 600  # seconds; a load balancer's stay for minutes after it
_GONE = ("deleted", "deleting")  # a NAT gateway is listed for an hour after its deletion


def tagged(kind: str, **tags: str) -> list[dict[str, Any]]:
    """The tutorial's resources of that kind, e.g. "route table", as EC2 describes them."""
    wanted = {"Project": current().TUTORIAL_NAME, **tags}
    return found(kind, **{f"tag:{name}": value for name, value in wanted.items()})


def found(kind: str, **filters: str) -> list[dict[str, Any]]:
    """Resources of that kind by EC2's filters, e.g. **{"vpc-id": …}; not those being deleted."""
    words = [{"Name": name, "Values": [value]} for name, value in filters.items()]
    listed = aws.list_all("ec2", _KINDS[kind].describe, _KINDS[kind].key, Filters=words)
    return [thing for thing in listed if thing.get("State") not in _GONE]


def id_of(kind: str, thing: dict[str, Any]) -> str:
    """The ID of what EC2 describes."""
    return thing[_KINDS[kind].id]


def tags(resource_type: str, suffix: str = "", **more: str) -> list[dict[str, Any]]:
    """TagSpecifications for the call that creates a resource; its name is the tutorial's with that suffix."""
    name = current().TUTORIAL_NAME + suffix
    return [{"ResourceType": resource_type, "Tags": aws.tag_list(Name=name, **more)}]


def wait_unused(security_group: str) -> None:
    """Wait until no network interface has that security group; EC2 refuses to delete it before.

    The AWS CLI has no waiter for that, so a loop is printed. Raises TimedOutError.
    """
    filters = {"group-id": security_group}
    wait_until(
        f"the last network interface of {security_group} to be deleted",
        lambda: found("network interface", **filters),
        lambda left: not left,
        timeout=_INTERFACES_LIMIT,
        state=lambda left: f"{len(left)} left",
    )
    asked = {"Filters": [{"Name": name, "Values": [value]} for name, value in filters.items()]}
    show = "NetworkInterfaces[].NetworkInterfaceId"
    line = command_line.render("ec2", "describe_network_interfaces", asked, show=show)
    command.show_change(f"while {line.text} | grep eni-; do sleep 10; done")


def delete(kind: str, id_: str) -> None:
    """Delete it, retried while something still uses it; it may already be gone."""
    deletion.delete("ec2", _KINDS[kind].delete, **{_KINDS[kind].id: id_})
