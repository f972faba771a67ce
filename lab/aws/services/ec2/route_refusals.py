"""EC2: a route's target is in its own network, and a subnet has one route table."""

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import RouteTable


def route(ec2: EC2Backend, table_id: str, gateway_id: str | None, nat_gateway_id: str | None) -> None:
    """A new or a replaced route."""
    if bool(gateway_id) == bool(nat_gateway_id):
        raise EC2ClientError(
            "InvalidParameterCombination", "A route has exactly one target: GatewayId or NatGatewayId"
        )
    if gateway_id:
        vpc = ec2.get_internet_gateway(gateway_id).vpc
        _same_network(ec2, table_id, f"network gateway {gateway_id}", vpc and vpc.id)
        return
    if nat_gateway_id not in ec2.nat_gateways:
        raise EC2ClientError(
            "InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_gateway_id}' does not exist"
        )
    _same_network(ec2, table_id, f"nat gateway {nat_gateway_id}", ec2.nat_gateways[nat_gateway_id].vpc_id)


def delete_route(ec2: EC2Backend, table_id: str, cidr: str) -> None:
    if any(one.local and one.destination_cidr_block == cidr for one in ec2.get_route_table(table_id).routes):
        raise EC2ClientError(
            "InvalidParameterValue", f"cannot remove local route {cidr} in route table {table_id}"
        )


def associate(ec2: EC2Backend, table_id: str, subnet_id: str) -> None:
    _same_network(ec2, table_id, f"subnet {subnet_id}", ec2.get_subnet(subnet_id).vpc_id)
    if any(subnet_id in other._associations.values() for other in _tables(ec2) if other.id != table_id):
        raise EC2ClientError(
            "Resource.AlreadyAssociated",
            f"the specified association for route table {table_id} conflicts with an existing association",
        )


def disassociate(ec2: EC2Backend, association_id: str) -> None:
    if any(table.main_association_id == association_id for table in _tables(ec2)):
        raise EC2ClientError(
            "InvalidParameterValue",
            f"cannot disassociate the main route table association {association_id}",
        )


def delete_table(ec2: EC2Backend, table_id: str) -> None:
    if ec2.get_route_table(table_id).main_association_id:
        raise DependencyViolationError(f"The routeTable '{table_id}' has dependencies and cannot be deleted.")


def _tables(ec2: EC2Backend) -> list[RouteTable]:
    return list(ec2.route_tables.values())


def _same_network(ec2: EC2Backend, table_id: str, other: str, vpc_id: str | None) -> None:
    if ec2.get_route_table(table_id).vpc_id != vpc_id:
        raise EC2ClientError(
            "InvalidParameterValue", f"route table {table_id} and {other} belong to different networks"
        )
