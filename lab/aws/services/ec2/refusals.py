"""EC2: what is in use is not deleted, nor attached twice; what is in two networks does not fit together."""

from typing import TYPE_CHECKING

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

if TYPE_CHECKING:
    from lab.aws.services.ec2.networks import Networks


def security_groups(networks: "Networks", group_ids: list[str]) -> None:
    for group_id in group_ids:
        if networks.get_security_group_from_id(group_id) is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def delete_network_interface(interface: NetworkInterface) -> None:
    if interface.requester_managed:
        raise EC2ClientError(
            "InvalidParameterValue", f"Network interface '{interface.id}' is currently in use."
        )


def delete_subnet(networks: "Networks", subnet_id: str) -> None:
    if any(interface.subnet_id == subnet_id for interface in networks.enis.values()):
        raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


def delete_security_group(networks: "Networks", group_id: str | None) -> None:
    used = {group.id for interface in networks.enis.values() for group in interface.group_set}
    named = {
        rule.source_group["GroupId"]
        for groups in networks.groups.values()
        for group in groups.values()
        if group.id != group_id
        for rule in [*group.ingress_rules, *group.egress_rules]
        if rule.source_group and rule.source_group.get("GroupId")
    }
    if group_id in used | named:
        raise DependencyViolationError(f"resource {group_id} has a dependent object")
    if any(groups[group_id].name == "default" for groups in networks.groups.values() if group_id in groups):
        raise EC2ClientError(
            "CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
        )


def nat_gateway(networks: "Networks", gateway_id: str) -> None:
    if gateway_id not in networks.nat_gateways:
        raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {gateway_id} was not found")


def create_nat_gateway(networks: "Networks", allocation_id: str | None) -> None:
    if not allocation_id:
        raise EC2ClientError(
            "MissingParameter",
            "The request must include the AllocationId parameter. Add the required parameter and retry.",
        )
    if networks.address_by_allocation([allocation_id])[0].association_id:
        raise EC2ClientError(
            "Resource.AlreadyAssociated", f"Elastic IP address [{allocation_id}] is already associated"
        )


def create_subnet(networks: "Networks", zone: str | None) -> None:
    zones = [one.name for one in networks.describe_availability_zones()]
    if zone and zone not in zones:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be "
            f"created in the following availability zones: {', '.join(zones)}.",
        )


def route(networks: "Networks", table_id: str, gateway_id: str | None, nat_gateway_id: str | None) -> None:
    """Of a new or a replaced route: its one target, which has to be in the table's network."""
    if bool(gateway_id) == bool(nat_gateway_id):
        raise EC2ClientError(
            "InvalidParameterCombination", "A route has exactly one target: GatewayId or NatGatewayId"
        )
    if nat_gateway_id and nat_gateway_id not in networks.nat_gateways:
        raise EC2ClientError(
            "InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_gateway_id}' does not exist"
        )
    if nat_gateway_id:
        _same_network(
            networks, table_id, f"nat gateway {nat_gateway_id}", _vpc_of_nat(networks, nat_gateway_id)
        )
    elif gateway_id:
        vpc = networks.get_internet_gateway(gateway_id).vpc
        _same_network(networks, table_id, f"network gateway {gateway_id}", vpc and vpc.id)


def delete_route(networks: "Networks", table_id: str, cidr: str) -> None:
    table = networks.get_route_table(table_id)
    if any(one.local and one.destination_cidr_block == cidr for one in table.routes):
        raise EC2ClientError(
            "InvalidParameterValue", f"cannot remove local route {cidr} in route table {table_id}"
        )


def associate_route_table(networks: "Networks", table_id: str, subnet_id: str) -> None:
    subnet = networks.get_subnet(subnet_id)
    _same_network(networks, table_id, f"subnet {subnet_id}", subnet.vpc_id)
    for other in list(networks.route_tables.values()):
        if other.id != table_id and subnet_id in other._associations.values():
            raise EC2ClientError(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {table_id} conflicts with an existing "
                "association",
            )


def disassociate_route_table(networks: "Networks", association_id: str) -> None:
    if any(table.main_association_id == association_id for table in list(networks.route_tables.values())):
        raise EC2ClientError(
            "InvalidParameterValue",
            f"cannot disassociate the main route table association {association_id}",
        )


def delete_route_table(networks: "Networks", table_id: str) -> None:
    if networks.get_route_table(table_id).main_association_id:
        raise DependencyViolationError(f"The routeTable '{table_id}' has dependencies and cannot be deleted.")


def _vpc_of_nat(networks: "Networks", gateway_id: str) -> str:
    return str(networks.nat_gateways[gateway_id].vpc_id)


def _same_network(networks: "Networks", table_id: str, other: str, vpc_id: str | None) -> None:
    if networks.get_route_table(table_id).vpc_id != vpc_id:
        raise EC2ClientError(
            "InvalidParameterValue", f"route table {table_id} and {other} belong to different networks"
        )


def create_security_group(networks: "Networks", name: str, vpc_id: str) -> None:
    if name == "default":
        raise EC2ClientError("InvalidParameterValue", f"Cannot use reserved security group name: {name}")
    if any(group.name == name for group in networks.groups.get(vpc_id, {}).values()):
        raise EC2ClientError(
            "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
        )


def attach_internet_gateway(networks: "Networks", gateway_id: str, vpc_id: str) -> None:
    attached = networks.get_internet_gateway(gateway_id).vpc
    if attached:
        raise EC2ClientError(
            "Resource.AlreadyAssociated",
            f"resource {gateway_id} is already attached to network {attached.id}",
        )
    if networks.describe_internet_gateways(filters={"attachment.vpc-id": [vpc_id]}):
        raise EC2ClientError(
            "Resource.AlreadyAssociated", f"Network {vpc_id} already has an internet gateway attached"
        )


def delete_internet_gateway(networks: "Networks", gateway_id: str) -> None:
    if networks.get_internet_gateway(gateway_id).vpc:
        raise DependencyViolationError(
            f"The internetGateway '{gateway_id}' has dependencies and cannot be deleted."
        )


def detach_internet_gateway(networks: "Networks", vpc_id: str) -> None:
    if any(interface.public_ip for interface in networks.interfaces_in(vpc_id)):
        raise DependencyViolationError(
            f"Network {vpc_id} has some mapped public address(es). "
            "Please unmap those public address(es) before detaching the gateway."
        )


def release_address(address: ElasticAddress) -> None:
    """While a NAT gateway uses it, AWS says that the address is not yours."""
    if address.association_id:
        raise EC2ClientError("AuthFailure", "You do not have permission to access the specified resource.")


def delete_vpc(networks: "Networks", vpc_id: str) -> None:
    networks.get_vpc(vpc_id)
    gateways = networks.describe_internet_gateways(filters={"attachment.vpc-id": [vpc_id]})
    groups = [group for group in networks.groups[vpc_id].values() if group.name != "default"]
    tables = [
        table
        for table in list(networks.route_tables.values())
        if table.vpc_id == vpc_id and not table.main_association_id
    ]
    subnets = list(networks.subnets_of(vpc_id))
    if gateways or groups or tables or subnets or networks.interfaces_in(vpc_id):
        raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
