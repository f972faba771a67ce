"""EC2: a VPC has outbound connections if a subnet's default route leads to a NAT gateway.

https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html
"""

from threading import RLock
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import Route, RouteTable
from moto.ec2.models.subnets import Subnet

from lab.aws.context import LabBackend
from lab.aws.services.ec2.lookups import subnets
from lab.network import Vpc

_ANYWHERE = "0.0.0.0/0"
attaching = RLock()  # held while a VPC's namespace is created or deleted


class Egress(LabBackend, EC2Backend):
    """After each change of routes, enable or disable NAT in the VPCs' namespaces as on AWS."""

    def create_route(self, *args: Any, **kwargs: Any) -> Route:
        route = super().create_route(*args, **kwargs)
        self.update_egress()
        return route

    def replace_route(self, *args: Any, **kwargs: Any) -> Route:
        route = super().replace_route(*args, **kwargs)
        self.update_egress()
        return route

    def delete_route(self, *args: Any, **kwargs: Any) -> Route:
        route = super().delete_route(*args, **kwargs)
        self.update_egress()
        return route

    def associate_route_table(self, *args: Any, **kwargs: Any) -> str:
        association = super().associate_route_table(*args, **kwargs)
        self.update_egress()
        return association

    def disassociate_route_table(self, association_id: str) -> str | None:
        subnet_id = super().disassociate_route_table(association_id)
        self.update_egress()
        return subnet_id

    def replace_route_table_association(self, association_id: str, route_table_id: str) -> str:
        association = super().replace_route_table_association(association_id, route_table_id)
        self.update_egress()
        return association

    def create_subnet(self, *args: Any, **kwargs: Any) -> Subnet:
        subnet = super().create_subnet(*args, **kwargs)  # it uses the main route table
        self.update_egress()
        return subnet

    def delete_subnet(self, subnet_id: str) -> Subnet:
        subnet = super().delete_subnet(subnet_id)
        self.update_egress()
        return subnet

    def update_egress(self) -> None:
        """Enable or disable NAT for this region's VPCs that have a namespace."""
        with attaching:
            for vpc_id, vpc in list(self.context.vpcs.items()):
                if vpc_id in self.vpcs:
                    self.update_vpc_egress(vpc_id, vpc)

    def update_vpc_egress(self, vpc_id: str, vpc: Vpc) -> None:
        """Enable or disable NAT for one VPC's namespace."""
        vpc.set_nat(any(self._has_egress(subnet) for subnet in subnets(self, vpc_id)))

    def _has_egress(self, subnet: Subnet) -> bool:
        """Through an available NAT gateway, which itself needs a subnet with an internet gateway."""
        route = self._default_route(subnet)
        gateway: Any = route.nat_gateway if route else None
        if gateway is None or gateway.state != "available" or gateway.vpc_id != subnet.vpc_id:
            return False
        public = [one for one in subnets(self, subnet.vpc_id) if one.id == gateway.subnet_id]
        onward = self._default_route(public[0]) if public else None
        return bool(onward and (onward.gateway_id or "").startswith("igw-"))

    def _default_route(self, subnet: Subnet) -> Route | None:
        table = self._route_table(subnet)
        routes = table.routes if table else []
        return next((route for route in routes if route.destination_cidr_block == _ANYWHERE), None)

    def _route_table(self, subnet: Subnet) -> RouteTable | None:
        """The subnet's own route table, or the VPC's main one."""
        tables = [table for table in list(self.route_tables.values()) if table.vpc_id == subnet.vpc_id]
        own = [table for table in tables if subnet.id in list(table._associations.values())]
        return next(iter(own or [table for table in tables if table.main_association_id]), None)
