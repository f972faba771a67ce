"""Outbound connections from a VPC, with real packets: they need a route to an available NAT gateway."""

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from lab import sockets
from lab.aws.server import Aws
from lab.aws.services.ec2.networks import Networks
from tests.lab.aws.conftest import REGION, Client, Network, patiently

PORT = 8080
QUICK = {"Delay": 1, "MaxAttempts": 20}
ANYWHERE = {"DestinationCidrBlock": "0.0.0.0/0"}


class EgressVpc(Network):
    """A VPC with a namespace, an internet gateway, and a route table for each of two subnets."""

    def __init__(self, aws: Aws, client: Client) -> None:
        super().__init__(client, "10.31.0.0/16")
        self.outside, self._addresses = aws.context.internet.outside, []
        self.vpc = aws.context.peer(Networks, REGION).namespace(self.vpc_id)
        self.internet = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.internet, VpcId=self.vpc_id)
        self.public, self.private = self.table(), self.table()
        self.ec2.associate_route_table(RouteTableId=self.public, SubnetId=self.subnet_ids[0])
        made = self.ec2.associate_route_table(RouteTableId=self.private, SubnetId=self.subnet_ids[1])
        self.association = made["AssociationId"]

    def table(self) -> str:
        return self.ec2.create_route_table(VpcId=self.vpc_id)["RouteTable"]["RouteTableId"]

    def tables(self) -> list[dict[str, Any]]:
        filters = [{"Name": "vpc-id", "Values": [self.vpc_id]}]
        return self.ec2.describe_route_tables(Filters=filters)["RouteTables"]

    def nat_gateway(self, subnet: int = 0) -> str:
        """Returns an available one."""
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        self._addresses.append(address)
        made = self.ec2.create_nat_gateway(SubnetId=self.subnet_ids[subnet], AllocationId=address)
        gateway = made["NatGateway"]["NatGatewayId"]
        assert not self.has_egress(), "the NAT gateway is pending"
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[gateway], WaiterConfig=QUICK)
        return gateway

    def route(self, table: str, **target: str) -> None:
        self.ec2.create_route(RouteTableId=table, **ANYWHERE, **target)

    def has_egress(self) -> bool:
        """Whether a connection to an outside host succeeds, and then with the VPC's address."""
        with closing(sockets.listen(("198.51.100.2", PORT), self.outside)) as listener:
            listener.settimeout(5)
            source = (self.vpc.router, 0)

            def connect() -> socket.socket:
                return socket.create_connection(listener.getsockname(), 1, source)

            try:
                near = sockets.in_namespace(self.vpc.namespace, connect)
            except TimeoutError:
                return False
            far, (peer, _) = listener.accept()
            near.close(), far.close()
            assert peer == self.vpc.nat
            return True

    def delete(self) -> None:
        for gateway in self.ec2.describe_nat_gateways(
            Filters=[{"Name": "vpc-id", "Values": [self.vpc_id]}, {"Name": "state", "Values": ["available"]}]
        )["NatGateways"]:
            self.ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"])
        for address in self._addresses:
            patiently(self.ec2.release_address, AllocationId=address)
        patiently(self.ec2.detach_internet_gateway, InternetGatewayId=self.internet, VpcId=self.vpc_id)
        self.ec2.delete_internet_gateway(InternetGatewayId=self.internet)
        for subnet_id in self.subnet_ids:
            patiently(self.ec2.delete_subnet, SubnetId=subnet_id)
        for table in self.tables():
            if not any(one["Main"] for one in table["Associations"]):
                self.ec2.delete_route_table(RouteTableId=table["RouteTableId"])
        self.ec2.delete_vpc(VpcId=self.vpc_id)


@pytest.fixture
def place(aws: Aws, client: Client) -> Iterator[EgressVpc]:
    place = EgressVpc(aws, client)
    yield place
    place.delete()


def test_a_nat_gateway_provides_egress_while_a_route_leads_to_it(place: EgressVpc) -> None:
    place.route(place.public, GatewayId=place.internet)
    assert not place.has_egress(), "an internet gateway serves only public addresses"
    gateway = place.nat_gateway()
    assert not place.has_egress(), "no route targets it"
    place.route(place.private, NatGatewayId=gateway)
    assert place.has_egress()
    place.ec2.delete_route(RouteTableId=place.private, **ANYWHERE)
    assert not place.has_egress()
    place.route(place.private, GatewayId=place.internet)
    assert not place.has_egress()
    place.ec2.replace_route(RouteTableId=place.private, NatGatewayId=gateway, **ANYWHERE)
    assert place.has_egress()
    place.ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert not place.has_egress()


def test_the_route_must_be_in_a_subnets_table(place: EgressVpc) -> None:
    place.route(place.public, GatewayId=place.internet)
    place.route(place.private, NatGatewayId=place.nat_gateway())
    assert place.has_egress()
    place.ec2.disassociate_route_table(AssociationId=place.association)
    assert not place.has_egress()
    [main] = [
        one["RouteTableAssociationId"]
        for table in place.tables()
        for one in table["Associations"]
        if one["Main"]
    ]
    place.ec2.replace_route_table_association(AssociationId=main, RouteTableId=place.private)
    assert place.has_egress(), "subnets without their own table use the main one"


def test_a_nat_gateway_needs_a_public_subnet(place: EgressVpc) -> None:
    place.route(place.private, NatGatewayId=place.nat_gateway())
    assert not place.has_egress(), "its subnet has no internet gateway"
    place.route(place.public, GatewayId=place.internet)
    assert place.has_egress()


def test_routes_apply_to_a_namespace_that_is_created_later(aws: Aws, place: EgressVpc) -> None:
    place.route(place.public, GatewayId=place.internet)
    place.route(place.private, NatGatewayId=place.nat_gateway())
    networks: Any = aws.context.peer(Networks, REGION)
    aws.context.dns.stop_resolver(place.vpc)
    aws.vpcs.pop(place.vpc_id).delete()
    place.vpc = networks.namespace(place.vpc_id)
    assert place.has_egress()
