"""Elastic Load Balancing.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html and the pages
beside it.
"""

import re
from typing import TYPE_CHECKING, Any

from moto.acm.models import acm_backends
from moto.elbv2.exceptions import ELBClientError, LoadBalancerNotFoundError
from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.ssl_policies import SSL_POLICIES

from lab.aws.dataplane.load_balancer.attributes import KNOWN, OF_NETWORK_LOAD_BALANCERS, Allowed
from lab.aws.services.ec2.lookups import find_subnet
from lab.aws.services.lambda_.refusals import allows

if TYPE_CHECKING:
    from concurrent.futures import Future

    from lab.aws.dataplane.load_balancer import Balancer
    from lab.aws.services.ec2.networks import Networks
    from lab.aws.services.elb.balancers import LoadBalancers
    from lab.aws.services.lambda_.functions import Functions


def create_load_balancer(
    networks: "Networks",
    name: str,
    subnet_ids: list[str],
    scheme: str,
    type_: str | None,
    group_ids: list[str],
) -> None:
    if type_ not in (None, "application"):
        raise ELBClientError("OperationNotPermitted", f"The lab has no load balancers of type '{type_}'")
    _check_name(name)
    subnets = [find_subnet(networks, subnet_id) for subnet_id in subnet_ids]
    if missing := [i for i, subnet in zip(subnet_ids, subnets, strict=True) if subnet is None]:
        raise ELBClientError("SubnetNotFound", f"The subnet ID '{missing[0]}' does not exist")
    known = [subnet for subnet in subnets if subnet]
    zones = [subnet.availability_zone for subnet in known]
    if len(set(zones)) < len(zones):
        raise ELBClientError(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        )
    if len(zones) < 2:
        raise ELBClientError(
            "ValidationError", "At least two subnets in two different Availability Zones must be specified"
        )
    vpcs = {subnet.vpc_id for subnet in known}
    if len(vpcs) > 1:
        raise ELBClientError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
    _check_network(networks, vpcs.pop(), scheme, group_ids)


def _check_name(name: str) -> None:
    wrong = {
        "be longer than '32' characters": len(name) > 32,
        "begin with 'internal-'": name.startswith("internal-"),
        "begin or end with '-'": name.strip("-") != name,
    }
    for what in (what for what, is_wrong in wrong.items() if is_wrong):
        raise ELBClientError("ValidationError", f"The load balancer name '{name}' cannot {what}")
    if not re.fullmatch("[A-Za-z0-9-]+", name):
        raise ELBClientError(
            "ValidationError",
            f"The load balancer name '{name}' can only contain characters that are alphanumeric characters "
            "or hyphens(-)",
        )


