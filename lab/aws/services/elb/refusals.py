"""Elastic Load Balancing.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html and the pages
beside it.
"""

import re
from concurrent.futures import Future
from typing import Any

from moto.acm.models import acm_backends
from moto.awslambda.models import LambdaBackend
from moto.ec2.models import EC2Backend
from moto.elbv2.exceptions import ELBClientError, LoadBalancerNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.ssl_policies import SSL_POLICIES

from lab.aws.dataplane.load_balancer import Balancer
from lab.aws.services.ec2.lookups import find_subnet
from lab.aws.services.lambda_.refusals import allows

_BOOLEAN = ("true", "false")
# A load balancer's attributes: the default, and what may be set (None: any text).
# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
ATTRIBUTES: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "access_logs.s3.bucket": ("", None),
    "access_logs.s3.enabled": ("false", _BOOLEAN),
    "access_logs.s3.prefix": ("", None),
    "routing.http.drop_invalid_header_fields.enabled": ("false", _BOOLEAN),
}
MULTI_VALUE_HEADERS = "lambda.multi_value_headers.enabled"
DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"


def not_offered(what: str) -> ELBClientError:
    """What AWS has and this lab has not."""
    return ELBClientError("OperationNotPermitted", f"The lab does not offer {what}")


def create_load_balancer(
    networks: EC2Backend, name: str, subnet_ids: list[str], scheme: str, type_: str | None, groups: list[str]
) -> None:
    if type_ not in (None, "application"):
        raise not_offered(f"load balancers of type '{type_}'")
    _check_name(name)
    _check_network(networks, _common_vpc(networks, subnet_ids), scheme, groups)


