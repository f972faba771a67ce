"""EC2: the free private addresses of a subnet. AWS reserves the first four and the last.

https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
"""

import random
from ipaddress import IPv4Address, IPv4Network

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend

from lab.aws.services.ec2.lookups import find_subnet, interfaces

_PODS = 26  # prefix length: 61 pods, as the node's end of their links uses one address


def one(ec2: EC2Backend, subnet_id: str, seed: str) -> str:
    """A free address: the same one for the same `seed`, if it is free. EC2ClientError if there is none."""
    cidr = _cidr(ec2, subnet_id)
    taken = _taken(ec2, subnet_id, cidr)
    free = [str(ip) for ip in cidr if ip not in taken]
    if not free:
        raise _insufficient(subnet_id)
    return random.Random(f"{seed} {cidr}").choice(free)


def block(ec2: EC2Backend, subnet_id: str) -> IPv4Network:
    """The largest free range for pods, from /26 to /29. EC2ClientError if there is none."""
    cidr = _cidr(ec2, subnet_id)
    taken = _taken(ec2, subnet_id, cidr)
    for size in range(max(_PODS, cidr.prefixlen), 30):
        for found in cidr.subnets(new_prefix=size):
            if not any(ip in taken for ip in found.hosts()):
                return found
    raise _insufficient(subnet_id)


def _cidr(ec2: EC2Backend, subnet_id: str) -> IPv4Network:
    subnet = find_subnet(ec2, subnet_id)
    assert subnet is not None
    return IPv4Network(subnet.cidr_block)


def _taken(ec2: EC2Backend, subnet_id: str, cidr: IPv4Network) -> set[IPv4Address]:
    used = {
        IPv4Address(private["PrivateIpAddress"])
        for interface in interfaces(ec2)
        if interface.subnet_id == subnet_id
        for private in interface.private_ip_addresses
    }
    return {*used, *list(cidr)[:4], cidr[-1]}


def _insufficient(subnet_id: str) -> EC2ClientError:
    return EC2ClientError(
        "InsufficientFreeAddressesInSubnet", f"insufficient free IP addresses in subnet '{subnet_id}'"
    )