def _check_network(networks: "Networks", vpc_id: str, scheme: str, group_ids: list[str]) -> None:
    for group_id in group_ids:
        group = networks.get_security_group_from_id(group_id)
        if group is None:
            raise ELBClientError("InvalidSecurityGroup", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            raise ELBClientError(
                "InvalidConfigurationRequest",
                "One or more security groups are invalid: they are not in the VPC of the load balancer",
            )
    if scheme == "internet-facing" and not networks.describe_internet_gateways(
        filters={"attachment.vpc-id": [vpc_id]}
    ):
        raise ELBClientError("InvalidSubnet", f"VPC {vpc_id} has no internet gateway")


def same_load_balancer(
    former: FakeLoadBalancer, subnet_ids: list[str], scheme: str, group_ids: list[str]
) -> None:
    """Creating again what is there is fine; anything else under its name is not."""
    same_subnets = {subnet.id for subnet in former.subnets} == set(subnet_ids)
    if not (same_subnets and former.scheme == scheme and set(former.security_groups) == set(group_ids)):
        raise ELBClientError(
            "DuplicateLoadBalancerName",
            f"A load balancer with the same name '{former.name}' exists, but with different settings",
        )


def modify_load_balancer_attributes(wanted: dict[str, str]) -> None:
    for key, value in wanted.items():
        what = f"Load balancer attribute key '{key}' is not"
        if key in OF_NETWORK_LOAD_BALANCERS:
            raise ELBClientError(
                "InvalidConfigurationRequest", f"{what} supported on load balancers with type 'application'"
            )
        if key not in KNOWN:
            raise ELBClientError("ValidationError", f"{what} recognized")
        _check_attribute(key, value, KNOWN[key][1])


def _check_attribute(key: str, value: str, allowed: Allowed) -> None:
    if isinstance(allowed, range):
        fits = value.isdecimal() and int(value) in allowed
        must = f"a number from {allowed[0]} to {allowed[-1]}"
    else:
        fits = allowed is None or value in allowed
        must = " or ".join(allowed or ())
    if not fits:
        raise ELBClientError(
            "ValidationError", f"The value of load balancer attribute '{key}' must be {must}, not '{value}'"
        )


def delete_load_balancer(lb: FakeLoadBalancer) -> None:
    if lb.attrs.get("deletion_protection.enabled") == "true":
        raise ELBClientError(
            "OperationNotPermitted",
            f"Load balancer '{lb.arn}' cannot be deleted because deletion protection is enabled",
        )


def create_listener(
    balancers: "LoadBalancers",
    lb_arn: str,
    protocol: str,
    port: str,
    certificate_arn: str | None,
    ssl_policy: str,
    actions: list[dict[str, Any]],
) -> None:
    lb = balancers.load_balancers.get(lb_arn)
    if lb is None:
        raise LoadBalancerNotFoundError
    if any(int(listener.port) == int(port) for listener in lb.listeners.values()):
        raise ELBClientError(
            "DuplicateListener", f"A listener already exists on this port for this load balancer '{lb_arn}'"
        )
    if protocol == "HTTPS" and not certificate_arn:
        raise ELBClientError("ValidationError", "A certificate must be specified for HTTPS listeners")
    if ssl_policy not in SSL_POLICIES:
        raise ELBClientError("SSLPolicyNotFound", f"SSL policy '{ssl_policy}' not found")
    if certificate_arn:
        certificate(balancers, certificate_arn)
    listen(balancers, lb_arn, actions)


def certificate(balancers: "LoadBalancers", arn: str) -> None:
    if not balancers._certificate_exists(arn):
        raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found")
    issued = acm_backends[balancers.account_id][balancers.region_name].get_certificate(arn).status == "ISSUED"
    if arn.startswith("arn:aws:acm:") and not issued:
        raise ELBClientError(
            "UnsupportedCertificate",
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, "
            "and a supported key size.",
        )


def listen(balancers: "LoadBalancers", lb_arn: str, actions: list[dict[str, Any]]) -> None:
    """What holds for the actions of a new listener and of one that is changed."""
    for action in actions:
        if action["Type"].startswith("authenticate"):
            raise ELBClientError("InvalidLoadBalancerAction", "The lab's listeners authenticate nobody")
        for group_arn in balancers._get_target_group_arns_from(action):
            group = balancers.target_groups.get(group_arn)
            if group and set(group.load_balancer_arns) - {lb_arn}:
                raise ELBClientError(
                    "TargetGroupAssociationLimit",
                    "The following target groups cannot be associated with more than one load balancer: "
                    f"{group_arn}",
                )


def provisioned(balancer: "Future[Balancer]") -> "Balancer":
    """The real balancer, once it is there; where it could not be made, why."""
    if error := balancer.exception():
        raise ELBClientError("InternalFailure", f"The load balancer was not provisioned: {error}")
    return balancer.result()


def create_rule(listener_arn: str) -> None:
    only = f"The lab's listeners have their default rule only: {listener_arn}"
    raise ELBClientError("OperationNotPermitted", only)


def same_target_group(former: FakeTargetGroup, settings: dict[str, Any]) -> None:
    """As with load balancers: creating again what is there is fine."""
    given = {
        "target_type": former.target_type,
        "protocol": former.protocol,
        "port": former.port,
        "vpc_id": former.vpc_id,
        "healthcheck_enabled": former.health_check_enabled,
        "healthcheck_path": former.health_check_path,
        "healthcheck_interval_seconds": former.health_check_interval_seconds,
        "healthcheck_timeout_seconds": former.health_check_timeout_seconds,
    }
    for name, value in given.items():
        if settings.get(name) is not None and str(settings[name]).lower() != str(value).lower():
            raise ELBClientError(
                "DuplicateTargetGroupName",
                f"A target group with the same name '{former.name}' exists, but with different settings",
            )


def register_targets(group: FakeTargetGroup, functions: "Functions", targets: list[dict[str, Any]]) -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html"""
    arns = {target["Id"] for target in targets}
    if len(arns | set(group.targets)) > 1:
        limit = f"You've reached the limit on the number of targets of {group.arn}"
        raise ELBClientError("TooManyTargets", limit)
    for arn in arns:
        if not arn.startswith("arn:"):
            raise ELBClientError("ValidationError", f"'{arn}' is not a valid target ARN")
        function = functions.get_function_by_arn(arn)
        if function is None:
            raise ELBClientError("InvalidTarget", f"The following targets do not exist: '{arn}'")
        if not allows(function, "elasticloadbalancing.amazonaws.com", group.arn):
            raise ELBClientError(
                "AccessDenied",
                f"elasticloadbalancing principal does not have permission to invoke {arn} "
                f"from target group {group.arn}",
            )
