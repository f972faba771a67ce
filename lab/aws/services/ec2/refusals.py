"""EC2: what is in use is not deleted."""

from typing import TYPE_CHECKING

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

if TYPE_CHECKING:
    from lab.aws.services.ec2.networks import Networks


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


def nat_gateway(networks: "Networks", gateway_id: str) -> None:
    if gateway_id not in networks.nat_gateways:
        raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {gateway_id} was not found")


def create_route(networks: "Networks", nat_gateway_id: str | None) -> None:
    if nat_gateway_id and nat_gateway_id not in networks.nat_gateways:
        raise EC2ClientError(
            "InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_gateway_id}' does not exist"
        )


def create_security_group(networks: "Networks", name: str, vpc_id: str) -> None:
    if any(group.name == name for group in networks.groups.get(vpc_id, {}).values()):
        raise EC2ClientError(
            "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
        )


def attach_internet_gateway(networks: "Networks", gateway_id: str) -> None:
    vpc = networks.get_internet_gateway(gateway_id).vpc
    if vpc:
        raise EC2ClientError(
            "Resource.AlreadyAssociated",
            f"resource {gateway_id} is already attached to network {vpc.id}",
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
    gateways = networks.describe_internet_gateways(filters={"attachment.vpc-id": [vpc_id]})
    groups = [group for group in networks.groups[vpc_id].values() if group.name != "default"]
    if gateways or groups or networks.interfaces_in(vpc_id):
        raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