def set_subnets(networks: EC2Backend, lb: FakeLoadBalancer, subnet_ids: list[str]) -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SetSubnets.html"""
    if _common_vpc(networks, subnet_ids) != lb.vpc_id:
        raise ELBClientError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")


def _common_vpc(networks: EC2Backend, subnet_ids: list[str]) -> str:
    """The VPC in which these subnets can have a load balancer."""
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
    return vpcs.pop()


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


def _check_network(networks: EC2Backend, vpc_id: str, scheme: str, group_ids: list[str]) -> None:
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


def known_load_balancer(balancers: ELBv2Backend, arn: str) -> FakeLoadBalancer:
    if arn not in balancers.load_balancers:
        raise LoadBalancerNotFoundError
    return balancers.load_balancers[arn]


def modify_load_balancer_attributes(wanted: dict[str, str]) -> None:
    for key, value in wanted.items():
        if key not in ATTRIBUTES:
            raise not_offered(f"the load balancer attribute '{key}'")
        _, allowed = ATTRIBUTES[key]
        if allowed and value not in allowed:
            raise ELBClientError(
                "ValidationError",
                f"The value of load balancer attribute '{key}' must be {' or '.join(allowed)}, not '{value}'",
            )


def create_listener(
    balancers: ELBv2Backend,
    lb_arn: str,
    protocol: str,
    port: str,
    certificate_arn: str | None,
    ssl_policy: str,
) -> None:
    lb = known_load_balancer(balancers, lb_arn)
    _check_port(lb, port)
    if ssl_policy not in SSL_POLICIES:
        raise ELBClientError("SSLPolicyNotFound", f"SSL policy '{ssl_policy}' not found")
    _check_tls(protocol, certificate_arn, ssl_policy != DEFAULT_POLICY)
    if certificate_arn:
        _check_certificate(balancers, certificate_arn)


def modify_listener(
    balancers: ELBv2Backend,
    listener: FakeListener,
    port: str | None,
    protocol: str | None,
    ssl_policy: str | None,
    certificates: list[dict[str, Any]] | None,
) -> None:
    if port and int(port) != int(listener.port):
        _check_port(known_load_balancer(balancers, listener.load_balancer_arn), port)
    arns = [given["CertificateArn"] for given in certificates or []]
    if len(arns) > 1:
        raise ELBClientError("ValidationError", "Only the default certificate can be specified")
    held = None if protocol == "HTTP" else listener.certificate
    _check_tls(protocol or listener.protocol, arns[0] if arns else held, bool(ssl_policy))
    for arn in arns:
        _check_certificate(balancers, arn)


def _check_port(lb: FakeLoadBalancer, port: str) -> None:
    if any(int(listener.port) == int(port) for listener in lb.listeners.values()):
        raise ELBClientError(
            "DuplicateListener", f"A listener already exists on this port for this load balancer '{lb.arn}'"
        )


def _check_tls(protocol: str, certificate_arn: str | None, has_policy: bool) -> None:
    if protocol == "HTTPS" and not certificate_arn:
        raise ELBClientError("ValidationError", "A certificate must be specified for HTTPS listeners")
    if protocol == "HTTP" and certificate_arn:
        raise ELBClientError("ValidationError", "A certificate cannot be specified for HTTP listeners")
    if protocol == "HTTP" and has_policy:
        raise ELBClientError("ValidationError", "An SSL policy cannot be specified for HTTP listeners")


def _check_certificate(balancers: ELBv2Backend, arn: str) -> None:
    if not arn.startswith("arn:aws:acm:"):
        raise not_offered("server certificates of IAM")
    if not balancers._certificate_exists(arn):
        raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found")
    if acm_backends[balancers.account_id][balancers.region_name].get_certificate(arn).status != "ISSUED":
        raise ELBClientError(
            "UnsupportedCertificate",
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, "
            "and a supported key size.",
        )


def forward(balancers: ELBv2Backend, lb_arn: str, actions: list[dict[str, Any]]) -> dict[str, Any]:
    """The one action that a listener may have, in the form in which AWS shows it: to one target group.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html
    """
    for action in actions:
        if action["Type"] != "forward":
            raise not_offered(f"listeners with an action of type '{action['Type']}'")
    if len(actions) != 1:
        raise ELBClientError("InvalidLoadBalancerAction", "A listener must have exactly one forward action")
    config = actions[0].get("ForwardConfig", {})
    targets = config.get("TargetGroups") or [actions[0]]
    if len(targets) > 1 or targets[0].get("Weight", 1) != 1:
        raise not_offered("weights: a listener forwards to one target group")
    if str(config.get("TargetGroupStickinessConfig", {}).get("Enabled", False)).lower() == "true":
        raise not_offered("stickiness")
    arn = targets[0].get("TargetGroupArn")
    if arn is None or actions[0].get("TargetGroupArn", arn) != arn:
        raise ELBClientError("ValidationError", "A forward action must specify one target group")
    group = balancers.target_groups.get(arn)
    if group is None:
        raise ELBClientError("TargetGroupNotFound", f"Target group '{arn}' not found")
    if set(group.load_balancer_arns) - {lb_arn}:
        raise ELBClientError(
            "TargetGroupAssociationLimit",
            f"The following target groups cannot be associated with more than one load balancer: {arn}",
        )
    shown = {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}]}
    stickiness = {"TargetGroupStickinessConfig": {"Enabled": False}}
    return {"Type": "forward", "TargetGroupArn": arn, "ForwardConfig": {**shown, **stickiness}}


def provisioned(balancer: Future[Balancer]) -> Balancer:
    """The real balancer, once it is there; where it could not be made, why."""
    if error := balancer.exception():
        raise ELBClientError("InternalFailure", f"The load balancer was not provisioned: {error}")
    return balancer.result()


def create_target_group(settings: dict[str, Any]) -> None:
    type_ = settings.get("target_type")
    if type_ != "lambda":
        raise not_offered(f"target groups of target type '{type_}': its targets are functions")
    _only_for_hosts(settings.get("healthcheck_protocol"), settings.get("healthcheck_port"))
    _check_matcher((settings.get("matcher") or {}).get("HttpCode"))


def modify_target_group(group: FakeTargetGroup, settings: dict[str, Any]) -> None:
    _only_for_hosts(settings.get("health_check_proto"), settings.get("health_check_port"))
    _check_matcher(settings.get("http_codes"))
    interval = settings.get("health_check_interval") or group.health_check_interval_seconds
    timeout = settings.get("health_check_timeout") or group.health_check_timeout_seconds
    if int(timeout) > int(interval):
        raise ELBClientError(
            "ValidationError",
            f"Health check timeout '{timeout}' must be smaller than or equal to the interval '{interval}'",
        )


def _only_for_hosts(protocol: str | None, port: str | None) -> None:
    for what in [f"Health check {name}" for name, value in (("protocol", protocol), ("port", port)) if value]:
        message = f"{what} cannot be specified for target groups with target type 'lambda'"
        raise ELBClientError("ValidationError", message)


def _check_matcher(codes: str | None) -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html"""
    parts = [part.split("-") for part in codes.split(",")] if codes else []
    if any(
        len(part) > 2 or not all(re.fullmatch("[2-4][0-9][0-9]", code) for code in part) for part in parts
    ):
        raise ELBClientError(
            "ValidationError", f"Health check matcher HTTP code '{codes}' must be within '200-499' inclusive"
        )


def modify_target_group_attributes(attributes: dict[str, str]) -> None:
    for key, value in attributes.items():
        if key != MULTI_VALUE_HEADERS:
            raise ELBClientError(
                "InvalidConfigurationRequest",
                f"A target group with target type 'lambda' does not support the attribute {key}",
            )
        if value not in _BOOLEAN:
            raise ELBClientError(
                "ValidationError", f"'{key}' value '{value}' must be one of [{', '.join(_BOOLEAN)}]"
            )


def same_target_group(former: FakeTargetGroup, settings: dict[str, Any]) -> None:
    """As with load balancers: creating again what is there is fine."""
    given = {
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


def register_targets(group: FakeTargetGroup, functions: LambdaBackend, targets: list[dict[str, Any]]) -> None:
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
