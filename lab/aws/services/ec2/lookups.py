"""Lookups in EC2's networks for other services. They work on copies, as other threads add and delete."""

from collections.abc import Iterator

from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.models.subnets import Subnet


def find_subnet(ec2: EC2Backend, subnet_id: str) -> Subnet | None:
    """moto's get_subnet, but None if there is no such subnet."""
    return next((zone[subnet_id] for zone in list(ec2.subnets.values()) if subnet_id in zone), None)


def subnets(ec2: EC2Backend, vpc_id: str) -> Iterator[Subnet]:
    for zone in list(ec2.subnets.values()):
        yield from (subnet for subnet in list(zone.values()) if subnet.vpc_id == vpc_id)


def interfaces(ec2: EC2Backend) -> list[NetworkInterface]:
    return list(ec2.enis.values())


def interfaces_in(ec2: EC2Backend, vpc_id: str) -> list[NetworkInterface]:
    return [eni for eni in interfaces(ec2) if eni.vpc_id == vpc_id]


def security_groups(ec2: EC2Backend, vpc_id: str | None = None) -> list[SecurityGroup]:
    """Of one VPC, or of all."""
    by_vpc = list(ec2.groups.values()) if vpc_id is None else [ec2.groups.get(vpc_id, {})]
    return [group for groups in by_vpc for group in list(groups.values())]
