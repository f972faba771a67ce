"""EC2: a VPC gets a network namespace with its first real resource."""

from ipaddress import IPv4Network
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.internet_gateways import VPCGatewayAttachment
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.models.route_tables import Route
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPC
from moto.ec2.utils import generic_filter

from lab.aws import delays
from lab.aws.context import network_name
from lab.aws.services.ec2 import addresses, refusals, route_refusals
from lab.aws.services.ec2.dry_run import Responses
from lab.aws.services.ec2.egress import Egress, attaching
from lab.aws.services.ec2.lookups import find_subnet
from lab.aws.services.ec2.security_groups import SecurityGroups
from lab.network import Vpc


class Networks(SecurityGroups, Egress):
    """VPCs, subnets, network interfaces."""

    response_class = Responses

    def namespace(self, vpc_id: str) -> Vpc:
        """The VPC's real network, created at the first call."""
        with attaching:
            if vpc_id not in self.context.vpcs:
                cidr = IPv4Network(self.get_vpc(vpc_id).cidr_block)
                vpc = self.context.internet.attach(network_name(vpc_id), cidr)
                try:
                    self.context.dns.start_resolver(vpc)
                    self.update_vpc_egress(vpc_id, vpc)
                except BaseException:
                    self._delete_namespace(vpc)
                    raise
                self.context.vpcs[vpc_id] = vpc
            return self.context.vpcs[vpc_id]

    def _delete_namespace(self, vpc: Vpc) -> None:
        self.context.dns.stop_resolver(vpc)
        vpc.delete()

    def create_managed_interface(
        self, subnet_id: str, description: str, group_ids: list[str], seed: str, public_ip: str | None = None
    ) -> NetworkInterface:
        """A network interface that a service of AWS owns, on a free address of the subnet.

        The same `seed` in the same subnet gives the same address, if it is free: every run of
        a tutorial shows the same addresses.
        """
        with attaching:
            address = addresses.one(self, subnet_id, seed)
            interface = self.create_network_interface(
                find_subnet(self, subnet_id), address, group_ids=group_ids, description=description
            )
        _manage(interface, description)
        interface.public_ip = public_ip
        return interface

    def delete_managed_interface(self, interface: NetworkInterface) -> None:
        self.enis.pop(interface.id, None)
        self.set_filter(interface.vpc_id)

    def add_pod_addresses(self, interface: NetworkInterface) -> IPv4Network:
        """Give a node's interface secondary addresses, as the VPC CNI does; returns their range.

        https://docs.aws.amazon.com/eks/latest/userguide/pod-networking.html
        """
        with attaching:
            pods = addresses.block(self, interface.subnet_id)
            interface.private_ip_addresses = [
                *interface.private_ip_addresses,
                *({"Primary": False, "PrivateIpAddress": str(address)} for address in pods.hosts()),
            ]
        self.set_filter(interface.vpc_id)
        return pods

    def create_network_interface(
        self,
        subnet: Any,
        private_ip_address: Any,
        private_ip_addresses: Any = None,
        group_ids: list[str] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> NetworkInterface:
        refusals.create_network_interface(self, group_ids or [])
        interface = super().create_network_interface(
            subnet, private_ip_address, private_ip_addresses, group_ids, *args, **kwargs
        )
        self.set_filter(interface.vpc_id)
        return interface

    def delete_network_interface(self, eni_id: str) -> None:
        interface = self.get_network_interface(eni_id)
        refusals.delete_network_interface(interface)
        super().delete_network_interface(eni_id)
        self.set_filter(interface.vpc_id)

    def delete_subnet(self, subnet_id: str) -> Subnet:
        refusals.delete_subnet(self, subnet_id)
        for table in list(self.route_tables.values()):  # moto keeps these, and therefore the table
            table._associations = {k: v for k, v in table._associations.items() if v != subnet_id}
        return super().delete_subnet(subnet_id)

    def create_subnet(
        self,
        vpc_id: str,
        cidr_block: str,
        ipv6_cidr_block: str | None = None,
        availability_zone: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Subnet:
        refusals.create_subnet(self, availability_zone)
        return super().create_subnet(vpc_id, cidr_block, ipv6_cidr_block, availability_zone, *args, **kwargs)

    def create_nat_gateway(self, subnet_id: str, allocation_id: str, *args: Any, **kwargs: Any) -> NatGateway:
        """With its interface in the subnet; moto chooses an arbitrary private address."""
        refusals.create_nat_gateway(self, allocation_id)
        gateway = super().create_nat_gateway(subnet_id, allocation_id, *args, **kwargs)
        interface = gateway._eni
        interface.private_ip_address = addresses.one(self, subnet_id, "nat gateway")
        interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": interface.private_ip_address}]
        gateway.address_set[0]["privateIp"] = interface.private_ip_address
        _manage(interface, f"Interface for NAT Gateway {gateway.id}")
        gateway.state = "pending"
        delays.later(delays.NAT_GATEWAY, lambda: self._start_nat_gateway(gateway))
        return gateway

    def _start_nat_gateway(self, gateway: Any) -> None:
        if gateway.state != "pending":  # was deleted
            return
        if self.describe_internet_gateways(filters={"attachment.vpc-id": [gateway.vpc_id]}):
            gateway.state = "available"
            self.update_egress()
            return
        self._free(gateway)
        gateway.state, gateway.failure_code = "failed", "Gateway.NotAttached"
        gateway.failure_message = f"Network {gateway.vpc_id} has no Internet gateway attached"

    def delete_nat_gateway(self, nat_gateway_id: str) -> NatGateway:
        """Also deletes its interface and releases the elastic IP; moto keeps both."""
        refusals.nat_gateway(self, nat_gateway_id)
        gateway = super().delete_nat_gateway(nat_gateway_id)
        gateway.state = "deleting"
        self.update_egress()
        delays.later(delays.NAT_GATEWAY, lambda: self._free(gateway))
        return gateway

    def _free(self, gateway: NatGateway) -> None:
        for address in list(self.addresses):
            if address.eni is gateway._eni:
                self.disassociate_address(address=address.public_ip)
        self.delete_managed_interface(gateway._eni)
        gateway.state = "deleted"

    def describe_nat_gateways(self, filters: Any, nat_gateway_ids: list[str] | None) -> list[NatGateway]:
        """moto ignores filters by tag."""
        tags = {name: values for name, values in (filters or {}).items() if name.startswith("tag")}
        return generic_filter(tags, super().describe_nat_gateways(filters, nat_gateway_ids))

    def release_address(self, address: str | None = None, allocation_id: str | None = None) -> None:
        if allocation_id:
            refusals.release_address(self.address_by_allocation([allocation_id])[0])
        super().release_address(address, allocation_id)

    def create_route(self, route_table_id: str, *args: Any, **kwargs: Any) -> Route:
        if not kwargs.get("local"):  # moto's own, with a new table
            route_refusals.route(self, route_table_id, kwargs.get("gateway_id"), kwargs.get("nat_gateway_id"))
        return super().create_route(route_table_id, *args, **kwargs)

    def replace_route(  # type: ignore[override]
        self,
        route_table_id: str,
        cidr: str,
        ipv6_cidr: str | None,
        prefix_list_id: str | None,
        nat_gateway_id: str | None,
        *args: Any,
        gateway_id: str | None,
        **kwargs: Any,
    ) -> Route:
        route_refusals.route(self, route_table_id, gateway_id, nat_gateway_id)
        return super().replace_route(
            route_table_id,
            cidr,
            ipv6_cidr,
            prefix_list_id,
            nat_gateway_id,
            *args,
            gateway_id=gateway_id,
            **kwargs,
        )

    def delete_route(self, route_table_id: str, destination_cidr_block: str, *args: Any) -> Route:
        route_refusals.delete_route(self, route_table_id, destination_cidr_block)
        return super().delete_route(route_table_id, destination_cidr_block, *args)

    def associate_route_table(
        self, route_table_id: str, gateway_id: str | None = None, subnet_id: str | None = None
    ) -> str:
        route_refusals.associate(self, route_table_id, subnet_id or "")
        return super().associate_route_table(route_table_id, gateway_id, subnet_id)

    def disassociate_route_table(self, association_id: str) -> str | None:
        route_refusals.disassociate(self, association_id)
        return super().disassociate_route_table(association_id)

    def delete_route_table(self, route_table_id: str) -> None:
        route_refusals.delete_table(self, route_table_id)
        super().delete_route_table(route_table_id)

    def attach_internet_gateway(self, internet_gateway_id: str, vpc_id: str) -> VPCGatewayAttachment:
        refusals.attach_internet_gateway(self, internet_gateway_id, vpc_id)
        return super().attach_internet_gateway(internet_gateway_id, vpc_id)

    def delete_internet_gateway(self, internet_gateway_id: str) -> None:
        refusals.delete_internet_gateway(self, internet_gateway_id)
        super().delete_internet_gateway(internet_gateway_id)

    def detach_internet_gateway(self, internet_gateway_id: str, vpc_id: str) -> None:
        refusals.detach_internet_gateway(self, vpc_id)
        super().detach_internet_gateway(internet_gateway_id, vpc_id)

    def delete_vpc(self, vpc_id: str) -> VPC:
        refusals.delete_vpc(self, vpc_id)
        # A VPC's default resources are deleted with it; moto would check for permission to delete them.
        self.groups[vpc_id].clear()
        for table in [table for table in list(self.route_tables.values()) if table.vpc_id == vpc_id]:
            del self.route_tables[table.id]
        deleted = super().delete_vpc(vpc_id)
        for acl in [acl for acl in list(self.network_acls.values()) if acl.vpc_id == vpc_id]:
            del self.network_acls[acl.id]  # moto keeps it
        with attaching:
            if vpc := self.context.vpcs.pop(vpc_id, None):
                self._delete_namespace(vpc)
        return deleted


def _manage(interface: NetworkInterface, description: str) -> None:
    """Mark it as owned by a service, so that others cannot delete it."""
    interface.description, interface.status = description, "in-use"
    interface.requester_managed, interface.requester_id = True, "amazon-aws"
