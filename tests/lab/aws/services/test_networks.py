"""The networks of VPCs: one that could not be created leaves nothing, and the next attempt creates it."""

from ipaddress import IPv4Address
from typing import Any

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend

from lab.aws.services.ec2 import addresses
from lab.aws.services.ec2.lookups import interfaces, security_groups, subnets
from lab.aws.services.ec2.networks import Networks
from lab.dns.resolver import Resolver
from lab.errors import LabError
from tests.lab.aws.conftest import REGION


def test_a_network_without_a_resolver_is_rolled_back(aws, client, monkeypatch):
    ec2 = client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.41.0.0/16")["Vpc"]["VpcId"]
    networks, before = aws.context.peer(Networks, REGION), set(aws.context.internet.vpcs)

    def fails(resolver: Resolver) -> None:
        raise LabError(f"starting {resolver.name}", "no answer in 10 s")

    with monkeypatch.context() as patched:
        patched.setattr(Resolver, "start", fails)
        with pytest.raises(LabError, match="no answer"):
            networks.namespace(vpc_id)
    assert vpc_id not in aws.vpcs
    assert set(aws.context.internet.vpcs) == before
    assert networks.namespace(vpc_id).namespace.path.exists()
    ec2.delete_vpc(VpcId=vpc_id)


def test_networks_can_change_while_they_are_listed():
    """Provisioning and clean-up run in their own threads."""
    ec2: Any = EC2Backend(REGION, "123456789012")
    vpc = ec2.create_vpc("10.0.0.0/16")
    subnet = ec2.create_subnet(vpc.id, "10.0.1.0/24", availability_zone=f"{REGION}a")
    ec2.create_network_interface(subnet, "10.0.1.9")
    for interface in interfaces(ec2):
        ec2.enis[f"{interface.id}-2"] = interface
    for group in security_groups(ec2):
        ec2.groups[vpc.id][f"{group.id}-2"] = group
    for found in subnets(ec2, vpc.id):
        ec2.subnets[found.availability_zone][f"{found.id}-2"] = found


@pytest.mark.parametrize(
    ("cidr", "taken", "pods"),
    [
        ("10.0.1.0/24", [], "10.0.1.64/26"),
        ("10.0.1.0/24", ["10.0.1.70", "10.0.1.186"], "10.0.1.192/26"),
        ("10.0.1.0/24", ["10.0.1.70", "10.0.1.186", "10.0.1.200"], "10.0.1.32/27"),
        ("10.0.1.0/28", ["10.0.1.4"], "10.0.1.8/29"),
    ],
)
def test_pods_get_free_addresses_that_nothing_else_gets(cidr, taken, pods):
    ec2: Any = EC2Backend(REGION, "123456789012")
    vpc = ec2.create_vpc("10.0.0.0/16")
    subnet = ec2.create_subnet(vpc.id, cidr, availability_zone=f"{REGION}a")
    for address in taken:
        ec2.create_network_interface(subnet, address)
    found = addresses.block(ec2, subnet.id)
    assert str(found) == pods
    ec2.create_network_interface(subnet, "", [{"PrivateIpAddress": str(ip)} for ip in found.hosts()])
    later = set()
    with pytest.raises(EC2ClientError, match="insufficient free IP addresses"):
        while address := addresses.one(ec2, subnet.id, "load balancer"):
            later.add(IPv4Address(address))
            ec2.create_network_interface(subnet, address)
    assert later.isdisjoint({*found.hosts(), *list(subnet.cidr)[:4], subnet.cidr[-1]})
    with pytest.raises(EC2ClientError, match="insufficient free IP addresses"):
        addresses.block(ec2, subnet.id)
