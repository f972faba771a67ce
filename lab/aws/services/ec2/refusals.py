"""EC2: resources in use are not deleted, nor attached twice."""

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from lab.aws.services.ec2.lookups import interfaces, interfaces_in, security_groups, subnets


def create_network_interface(ec2: EC2Backend, group_ids: list[str]) -> None:
    for group_id in group_ids:
        if ec2.get_security_group_from_id(group_id) is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def create_subnet(ec2: EC2Backend, zone: str | None) -> None:
    zones = [one.name for one in ec2.describe_availability_zones()]
    if zone and zone not in zones:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be "
            f"created in the following availability zones: {', '.join(zones)}.",
        )


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
    if any(group.id == group_id and group.name == "default" for group in security_groups(ec2)):
        raise EC2ClientError(
            "CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
        )


def nat_gateway(ec2: EC2Backend, gateway_id: str) -> None:
    if gateway_id not in ec2.nat_gateways:
        raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {gateway_id} was not found")


def create_nat_gateway(ec2: EC2Backend, allocation_id: str | None) -> None:
    if not allocation_id:
        raise EC2ClientError(
            "MissingParameter",
            "The request must include the AllocationId parameter. Add the required parameter and retry.",
        )
    if ec2.address_by_allocation([allocation_id])[0].association_id:
        raise EC2ClientError(
            "Resource.AlreadyAssociated", f"Elastic IP address [{allocation_id}] is already associated"
        )


def create_security_group(ec2: EC2Backend, name: str, vpc_id: str) -> None:
    if name == "default":
        raise EC2ClientError("InvalidParameterValue", f"Cannot use reserved security group name: {name}")
    if any(group.name == name for group in security_groups(ec2, vpc_id)):
        raise EC2ClientError(
            "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
        )


def security_group_rule(protocol: str | None, from_port: str | None, to_port: str | None) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html"""
    if not protocol:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter ipProtocol")
    if protocol.lower() not in ("tcp", "udp", "6", "17"):
        return
    if from_port is None or to_port is None:
        message = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
        raise EC2ClientError("InvalidParameterValue", message)
    if not 0 <= int(from_port) <= int(to_port) <= 65535:
        raise EC2ClientError("InvalidParameterValue", f"Invalid port range: {from_port} to {to_port}")


def attach_internet_gateway(ec2: EC2Backend, gateway_id: str, vpc_id: str) -> None:
    attached = ec2.get_internet_gateway(gateway_id).vpc
    if attached:
        raise EC2ClientError(
            "Resource.AlreadyAssociated",
            f"resource {gateway_id} is already attached to network {attached.id}",
        )
    if ec2.describe_internet_gateways(filters={"attachment.vpc-id": [vpc_id]}):
        raise EC2ClientError(
            "Resource.AlreadyAssociated", f"Network {vpc_id} already has an internet gateway attached"
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
    """While a NAT gateway uses an address, AWS denies permission for it."""
    if address.association_id:
        raise EC2ClientError("AuthFailure", "You do not have permission to access the specified resource.")


def delete_vpc(ec2: EC2Backend, vpc_id: str) -> None:
    ec2.get_vpc(vpc_id)
    gateways = ec2.describe_internet_gateways(filters={"attachment.vpc-id": [vpc_id]})
    groups = [group for group in security_groups(ec2, vpc_id) if group.name != "default"]
    tables = [table for table in list(ec2.route_tables.values()) if table.vpc_id == vpc_id]
    own = [table for table in tables if not table.main_association_id]
    if gateways or groups or own or list(subnets(ec2, vpc_id)) or interfaces_in(ec2, vpc_id):
        raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
