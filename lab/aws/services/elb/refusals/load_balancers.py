"""Load balancers."""

import re
from concurrent.futures import Future

from moto.ec2.models import EC2Backend
from moto.elbv2.exceptions import ELBClientError, LoadBalancerNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer

from lab.aws.dataplane.load_balancer import Balancer
from lab.aws.services.ec2.lookups import find_subnet

# The attributes: the default, and the allowed values (None: any text).
# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
ATTRIBUTES: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "access_logs.s3.bucket": ("", None),
    "access_logs.s3.enabled": ("false", ("true", "false")),
    "access_logs.s3.prefix": ("", None),
    "routing.http.drop_invalid_header_fields.enabled": ("false", ("true", "false")),
}


def not_offered(what: str) -> ELBClientError:
    """For AWS features that the lab lacks; operations and parameters are in lab/aws/api/offered.toml."""
    return ELBClientError("UnsupportedOperation", f"The lab does not offer {what}")


def known(elb: ELBv2Backend, arn: str) -> FakeLoadBalancer:
    if arn not in elb.load_balancers:
        raise LoadBalancerNotFoundError
    return elb.load_balancers[arn]


def provisioned(balancer: Future[Balancer]) -> Balancer:
    """Wait for the load balancer and return it. Raises ELBClientError if it could not be provisioned."""
    if error := balancer.exception():
        raise ELBClientError("InternalFailure", f"The load balancer was not provisioned: {error}")
    return balancer.result()


def create(
    ec2: EC2Backend, name: str, subnet_ids: list[str], scheme: str, type_: str | None, group_ids: list[str]
) -> None:
    if type_ not in (None, "application"):
        raise not_offered(f"load balancers of type '{type_}'")
    _check_name(name)
    vpc_id = _common_vpc(ec2, subnet_ids)
    _check_groups(ec2, group_ids, vpc_id)
    gateways = {"attachment.vpc-id": [vpc_id]}
    if scheme == "internet-facing" and not ec2.describe_internet_gateways(filters=gateways):
        raise ELBClientError("InvalidSubnet", f"VPC {vpc_id} has no internet gateway")


def set_security_groups(ec2: EC2Backend, lb: FakeLoadBalancer, group_ids: list[str]) -> None:
    if not group_ids:
        message = "A load balancer of type 'application' must have at least one security group"
        raise ELBClientError("InvalidConfigurationRequest", message)
    _check_groups(ec2, group_ids, lb.vpc_id)


def _check_groups(ec2: EC2Backend, group_ids: list[str], vpc_id: str) -> None:
    for group_id in group_ids:
        group = ec2.get_security_group_from_id(group_id)
        if group is None:
            raise ELBClientError("InvalidSecurityGroup", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            message = f"The security group '{group_id}' is not in the VPC of the load balancer"
            raise ELBClientError("InvalidConfigurationRequest", message)


def _check_name(name: str) -> None:
    wrong = {
        "be longer than '32' characters": len(name) > 32,
        "begin with 'internal-'": name.startswith("internal-"),
        "begin or end with '-'": name.strip("-") != name,
        "contain characters other than alphanumeric characters and hyphens": not re.fullmatch(
            "[A-Za-z0-9-]+", name
        ),
    }
    for what in (what for what, is_wrong in wrong.items() if is_wrong):
        raise ELBClientError("ValidationError", f"The load balancer name '{name}' cannot {what}")


def _common_vpc(ec2: EC2Backend, subnet_ids: list[str]) -> str:
    """The VPC of these subnets. Raises ELBClientError if they cannot have a load balancer."""
    subnets = []
    for subnet_id in subnet_ids:
        subnet = find_subnet(ec2, subnet_id)
        if subnet is None:
            raise ELBClientError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")
        subnets.append(subnet)
    zones = {subnet.availability_zone for subnet in subnets}
    if len(zones) < len(subnets):
        message = "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
        raise ELBClientError("InvalidConfigurationRequest", message)
    if len(zones) < 2:
        message = "At least two subnets in two different Availability Zones must be specified"
        raise ELBClientError("ValidationError", message)
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise ELBClientError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
    return str(subnets[0].vpc_id)


def create_again(former: FakeLoadBalancer, subnet_ids: list[str], scheme: str, group_ids: list[str]) -> None:
    """Creating an existing load balancer again is allowed; with other settings it is not."""
    same_subnets = {subnet.id for subnet in former.subnets} == set(subnet_ids)
    if not (same_subnets and former.scheme == scheme and set(former.security_groups) == set(group_ids)):
        message = f"A load balancer with the same name '{former.name}' exists, but with different settings"
        raise ELBClientError("DuplicateLoadBalancerName", message)


def set_subnets(ec2: EC2Backend, lb: FakeLoadBalancer, subnet_ids: list[str]) -> None:
    if _common_vpc(ec2, subnet_ids) != lb.vpc_id:
        raise ELBClientError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")


def modify_attributes(wanted: dict[str, str]) -> None:
    for key, value in wanted.items():
        if key not in ATTRIBUTES:
            raise not_offered(f"the load balancer attribute '{key}'")
        _, allowed = ATTRIBUTES[key]
        if allowed and value not in allowed:
            message = f"Load balancer attribute '{key}' must be {' or '.join(allowed)}, not '{value}'"
            raise ELBClientError("ValidationError", message)
