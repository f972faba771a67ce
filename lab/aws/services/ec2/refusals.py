"""EC2: what is in use is not deleted."""

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from lab.aws.services.ec2.lookups import interfaces, interfaces_in, security_groups


def delete_network_interface(interface: NetworkInterface) -> None:
    if interface.requester_managed:
        raise EC2ClientError(
            "InvalidParameterValue", f"Network interface '{interface.id}' is currently in use."
        )


def delete_subnet(ec2: EC2Backend, subnet_id: str) -> None:
    if any(interface.subnet_id == subnet_id for interface in interfaces(ec2)):
        raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


def delete_security_group(ec2: EC2Backend, group_id: str | None) -> None:
    used = {group.id for interface in interfaces(ec2) for group in interface.group_set}
    named = {
        rule.source_group["GroupId"]
        for group in security_groups(ec2)
        if group.id != group_id
        for rule in [*group.ingress_rules, *group.egress_rules]
        if rule.source_group and rule.source_group.get("GroupId")
    }
    if group_id in used | named:
        raise DependencyViolationError(f"resource {group_id} has a dependent object")


def nat_gateway(ec2: EC2Backend, gateway_id: str) -> None:
    if gateway_id not in ec2.nat_gateways:
        raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {gateway_id} was not found")


def create_route(ec2: EC2Backend, nat_gateway_id: str | None) -> None:
    if nat_gateway_id and nat_gateway_id not in ec2.nat_gateways:
        raise EC2ClientError(
            "InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_gateway_id}' does not exist"
        )


def create_security_group(ec2: EC2Backend, name: str, vpc_id: str) -> None:
    if any(group.name == name for group in security_groups(ec2, vpc_id)):
        raise EC2ClientError(
            "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
        )


def attach_internet_gateway(ec2: EC2Backend, gateway_id: str) -> None:
    vpc = ec2.get_internet_gateway(gateway_id).vpc
    if vpc:
        raise EC2ClientError(
            "Resource.AlreadyAssociated",
            f"resource {gateway_id} is already attached to network {vpc.id}",
        )


def delete_internet_gateway(ec2: EC2Backend, gateway_id: str) -> None:
    if ec2.get_internet_gateway(gateway_id).vpc:
        raise DependencyViolationError(
            f"The internetGateway '{gateway_id}' has dependencies and cannot be deleted."
        )


def detach_internet_gateway(ec2: EC2Backend, vpc_id: str) -> None:
    if any(interface.public_ip for interface in interfaces_in(ec2, vpc_id)):
        raise DependencyViolationError(
            f"Network {vpc_id} has some mapped public address(es). "
            "Please unmap those public address(es) before detaching the gateway."
        )


def release_address(address: ElasticAddress) -> None:
    """While a NAT gateway uses it, AWS says that the address is not yours."""
    if address.association_id:
        raise EC2ClientError("AuthFailure", "You do not have permission to access the specified resource.")


def delete_vpc(ec2: EC2Backend, vpc_id: str) -> None:
    gateways = ec2.describe_internet_gateways(filters={"attachment.vpc-id": [vpc_id]})
    groups = [group for group in security_groups(ec2, vpc_id) if group.name != "default"]
    if gateways or groups or interfaces_in(ec2, vpc_id):
        raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
